"""Figures of runs: by size of their objects, precision over recall, reliability of scores; and how they are written.

Bins of size stand apart and are not joined by lines: they may overlap, and their widths are not to scale. A panel
holds four runs at most; of more, differences to the first are drawn.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.metrics.average_precision import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from panoptic_eval.report import Report
    from panoptic_eval.size_curves import SizeCurves, SizePoint

WIDTH = 7.2
"""Width of a figure, inches: that of a printed page."""
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # letters that other programs can edit
    "svg.fonttype": "none",
    "svg.hashsalt": "panoptic-eval",  # else names within the file are random
}
UNDATED: Mapping[str, Any] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}
"""What to leave out of each kind of file, so that the same figure gives the same bytes."""
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
"""Colors that everybody can tell apart (Okabe and Ito, 2008)."""
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
"""One more than there are colors, so that many runs look different."""
PER_PANEL = 4
"""Largest number of runs in a panel."""
SPREAD = 0.55
"""Share of a bin's width over which its runs stand."""
SCORES = {"cost": "PQ lost by things", **TITLES}
"""Titles of the scores that are drawn."""
GRAY = "#777777"
LEGEND = 120
"""Characters that a row of the legend has room for."""


@dataclass(frozen=True)
class Look:
    """How a run is drawn, and called in the legend."""

    title: str
    color: str
    marker: str


@dataclass(frozen=True)
class Panel:
    """Points to draw together: of up to four runs, each in the same bins."""

    title: str
    unit: str
    """Label of the y axis."""
    points: Sequence[SizePoint]
    looks: Mapping[str, Look]
    """By the name of a run, in the order in which they stand in a bin."""
    differences: bool = False
    """True for differences: there is a line at 0, and values have a sign."""


def looks_of(names: Sequence[str]) -> dict[str, Look]:
    """Choose a color and a marker for each run of a figure."""
    return {name: Look(name, COLORS[k % len(COLORS)], MARKERS[k % len(MARKERS)]) for k, name in enumerate(names)}


def draw_panels(
    rows: Sequence[Sequence[Panel]], looks: Mapping[str, Look], *, interval: str = "95 % interval over images"
) -> Figure:
    """Draw panels in rows, with letters, a legend above that explains every mark, and one label of the size axis below.

    Panels of one column that show differences have the same scale.

    Args:
        rows: of panels.
        looks: of all runs, by name.
        interval: name of the bars.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.6 + 2.2 * len(rows)), layout="constrained")
        axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
        letters = itertools.cycle("abcdefghijklmnopqrstuvwxyz")
        for panels, of_row in zip(rows, axes, strict=True):
            for panel, ax in zip(panels, of_row, strict=True):
                draw_panel(panel, f"({next(letters)}) {panel.title}", ax=ax)
        for column in range(len(rows[0])):
            alike = [ax for panels, ax in zip(rows, axes[:, column], strict=True) if panels[column].differences]
            limits = [limit for ax in alike for limit in ax.get_ylim()]
            for ax in alike:
                ax.set_ylim(min(limits), max(limits))
        sides = any(not math.isnan(p.from_area) for panels in rows for panel in panels for p in panel.points)
        axis = f"size of the objects: percentiles of area{', √area' if sides else ''}; number of objects"
        figure.supxlabel(axis, fontsize=STYLE["font.size"])
        legend(figure, looks, interval=interval)
    return figure


def draw_panel(panel: Panel, title: str, *, ax: Axes) -> None:
    """Draw the points of a panel with their intervals, in percent or points."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    bins = list(dict.fromkeys((p.bin, p.from_area, p.to_area, p.instances) for p in panel.points))
    at = {name: k for k, (name, *_) in enumerate(bins)}
    extremes = [0.0]
    for k, (run, look) in enumerate(panel.looks.items()):
        mine = [p for p in panel.points if p.run == run]
        x = np.array([at[p.bin] for p in mine]) + SPREAD * ((k + 0.5) / len(panel.looks) - 0.5)
        value, low, high = (100 * np.array([getattr(p, name) for p in mine]) for name in ("value", "low", "high"))
        known = ~np.isnan(low)
        ax.vlines(x[known], low[known], high[known], color=look.color, linewidth=1, clip_on=False)
        ax.plot(x, value, linestyle="none", marker=look.marker, markersize=4, color=look.color, clip_on=False)
        extremes += [v for v in (*value, *low, *high) if not np.isnan(v)]
    ax.set_title(title)
    ax.set_ylabel(panel.unit)
    ax.set_xticks(range(len(bins)), [_bin_label(*b) for b in bins])
    ax.tick_params(axis="x", length=0, labelsize=7)
    ax.set_xlim(-0.5, len(bins) - 0.5)
    for edge in range(1, len(bins)):
        ax.axvline(edge - 0.5, color=GRAY, linewidth=0.4, alpha=0.5)
    locator = MaxNLocator(5, steps=[1, 2, 5, 10])
    ticks = locator.tick_values(min(extremes), max(max(extremes), 1e-3))
    ax.yaxis.set_major_locator(locator)
    ax.set_ylim(ticks[0], ticks[-1])
    if panel.differences:
        ax.axhline(0, color="black", linewidth=0.7)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:+g}".replace("-", "−") if y else "0"))


