import json
import math
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from drawings import BUS, CAR, ROAD, SKY, table

from panoptic_eval.errors import InputError
from panoptic_eval.metrics.accounting import TITLES
from panoptic_eval.outputs import csv, markdown, plots
from panoptic_eval.outputs import json as json_output
from panoptic_eval.outputs.json import encode
from panoptic_eval.pairs.table import concatenate
from panoptic_eval.report import anonymous
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables, score


@pytest.fixture
def scored():
    one = table("ccccddss", "cccc.dss", c=CAR, d=BUS, s=SKY, scores={"c": 0.9, "d": 0.8}, image_id=1)
    two = table("rrrrcc..", "rrrr.c..", c=CAR, r=ROAD, scores={"c": 0.7}, image_id=2)
    return score(Tables(concatenate([one, two])), provenance={"version": "test"}, warnings=["so it is"])


def test_report_json_has_the_documented_shape(scored):
    data = json.loads(encode(scored))
    assert list(data)[:3] == ["format", "images", "scores"]
    assert data["format"] == 2
    assert data["images"] == 2
    groups = {"PQ", "SQ", "RQ", "PQ_dagger", "PC", "mIoU"}
    aps = {"AP_mask", "AP_box"}
    assert set(data["scores"]) == groups | aps
    assert all(set(data["scores"][name]) == {"all", "things", "stuff"} for name in groups)
    assert all(set(data["scores"][name]) == {"AP", "AP50", "AP75", "APs", "APm", "APl"} for name in aps)
    names = ["PQ", "SQ", "RQ", "PQ_dagger", "PC", "mIoU", *TITLES, "AP_mask", "AP_box"]
    assert list(data["categories"][0]) == ["id", "name", "isthing", *names, "TP", "FP", "FN", "iou_sum"]
    causes = ["too_small", "too_large", "class", "merged", "split", "place", "missed", "spurious"]
    assert list(data["account"]) == causes
    assert all(set(data["account"][name]) == {"all", "things", "stuff"} for name in causes)
    assert [c["id"] for c in data["categories"]] == [CAR, BUS, SKY, ROAD]
    bins = data["size_percentiles"]
    edges = ["from_percent", "to_percent", "from_area", "to_area"]
    assert all(list(row) == [*edges, "instances", "categories", "AP_mask", "AP_box"] for row in bins)
    assert [(row["from_percent"], row["to_percent"]) for row in bins] == [*pairwise([0, 25, 50, 75, 99, 100])]
    assert all(row["to_area"] == following["from_area"] for row, following in pairwise(bins))
    assert data["protocol"]["pc_weight"] == "image"
    assert data["provenance"] == {"version": "test"}
    assert [row["image_id"] for row in data["per_image"]] == [1, 2]
    assert data["intervals"] == {}


def test_undefined_is_null_with_a_reason(scored):
    data = json.loads(encode(scored))
    assert data["scores"]["AP_mask"]["APl"] is None
    assert data["undefined"]["AP_mask.APl"] == "gt has no large thing instance"
    assert data["categories"][2]["AP_mask"] is None
    assert b"NaN" not in encode(scored)


def test_no_thing_at_all_leaves_size_bins_undefined():
    data = score(Tables(table("ss", "ss", s=SKY)))
    assert len(data.size_percentiles) == 5
    for row in data.size_percentiles:
        assert row["instances"] == 0
        assert all(math.isnan(row[name]) for name in ("from_area", "to_area", "AP_mask"))


def test_what_is_written_reads_back_equal(scored, tmp_path):
    json_output.write(scored, tmp_path / "report.json")
    found = json_output.read(tmp_path)
    assert encode(found) == encode(scored)
    assert math.isnan(found.scores["AP_mask"]["APl"])
    assert [*found.per_image[0]] == [*scored.per_image[0]]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 2, "a": 0}'])
def test_something_else_is_no_report(content, tmp_path):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(InputError, match=r"report\.json"):
        json_output.read(tmp_path)


def test_missing_scores_count_with_one_and_are_said():
    drawing = table("cc", "cc", c=CAR)
    nan = np.full(1, np.nan)
    from dataclasses import replace

    found = score(Tables(replace(drawing, pred=replace(drawing.pred, score=nan))))
    assert found.scores["AP_mask"]["AP"] == pytest.approx(1)
    assert any("no score" in w for w in found.warnings)


