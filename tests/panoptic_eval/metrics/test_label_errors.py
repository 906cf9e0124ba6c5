"""Candidates for errors in the ground truth: what is sure, and explained by none of its segments."""

import pytest
from drawings import BUS, CAR, ROAD, SKY, table

from panoptic_eval.metrics.label_errors import candidates


def found(gt, pred, scores=None, crowds="", least=0.5, **categories):
    kinds = {"c": CAR, "d": CAR, "b": BUS, "s": SKY, "r": ROAD}
    pairs = table(gt, pred, scores=scores or {}, crowds=crowds, **(kinds | categories))
    return [
        (c.kind, chr(pairs.pred.id[c.pred]), "" if c.gt < 0 else chr(pairs.gt.id[c.gt]))
        for c in candidates(pairs, least=least)
    ]


@pytest.mark.parametrize(
    ("gt", "pred", "candidate"),
    [
        ("ssssssssss", "sssccccsss", [("missing", "c", "")]),  # nothing but stuff there
        ("ssscccbsss", "ssscccbsss", []),  # all is right
        ("sssbbbbsss", "ssscccssss", [("category", "c", "b")]),  # another category, same place
        ("sssddddddd", "ssscccssss", []),  # a car is there, badly delineated
        ("sssddddsssss", "scccccccccss", []),  # also where most of it lies beside the car
        ("sssbbbbbbb", "ssscccssss", []),  # part of another object
        ("rrrrrrrrrr", "rrrrsssrrr", []),  # stuff cannot be missing
        ("rrrrrrssss", "rrrrrrrrrs", []),
        ("rrrrrrrrrr", "ssssssssss", [("category", "s", "r")]),  # but stuff can be of another category
        ("ss....ssss", "ss.ccc.sss", []),  # void excuses it
    ],
)
def test_drawings(gt, pred, candidate):
    assert found(gt, pred) == candidate


def test_a_crowd_explains_its_category():
    gt, pred = "d" * 30 + "s" * 10, "s" * 28 + "c" * 6 + "s" * 6  # a third of it lies in the crowd, IoU is 0.06
    assert found(gt, pred, crowds="d") == []
    assert found(gt.replace("d", "b"), pred, crowds="b") == [("missing", "c", "")]


def test_only_sure_predictions_are_candidates_and_the_surest_come_first():
    gt, pred = "ssssssssssssssss", "ccc.dddd.sssssss".replace(".", "s")
    assert found(gt, pred, {"c": 0.9, "d": 0.6}) == [("missing", "c", ""), ("missing", "d", "")]
    assert found(gt, pred, {"c": 0.4, "d": 0.6}) == [("missing", "d", "")]
    assert found(gt, pred, {"c": 0.4, "d": 0.3}) == []
    assert found(gt, pred, {"c": 0.7, "d": 0.7}) == [("missing", "d", ""), ("missing", "c", "")]  # the larger


def test_there_are_not_more_than_asked_for():
    pairs = table("ssssssss", "ccsddsss", c=CAR, d=CAR, s=SKY)
    assert len(candidates(pairs)) == 2
    assert len(candidates(pairs, most=1)) == 1
