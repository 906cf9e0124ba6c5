from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import random_maps
from scipy import stats

from panoptic_eval.pairs.table import take
from panoptic_eval.resampling import draw, interval
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables, score
from reproduce.bootstrap import PERCENTILES, best_boxes, bootstrap, hierarchical, t_interval, wide_objects
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


def test_variants_are_paired_by_their_seeds_not_by_their_order(table):
    """CROP has seeds 0 and 1, the other 1 and 2: they share seed 1 alone, in which both are equal."""
    worse = degraded(table)
    scores = bootstrap(
        [
            system("crop", Tables(worse), 0),
            system("crop", Tables(table), 1),
            system("isus", Tables(table), 1),
            system("isus", Tables(worse), 2),
        ],
        resamples=20,
        wide=None,
    )
    gain = scores.combined([(1, "isus", "PQ", "things"), (-1, "crop", "PQ", "things")])
    assert gain.seeds == (0.0,)
    assert (gain.low, gain.high) == (0, 0)
    assert scores.difference("crop", "isus", "PQ", "things").difference == 0
    assert scores.common([(1, "isus", "PQ", "all"), (1, "full", "PQ", "all")]) == []


def resampled(images, weights):
    """A score that is the mean of its images' values (s, i): on all images, then on each resample."""
    return np.concatenate([images.mean(1, keepdims=True), images @ weights.T / weights.sum(1)], 1)


def test_with_one_seed_the_hierarchical_bootstrap_is_that_of_its_images():
    rng = np.random.default_rng(0)
    by_seed = resampled(rng.normal(size=(1, 30)), draw(rng, 30, 100))
    assert np.array_equal(hierarchical(by_seed, rng), by_seed[0])


def test_with_equal_images_it_is_the_bootstrap_of_seeds():
    means = np.array([0.2, 0.5, 0.9])
    by_seed = np.repeat(means[:, None], 2001, 1)
    found = hierarchical(by_seed, np.random.default_rng(3))
    seeds = draw(np.random.default_rng(3), 3, 2000)
    assert found[0] == pytest.approx(means.mean())
    assert found[1:] == pytest.approx(seeds @ means / 3)
    assert len(np.unique(found[1:].round(9))) == 10  # as many as there are ways to draw three of three


def test_scores_of_as_many_seeds_get_the_same_draws_so_that_differences_are_paired():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 4, 200))
    both = [hierarchical(of, np.random.default_rng(7)) for of in (a, b, b - a)]
    assert both[1] - both[0] == pytest.approx(both[2])


def test_a_seed_without_a_score_on_a_resample_spoils_only_what_draws_it():
    by_seed = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, np.nan, np.nan, np.nan]])
    found = hierarchical(by_seed, np.random.default_rng(0))
    counts = draw(np.random.default_rng(0), 2, 3)
    assert np.isnan(found[1:]).tolist() == (counts[:, 1] > 0).tolist()


def test_students_interval_is_scipys_and_nothing_of_one_seed():
    values = [0.3, 0.5, 0.4, 0.7]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx(tuple(expected))
    assert np.isnan(t_interval([0.3])).all()


@pytest.mark.parametrize("seeds", [3, 10])
def test_coverage_on_simulated_trainings(seeds):
    """A gain of 0, to which each training adds its own error, and each image one that all trainings share.

    Student's interval is right about the gain on these images, whatever the number of seeds. Resampling seeds and
    images is right about that on all images once there are enough seeds, and too sure of three; resampling images
    alone is far too sure.
    """
    rng = np.random.default_rng(seeds)
    trials, images = 400, 60
    weights = draw(rng, images, 300)
    hits = {"t": 0, "hierarchical": 0, "images": 0}
    for _ in range(trials):
        of_images = 4 * rng.normal(size=(1, images))
        by_seed = resampled(2 * rng.normal(size=(seeds, 1)) + of_images, weights)
        low, high = t_interval(by_seed[:, 0])
        hits["t"] += low <= of_images.mean() <= high
        for name, values in (("hierarchical", hierarchical(by_seed, rng)), ("images", by_seed.mean(0))):
            low, high = interval(values)
            hits[name] += low <= 0 <= high
    share = {name: n / trials for name, n in hits.items()}
    assert share["t"] == pytest.approx(0.95, abs=0.035)
    assert (0.88 if seeds == 10 else 0.7) < share["hierarchical"] < (0.97 if seeds == 10 else 0.9)
    assert share["images"] < (0.85 if seeds == 10 else 0.7)


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