def _bin_label(name: str, from_area: float, to_area: float, instances: int) -> str:
    """Write a bin: its percentiles, the sides of squares of its areas, and how many objects it has."""
    known = not (name.endswith("px") or math.isnan(from_area))
    sides = [f"{from_area**0.5:.0f}–{to_area**0.5:.0f} px"] if known else []
    return "\n".join([name, *sides, f"n = {instances}"])


def legend(figure: Figure, looks: Mapping[str, Look], *, interval: str) -> None:
    """Explain every mark above the panels."""
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], linestyle="none", marker=k.marker, color=k.color, label=k.title) for k in looks.values()]
    bar = Line2D([], [], linestyle="none", marker="|", markersize=9, color=GRAY, label=interval)
    _legend(figure, [*marks, bar])


def _legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Put handles above the panels, in as many columns as there is room for."""
    lengths = [len(str(handle.get_label())) + 7 for handle in handles]
    columns = next(n for n in (4, 3, 2, 1) if n == 1 or _width(lengths, n) <= LEGEND)
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, alignment="left")


def _width(lengths: Sequence[int], columns: int) -> int:
    """Return the length of the longest entries of all columns together."""
    parts = np.array_split(np.array(lengths), min(columns, len(lengths)))
    return sum(int(part.max()) for part in parts)


def by_size(curves: SizeCurves, *, kind: str = "AP_mask") -> Figure:
    """Draw AP and cost by size: of up to four runs as they are, and their differences to the first run.

    Of more runs the first one is drawn as it is.

    Args:
        curves: of the runs.
        kind: AP_mask or AP_box.
    """
    names = list(dict.fromkeys(p.run for p in curves.points))
    looks = looks_of(names)
    first = names if len(names) <= PER_PANEL else names[:1]

    def panel(score: str, group: Sequence[str], points: Sequence[SizePoint], *, differences: bool) -> Panel:
        title = SCORES[score] + (f" − {names[0]}" if differences else "")
        unit = "points of PQ of things" if score == "cost" else "points of AP" if differences else "AP, %"
        shown = [p for p in points if p.score == score and p.run in group]
        return Panel(title, unit, shown, {name: looks[name] for name in group}, differences)

    rows = [[panel(score, first, curves.points, differences=False) for score in (kind, "cost")]]
    rows += [
        [panel(score, group, curves.differences, differences=True) for score in (kind, "cost")]
        for group in _groups(names[1:])
    ]
    return draw_panels(rows, looks)


def precision_recall(reports: Mapping[str, Report], *, kind: str = "AP_mask") -> Figure:
    """Draw precision over recall at IoU 0.5 and 0.75, averaged over categories; the mean of a curve is AP50 or AP75.

    Args:
        reports: of up to four runs, by name.
        kind: AP_mask or AP_box.

    Raises:
        InputError: there are more runs.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    looks = _few_looks(list(reports))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for letter, part, ax in zip("ab", ("AP50", "AP75"), axes, strict=True):
            for name, report in reports.items():
                curves = report.precision_recall
                recall, precision = (100 * np.array(values) for values in (curves["recall"], curves[kind][part]))
                ax.plot(recall, precision, linewidth=1.3, markevery=(10, 20), **_mark(looks[name]))
            ax.set_title(f"({letter}) {SCORES[kind]} at IoU {int(part[2:]) / 100:g}")
            ax.set(xlim=(0, 100), ylim=(0, 100), xlabel="recall, %")
        axes[0].set_ylabel("precision, %, mean over categories")
        handles = []
        for name, report in reports.items():
            aps = ", ".join(f"{part} {_percent(report.scores[kind][part])}" for part in ("AP50", "AP75"))
            handles.append(Line2D([], [], label=f"{name}: {aps}", **_mark(looks[name])))
        _legend(figure, handles)
    return figure


