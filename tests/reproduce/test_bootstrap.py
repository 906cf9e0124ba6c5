from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import random_maps

from panoptic_eval.pairs.table import take
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables, score
from reproduce.bootstrap import PERCENTILES, best_boxes, bootstrap, wide_objects
from reproduce.systems import System


def system(name, tables, seed=0):
    return System(name, seed, None, None, Path(name), tables)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    categories = random_maps.catalogue(rng)
    return random_maps.table(categories, random_maps.pairs(rng, categories, images=20))


def degraded(table):
    """The same predictions, but every second thing segment belongs to another thing category."""
    things = np.flatnonzero(table.catalogue.isthing)
    category = table.pred.category.copy()
    wrong = np.flatnonzero(np.isin(category, things))[::2]
    category[wrong] = things[(np.searchsorted(things, category[wrong]) + 1) % len(things)]
    return replace(table, pred=replace(table.pred, category=category))


def test_values_on_the_images_as_they_are_are_the_report(table):
    scores = bootstrap([system("a", Tables(table))], resamples=20, wide=None)
    report = score(Tables(table), Rules(percentiles=PERCENTILES))
    for key in (("PQ", "all"), ("PC", "things"), ("AP_mask", "AP")):
        assert scores.estimate("a", *key).value == pytest.approx(report.scores[key[0]][key[1]], abs=1e-12)
    bins = [scores.estimate("a", "AP_box", part).value for part in scores.bins if part != "99–100 %"]
    assert bins == pytest.approx([row["AP_box"] for row in report.size_percentiles], abs=1e-12, nan_ok=True)
    assert list(scores.bins.values())[:5] == [row["instances"] for row in report.size_percentiles]


def test_intervals_hold_the_value_and_shrink_with_more_images(table):
    few = take(table, np.arange(5))
    wide, narrow = (
        bootstrap([system("a", Tables(t))], resamples=200, wide=None).estimate("a", "PQ", "all") for t in (few, table)
    )
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_seeds_are_averaged_and_differences_are_paired(table):
    worse = degraded(table)
    scores = bootstrap(
        [system("good", Tables(table)), system("good", Tables(worse), 1), system("bad", Tables(worse))],
        resamples=50,
        wide=None,
    )
    good, bad = (scores.estimate(name, "PQ", "things") for name in ("good", "bad"))
    assert good.value == pytest.approx(np.mean(good.seeds))
    assert good.seeds[1] == bad.value
    difference = scores.difference("bad", "good", "PQ", "things")
    assert difference.difference == pytest.approx(good.seeds[0] - bad.value)  # of the seed that both have
    assert scores.difference("bad", "bad", "PQ", "things").high == 0


def test_boxes_of_wide_objects(table):
    """Ground truth as its own detections is found as it is; shifted by half its width it is not."""
    gt = table.gt
    same = replace(table, pred=replace(table.pred, **{f: getattr(gt, f) for f in ("image", "category", "box")}))
    iou, ratio = best_boxes(same, np.arange(len(gt)))
    assert iou == pytest.approx(1)
    assert ratio == pytest.approx(1)
    box = gt.box.copy()
    box[:, 0] -= box[:, 2]  # twice as wide: the gt is its right half
    box[:, 2] *= 2
    double = replace(same, pred=replace(same.pred, box=box))
    weights = np.ones((1, len(table)), np.int64)
    values = wide_objects(double, weights, width=10)
    assert values["wide", "recall@.5"] == pytest.approx(1)  # an IoU of exactly a half
    assert values["wide", "mean IoU"] >= 0.5
    assert 1 <= values["wide", "width ratio"] <= 2
    none = replace(same, pred=replace(same.pred, category=np.full(len(gt), -1)))
    values = wide_objects(none, weights, width=10)
    assert values["wide", "recall@.5"] == values["wide", "mean IoU"] == 0
    assert np.isnan(values["wide", "width ratio"])
