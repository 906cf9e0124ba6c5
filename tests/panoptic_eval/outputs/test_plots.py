"""Figures by size: every mark is where its number is, explained, and few enough to tell apart."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import random_maps

from panoptic_eval import InputError
from panoptic_eval.outputs import plots
from panoptic_eval.score import Tables, score
from panoptic_eval.size_curves import SizeCurves, SizePoint

BINS = (("0–50 %", 1.0, 100.0, 30), ("50–100 %", 100.0, 400.0, 29))


def curves(*runs):
    """AP of run k is k tenths, then more; its cost falls."""
    points, differences = [], []
    for k, run in enumerate(runs):
        for name in ("AP_mask", "cost"):
            for b, of_bin in enumerate(BINS):
                value = (k + 1) / 10 + b / 20
                points.append(SizePoint(run, name, *of_bin, value, value - 0.02, value + 0.03))
                if k:
                    differences.append(SizePoint(run, name, *of_bin, k / 10, k / 10 - 0.05, k / 10 + 0.05))
    return SizeCurves(tuple(points), tuple(differences))


def marks(ax):
    """Values drawn by each marker; not the lines that separate bins."""
    return {line.get_marker(): line.get_ydata() for line in ax.lines if line.get_linestyle() == "None"}


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def entries(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_values_are_percent_and_differences_stand_below():
    figure = plots.by_size(curves("a", "b"))
    assert titles(figure) == [
        "(a) mask AP",
        "(b) PQ lost by things",
        "(c) mask AP − a",
        "(d) PQ lost by things − a",
    ]
    np.testing.assert_allclose(marks(figure.axes[0])["o"], [10, 15])
    np.testing.assert_allclose(marks(figure.axes[0])["s"], [20, 25])
    assert list(marks(figure.axes[2])) == ["s"]  # nothing is compared with itself
    np.testing.assert_allclose(marks(figure.axes[2])["s"], [10, 10])
    (bars,) = figure.axes[2].collections
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[5, 15], [5, 15]])


def test_every_mark_is_explained():
    figure = plots.by_size(curves("a", "b", "c"))
    assert entries(figure) == ["a", "b", "c", "95 % interval over images"]
    assert all(ax.get_ylabel() for ax in figure.axes)
    assert "percentiles" in figure.get_supxlabel()
    labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert labels == ["0–50 %\n1–10 px\nn = 30", "50–100 %\n10–20 px\nn = 29"]


@pytest.mark.parametrize("runs", [1, 2, 4, 5, 9, 12])
def test_no_panel_has_more_than_four_runs_and_all_look_different(runs):
    names = [f"run {k}" for k in range(runs)]
    figure = plots.by_size(curves(*names))
    assert max(len(marks(ax)) for ax in figure.axes) <= 4
    looks = [(look.color, look.marker) for look in plots.looks_of(names).values()]
    assert len(set(looks)) == runs
    shown = sum(len(marks(ax)) for ax in figure.axes if "AP" in ax.get_title(loc="left"))
    assert shown == (runs if runs <= 4 else 1) + runs - 1


def test_bins_are_not_joined_and_runs_of_a_bin_stay_in_it():
    figure = plots.by_size(curves("a", "b", "c", "d"))
    for ax in figure.axes:
        for line in ax.lines:
            if len(line.get_xdata()) == len(BINS) and line.get_marker() != "None":
                assert line.get_linestyle() == "None"
                assert np.abs(line.get_xdata() - np.arange(len(BINS))).max() < 0.5


def test_the_axis_ends_at_a_tick_beyond_all_values():
    for ax in plots.by_size(curves("a", "b", "c")).axes:
        low, high = ax.get_ylim()
        ticks = [t for t in ax.get_yticks() if low <= t <= high]
        assert ticks[-1] == pytest.approx(high)
        assert max(max(v) for v in marks(ax).values()) < high


def test_differences_have_one_scale_a_column():
    figure = plots.by_size(curves(*"abcdefg"))
    columns = [figure.axes[k::2] for k in (0, 1)]
    for column in columns:
        assert all(a.get_ylim() == b.get_ylim() for a, b in pairwise(column[1:]))


def test_undefined_values_and_intervals_leave_gaps():
    nan = math.nan
    points = tuple(SizePoint("a", score, *b, nan, nan, nan) for score in ("AP_mask", "cost") for b in BINS)
    figure = plots.by_size(SizeCurves(points, ()))
    assert not figure.axes[0].collections[0].get_segments()


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_equal_figures_give_equal_bytes(tmp_path, suffix):
    for name in ("one", "two"):
        plots.write(plots.by_size(curves("a", "b")), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.png, \.pdf, \.svg"):
        plots.write(plots.by_size(curves("a")), tmp_path / "figure.jpg")


@pytest.fixture
def reports():
    rng = np.random.default_rng(4)
    categories = random_maps.catalogue(rng)
    tables = [random_maps.table(categories, random_maps.pairs(rng, categories, images=6)) for _ in range(2)]
    return {name: score(Tables(table)) for name, table in zip("ab", tables, strict=True)}


def test_curves_are_those_of_the_report_and_the_legend_has_their_means(reports):
    figure = plots.precision_recall(reports, kind="AP_box")
    for ax, part in zip(figure.axes, ("AP50", "AP75"), strict=True):
        for line, report in zip(ax.lines, reports.values(), strict=True):
            np.testing.assert_allclose(line.get_ydata(), 100 * np.array(report.precision_recall["AP_box"][part]))
    assert titles(figure) == ["(a) box AP at IoU 0.5", "(b) box AP at IoU 0.75"]
    for text, report in zip(entries(figure), reports.values(), strict=True):
        assert f"AP50 {100 * report.scores['AP_box']['AP50']:.1f}" in text


def test_reliability_shows_bins_that_hold_segments_and_the_diagonal(reports):
    figure = plots.reliability(reports)
    diagonal, *runs = figure.axes[0].lines
    assert diagonal.get_ydata().tolist() == [0, 100]
    for line, count, report in zip(runs, figure.axes[1].lines, reports.values(), strict=True):
        bins = [b for b in report.reliability["bins"] if b["segments"]]
        np.testing.assert_allclose(line.get_ydata(), [100 * b["matched"] for b in bins])
        assert list(count.get_ydata()) == [b["segments"] for b in bins]
    assert entries(figure)[-1] == "right as often as the score says"
    assert "ECE" in entries(figure)[0]


def test_what_a_panel_cannot_show_is_said(reports):
    many = {str(k): reports["a"] for k in range(5)}
    for draw in (plots.precision_recall, plots.reliability):
        with pytest.raises(InputError, match="5 runs are too many"):
            draw(many)
    with pytest.raises(InputError, match="b: its segments have no scores"):
        plots.reliability({"a": reports["a"], "b": replace(reports["b"], reliability={})})