def _mark(look: Look) -> dict[str, Any]:
    return {"color": look.color, "marker": look.marker, "markersize": 4}


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def reliability(reports: Mapping[str, Report]) -> Figure:
    """Draw how many of the segments with a score match, over the score; and how many segments have it.

    Args:
        reports: of up to four runs, by name, whose scores are from 0 to 1.

    Raises:
        InputError: there are more runs, or one has no such scores.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    looks = _few_looks(list(reports))
    if without := [name for name, report in reports.items() if not report.reliability]:
        raise InputError(f"{without[0]}: its segments have no scores from 0 to 1; expected some, to be called reliable")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
        left, right = figure.subplots(1, 2)
        diagonal: dict[str, Any] = {"color": GRAY, "linewidth": 0.8, "linestyle": (0, (4, 3))}
        left.plot([0, 100], [0, 100], **diagonal)
        handles = []
        for k, (name, report) in enumerate(reports.items()):
            mark = _mark(looks[name]) | {"linestyle": "none"}
            bins = [b for b in report.reliability["bins"] if b["segments"]]
            score, matched = (100 * np.array([b[key] for b in bins]) for key in ("mean_score", "matched"))
            left.plot(score, matched, clip_on=False, **mark)
            shift = SPREAD * 10 * ((k + 0.5) / len(reports) - 0.5)
            middle = [50 * (b["from"] + b["to"]) + shift for b in bins]
            right.plot(middle, [b["segments"] for b in bins], clip_on=False, **mark)
            handles.append(Line2D([], [], label=f"{name}: ECE {_percent(report.reliability['ECE'])} %", **mark))
        left.set_title("(a) segments that match")
        left.set(xlim=(0, 100), ylim=(0, 100), xlabel="mean score of a bin, %", ylabel="share that matches, %")
        right.set_title("(b) segments in a bin")
        right.set(xlim=(0, 100), xlabel="score, %", ylabel="number of segments")
        right.set_ylim(bottom=0)
        _legend(figure, [*handles, Line2D([], [], label="right as often as the score says", **diagonal)])
    return figure


def _few_looks(names: Sequence[str]) -> dict[str, Look]:
    """Choose looks of the runs of a panel.

    Raises:
        InputError: there are too many to tell apart.
    """
    if len(names) > PER_PANEL:
        raise InputError(f"{len(names)} runs are too many for a panel; expected at most {PER_PANEL}")
    return looks_of(names)


def _groups(names: Sequence[str]) -> list[list[str]]:
    """Divide names into as few groups of four or fewer as possible.

    >>> _groups("abcdef")
    [['a', 'b', 'c', 'd'], ['e', 'f']]
    """
    return [list(names[k : k + PER_PANEL]) for k in range(0, len(names), PER_PANEL)]


def write(figure: Figure, path: Path, *, dpi: int = 300) -> None:
    """Write a figure as PNG, PDF or SVG, as the path's ending says; equal figures give equal bytes.

    Raises:
        InputError: the path has another ending.
    """
    import matplotlib as mpl

    undated = UNDATED.get(path.suffix.lower())
    if undated is None:
        raise InputError(f"{path}: expected a name that ends in {', '.join(UNDATED)}")
    content = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(content, format=path.suffix[1:].lower(), dpi=dpi, metadata=undated)
    write_atomically(path, content.getvalue())
