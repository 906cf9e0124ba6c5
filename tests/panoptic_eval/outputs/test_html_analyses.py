"""Sections of the report page beside the scores: their numbers are those of the report, and names are harmless."""

import re
from dataclasses import replace

import numpy as np
import pytest
import random_maps
from drawings import CAR, SKY, table
from scene import entries, scene

from panoptic_eval import evaluate
from panoptic_eval.evaluation import load, rescore
from panoptic_eval.outputs import html
from panoptic_eval.outputs.html import analyses
from panoptic_eval.outputs.html.marks import percent
from panoptic_eval.score import Tables, score
from panoptic_eval.slices import slice_rows

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(6)
    categories = random_maps.catalogue(rng)
    return Tables(random_maps.table(categories, random_maps.pairs(rng, categories, images=8)))


@pytest.fixture(scope="module")
def report(tables):
    slices = slice_rows(tables, {HOSTILE: {HOSTILE: np.arange(3), "b": np.arange(3, 8)}}, resamples=20)
    return replace(score(tables, resamples=20, groups={HOSTILE: (0,), "two": (0, 1)}), slices=slices)


def cells(section):
    return [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", section)][1:]


def test_curves_are_drawn_from_the_first_recall_to_the_last(report):
    section = analyses.curves(report)
    lines = re.findall(r'points="([^"]*)"', section)
    assert len(lines) == 3 * 2  # of masks and of boxes
    assert all(len(line.split()) == 101 for line in lines)
    first = next(row for row in cells(section) if row[:2] == ["mask AP", "0"])
    assert first[2] == percent(report.precision_recall["AP_mask"]["AP50"][0])


def test_reliability_has_a_dot_for_each_bin_with_segments(report):
    section = analyses.reliability(report)
    bins = [b for b in report.reliability["bins"] if b["segments"]]
    assert section.count("<circle") == len(bins)
    assert [int(row[1]) for row in cells(section)] == [b["segments"] for b in bins]
    assert f"{percent(report.reliability['ECE'])} %" in section


def test_groups_and_slices_have_all_rows(report):
    assert [row[2] for row in cells(analyses.groups(report))] == [percent(row["PQ"]) for row in report.groups]
    assert len(cells(analyses.slices(report))) == len(report.slices)
    for section in (analyses.groups(report), analyses.slices(report)):
        assert "<script>" not in section
        assert "&lt;script&gt;" in section


def test_what_a_report_does_not_have_is_left_out():
    bare = replace(score(Tables(table("cs", "cs", c=CAR, s=SKY, scores={"c": 3.0}))), precision_recall={})
    pairs = table("cs", "cs", c=CAR, s=SKY)
    sections = [f(bare) for f in (analyses.curves, analyses.reliability, analyses.groups, analyses.slices)]
    assert [*sections, analyses.label_errors(bare, pairs)] == [""] * 5


def test_label_errors_have_pictures_while_their_files_are_there(tmp_path):
    data = scene(tmp_path)
    data.gt.ids["000002.png"][data.gt.ids["000002.png"] == 22] = 12
    data.gt.json["annotations"][1]["segments_info"] = entries(data.gt.ids["000002.png"], iscrowd=0)
    data.write()
    evaluate(data.pred_json.parent, data.gt_json, out=tmp_path / "run")
    stored = load(tmp_path / "run")
    report = rescore(stored)
    section = analyses.label_errors(report, stored.panoptic)
    assert section.count("data:image/jpeg;base64,") == len(report.label_errors) == 1
    assert cells(section) == [["2", "car", "0.70", "nothing there"]]
    assert section in html.page(report, stored, name="run", resamples=0)
    (tmp_path / "gt" / "000002.png").unlink()
    assert analyses.label_errors(report, stored.panoptic).count("base64") == 0
    assert cells(analyses.label_errors(report, stored.panoptic)) == cells(section)
