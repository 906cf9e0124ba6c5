import json
import math
import sys

import numpy as np
import pytest
from drawings import BUS, CAR, ROAD, SKY, table

from panoptic_eval import plots, report, tables
from panoptic_eval.errors import InputError
from panoptic_eval.pairs.table import concatenate
from panoptic_eval.score import Protocol, Tables, score


@pytest.fixture
def scored():
    one = table("ccccddss", "cccc.dss", c=CAR, d=BUS, s=SKY, scores={"c": 0.9, "d": 0.8}, image_id=1)
    two = table("rrrrcc..", "rrrr.c..", c=CAR, r=ROAD, scores={"c": 0.7}, image_id=2)
    return score(Tables(concatenate([one, two])), provenance={"version": "test"}, warnings=["so it is"])


def test_report_json_has_the_documented_shape(scored):
    data = json.loads(scored.to_json())
    assert list(data)[:3] == ["format", "images", "scores"]
    assert data["format"] == 1
    assert data["images"] == 2
    groups = {"PQ", "SQ", "RQ", "PQ_dagger", "PC", "mIoU"}
    aps = {"AP_mask", "AP_box"}
    assert set(data["scores"]) == groups | aps
    assert all(set(data["scores"][name]) == {"all", "things", "stuff"} for name in groups)
    assert all(set(data["scores"][name]) == {"AP", "AP50", "AP75", "APs", "APm", "APl"} for name in aps)
    columns = ["id", "name", "isthing", "PQ", "SQ", "RQ", "TP", "FP", "FN", "iou_sum", "PQ_dagger", "PC", "IoU"]
    assert list(data["categories"][0]) == [*columns, "AP_mask", "AP_box"]
    assert [c["id"] for c in data["categories"]] == [CAR, BUS, SKY, ROAD]
    sizes = data["size_percentiles"]
    assert sizes["percent"] == [0, 25, 50, 75, 99, 100]
    assert len(sizes["area"]) == 6
    assert all(len(sizes[k]) == 5 for k in ("instances", "AP_mask", "AP_box"))
    assert data["protocol"]["pc_weight"] == "image"
    assert data["provenance"] == {"version": "test"}
    assert "per_image" not in data


def test_undefined_is_null_with_a_reason(scored):
    data = json.loads(scored.to_json())
    assert data["scores"]["AP_mask"]["APl"] is None
    assert data["undefined"]["AP_mask.APl"] == "gt has no large thing instance"
    assert data["categories"][2]["AP_mask"] is None
    assert b"NaN" not in scored.to_json()


def test_no_thing_at_all_leaves_size_bins_undefined():
    data = score(Tables(table("ss", "ss", s=SKY)))
    assert all(math.isnan(v) for v in data.size_percentiles["area"])
    assert data.size_percentiles["instances"] == [0] * 5
    assert all(math.isnan(v) for v in data.size_percentiles["AP_mask"])


def test_what_is_written_reads_back_equal(scored, tmp_path):
    report.write(scored, tmp_path / "report.json")
    assert report.read(tmp_path).to_json() == scored.to_json()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "a": 0}'])
def test_something_else_is_no_report(content, tmp_path):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(InputError, match=r"report\.json"):
        report.read(tmp_path)


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
    assert found.size_percentiles["instances"] == [2] * 5


def test_miou_may_be_over_the_categories_of_gt_alone():
    drawing = Tables(table("ss", "sb", s=SKY, b=BUS))
    assert score(drawing).scores["mIoU"]["all"] == 0.25
    assert score(drawing, Protocol(miou_over="gt")).scores["mIoU"]["all"] == 0.5


def test_markdown_is_in_per_cent_and_aligned():
    rows = [{"": "one", "PQ": 0.5, "TP": 3}, {"": "three", "PQ": float("nan"), "TP": 12}]
    assert tables.table(rows).splitlines() == [
        "|       |   PQ | TP |",
        "| :---- | ---: | -: |",
        "| one   | 50.0 |  3 |",
        "| three |    – | 12 |",
    ]


def test_csv_reads_back_as_fractions(scored, tmp_path):
    tables.write_csv(scored, tmp_path)
    categories = tables.read(tmp_path / "per_category.csv")
    assert categories["PQ"].tolist() == [row["PQ"] for row in scored.categories]
    assert categories["AP_mask"].isna().tolist() == [False, False, True, True]
    assert len(tables.read(tmp_path / "size_percentiles.csv")) == 5


def test_the_figure_shows_the_bins(scored, tmp_path):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    tables.write_csv(scored, tmp_path)
    rows = tables.read(tmp_path / "size_percentiles.csv")
    _, ax = pyplot.subplots()
    plots.ap_by_size_percentile(rows, ax=ax, label="ours")
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), 100 * rows["AP_mask"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0–25", "25–50", "50–75", "75–99", "99–100"]
    pyplot.close()


def test_reading_a_csv_says_which_extra_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"panoptic-eval\[plots\]"):
        tables.read("size_percentiles.csv")