def test_equal_edges_are_said():
    found = score(Tables(table("cd", "cd", c=CAR, d=CAR)))
    assert any("equal" in w for w in found.warnings)
    assert [row["instances"] for row in found.size_percentiles] == [2] * 5


def test_miou_may_be_over_the_categories_of_gt_alone():
    drawing = Tables(table("ss", "sb", s=SKY, b=BUS))
    assert score(drawing).scores["mIoU"]["all"] == 0.25
    assert score(drawing, Rules(miou_over="gt")).scores["mIoU"]["all"] == 0.5


def test_markdown_is_in_percent_and_aligned():
    rows = [
        {"": "one", "PQ": markdown.score("PQ", 0.5), "TP": 3},
        {"": "three", "PQ": markdown.score("PQ", float("nan")), "TP": 12},
    ]
    assert markdown.table(rows).splitlines() == [
        "|       |   PQ | TP |",
        "| :---- | ---: | -: |",
        "| one   | 50.0 |  3 |",
        "| three |    – | 12 |",
    ]


def test_intervals_hold_the_scores_and_stand_beside_them():
    drawing = concatenate([table("ccss", "ccss" if k % 3 else "ssss", c=CAR, s=SKY, image_id=k) for k in range(20)])
    scored = score(Tables(drawing), resamples=100)
    assert encode(scored) == encode(score(Tables(drawing), resamples=100))  # the same seed draws the same images
    low, high = scored.intervals["PQ"]["things"]
    assert 0 < low < scored.scores["PQ"]["things"] < high < 1
    assert scored.intervals.keys() == {*scored.scores, *scored.account}
    assert f"{100 * scored.scores['PQ']['things']:.1f} [{100 * low:.1f}, {100 * high:.1f}]" in markdown.report(scored)
    assert "[" not in markdown.report(score(Tables(drawing)))


def test_a_report_can_be_shown_without_names_of_folders():
    provenance = {
        "command": ["panoptic-eval", "--pred", "/home/me/secret"],
        "gt": "COCO panoptic format, /data/secret/gt.json",
        "pred": "/mnt/my secret disk/run/pred",
        "version": "0.1.0",
        "versions": {"numpy": "2.0"},
    }
    warnings = [
        "/home/me/secret/1.png is odd",
        "a 1/2 of pred/1.png",
        "(first: /mnt/my secret disk/run/pred/1.png: segment 7)",
    ]
    provenance["reference"] = "/opt/secret/x.json"
    plain = score(Tables(table("ss", "ss", s=SKY)), provenance=provenance, warnings=warnings)
    shown = anonymous(plain)
    text = encode(shown).decode()
    assert not any(word in text for word in ("secret", "/home", str(Path.cwd()), "--pred"))
    kept = {"gt": "COCO panoptic format, gt.json", "pred": "pred", "reference": "x.json", "version": "0.1.0"}
    assert shown.provenance == {**kept, "versions": {"numpy": "2.0"}}
    assert shown.warnings[0] == "1.png is odd"
    assert shown.warnings[1] == "a 1/2 of pred/1.png"
    assert shown.warnings[2] == "(first: pred/1.png: segment 7)"
    assert shown.scores == plain.scores


def test_csv_reads_back_as_fractions(scored, tmp_path):
    csv.write(scored, tmp_path)
    categories = csv.read(tmp_path / "per_category.csv")
    assert categories["PQ"].tolist() == [row["PQ"] for row in scored.categories]
    assert categories["AP_mask"].isna().tolist() == [False, False, True, True]
    assert len(csv.read(tmp_path / "size_percentiles.csv")) == 5


def test_the_figure_shows_the_bins(scored, tmp_path):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    csv.write(scored, tmp_path)
    rows = csv.read(tmp_path / "size_percentiles.csv")
    _, ax = pyplot.subplots()
    plots.ap_by_size_percentile(rows, ax=ax, label="ours")
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), 100 * rows["AP_mask"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0–25", "25–50", "50–75", "75–99", "99–100"]
    pyplot.close()


def test_reading_a_csv_says_which_extra_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"panoptic-eval\[plots\]"):
        csv.read("size_percentiles.csv")


@pytest.mark.parametrize("name", ["\x9b2J", "\u202e", "\U000e0001", "\x7f", "\ud800", "\x1b[2J", "Fußgänger 人"])
def test_json_is_printable_and_reads_back_whatever_is_in_names(name):
    text = json_output.dumps({"name": name, "score": math.nan})
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == {"name": name, "score": None}
    text.encode()
