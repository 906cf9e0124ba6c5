import json
import math
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from drawings import BUS, CAR, ROAD, SKY, table

from panoptic_eval.errors import InputError
from panoptic_eval.outputs.json import encode
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables, score


def stated(drawing, side, areas):
    """The drawing's table, where the JSON of one side states these areas."""
    segments = replace(getattr(drawing, side), stated_area=np.array(areas, float))
    return replace(drawing, **{side: segments})


def scores(drawing):
    return json.loads(encode(score(Tables(drawing))))["scores"]


def squares(size):
    """A small car that is found exactly, and a false positive of `size` pixels that ranks before it."""
    row = "c" * 20 + "." * 100
    found = "c" * 20 + "." * 20 + "d" * size + "." * (80 - size)
    return table(row, found, c=CAR, d=CAR, scores={"c": 0.5, "d": 0.9})


@pytest.mark.parametrize("area", [0, 1, 100, 20_000, 1e9])
def test_the_area_that_a_prediction_states_moves_no_score(area):
    drawing = squares(30)
    for side in ("pred", "gt"):
        n = len(getattr(drawing, side))
        assert scores(stated(drawing, side, [area] * n)) == scores(drawing)
    assert score(Tables(drawing)).scores["AP_mask"]["APs"] == pytest.approx(0.5)


def test_detections_with_boxes_are_ranged_by_them_as_in_pycocotools():
    drawing = squares(30)
    ranged = stated(drawing, "pred", [20, 20_000])  # the false positive's box is large: outside of APs
    assert score(Tables(drawing, instances=ranged)).scores["AP_mask_instances"]["APs"] == pytest.approx(1)


@pytest.mark.parametrize("area", [0, 1, 2])
def test_areas_that_no_segment_can_have_are_named(area):
    impossible = stated(table("cccc", "cccc", c=CAR), "gt", [area])
    assert score(Tables(impossible)).scores["PQ"]["all"] == 1
    expected = rf"image 0, segment {ord('c')}: the JSON states {area} pixels, the PNG has 4"
    with pytest.raises(InputError, match=expected):
        score(Tables(impossible), Rules(protocol="panopticapi"))


def test_possible_areas_are_taken_from_the_json():
    drawing = stated(table("cccc", "cccc", c=CAR), "gt", [5])
    assert score(Tables(drawing), Rules(protocol="panopticapi")).scores["PQ"]["all"] == 4 / 5
    other = stated(table("cccs", "ssss", c=CAR, s=SKY), "gt", [0, 1])  # nothing of the car's category overlaps it
    score(Tables(other), Rules(protocol="panopticapi"))


@pytest.mark.parametrize("area", [0.0, 0.5, 1.0, 3.0, 40.0])
def test_pq_never_exceeds_one_whatever_areas_are_stated(area):
    rng = np.random.default_rng(int(area))
    for _ in range(20):
        gt, pred = ("".join(rng.choice(list("cdsr."), 12)) for _ in range(2))
        drawing = table(gt, pred, c=CAR, d=BUS, s=SKY, r=ROAD)
        drawing = stated(drawing, "gt", [area] * len(drawing.gt))
        with suppress(InputError):
            pq = score(Tables(drawing), Rules(protocol="panopticapi")).scores["PQ"]
            assert all(np.isnan(v) or 0 <= v <= 1 for v in pq.values())


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("values", [(), (50,), (0, 200), (-1, 50), (50, 50), (50, 0), (NAN, 1), (0, INF)])
def test_percentiles_that_make_no_bins(values):
    with pytest.raises(InputError, match=r"--percentiles .*: expected two or more ascending numbers from 0 to 100"):
        score(Tables(squares(1)), Rules(percentiles=values))


@pytest.mark.parametrize("values", [(5,), (9, 4), (-1, 4), (NAN, 4)])
def test_areas_that_make_no_bins(values):
    with pytest.raises(InputError, match=r"--area-edges .*: expected two or more ascending areas in pixels"):
        score(Tables(squares(1)), Rules(area_edges=values))


def test_no_thing_at_all_leaves_size_bins_undefined():
    data = score(Tables(table("ss", "ss", s=SKY)))
    assert len(data.size_percentiles) == 5
    for row in data.size_percentiles:
        assert row["instances"] == 0
        assert all(math.isnan(row[name]) for name in ("from_area", "to_area", "AP_mask"))


def test_missing_scores_count_with_one_and_are_said():
    drawing = table("cc", "cc", c=CAR)
    nan = np.full(1, np.nan)
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
