import contextlib
import io

import boundary_reference
import numpy as np
import pytest
import random_maps
from drawings import BUS, CAR, CATALOGUE, INDEX, ROAD, SKY, table
from panopticapi.evaluation import pq_compute_single_core

from panoptic_eval.metrics.metric import summed
from panoptic_eval.metrics.panoptic_quality import (
    boundary_counts,
    dagger_counts,
    panoptic_quality,
    pq_counts,
    pq_dagger,
    recognition_quality,
    segmentation_quality,
    split_stuff,
)
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.pairs.table import concatenate
from panoptic_eval.rules import Rules

QUIRKS = Rules(protocol="panopticapi")


def row(counts, category):
    k = INDEX[category]
    total = summed(counts)
    return total.iou[0, k], total.tp[0, k], total.fp[0, k], total.fn[0, k]


def dagger(drawing):
    return pq_dagger(summed(dagger_counts(drawing)))[0]


def test_a_match_needs_more_than_half_the_union():
    counts = pq_counts(table("cccs", "ccss", c=CAR, s=SKY))
    assert row(counts, CAR) == (2 / 3, 1, 0, 0)
    assert row(counts, SKY) == (0, 0, 1, 1)  # exactly one half


def test_void_leaves_the_prediction_but_a_predicted_void_costs():
    assert row(pq_counts(table("cc..", "cccc", c=CAR)), CAR) == (1, 1, 0, 0)
    assert row(pq_counts(table("cccc", "ccc.", c=CAR)), CAR) == (0.75, 1, 0, 0)


def test_crowd_does_not_leave_the_prediction():
    assert row(pq_counts(table("cckk", "cccc", c=CAR, k=CAR, crowds="k")), CAR) == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("gt", "pred", "false"),
    [
        ("k.s", "ccc", 0),  # two of three pixels are no error
        ("k.ss", "cccc", 1),  # exactly one half
        ("kkk", "ccc", 0),
        ("kkk", "bbb", 1),  # a crowd of another category excuses nothing
    ],
)
def test_a_prediction_in_void_and_its_own_crowd_does_not_count(gt, pred, false):
    counts = summed(pq_counts(table(gt, pred, c=CAR, b=BUS, k=CAR, s=SKY, crowds="k")))
    assert counts.fp.sum() == false
    assert counts.tp.sum() == 0


def test_all_crowds_of_a_category_excuse_unlike_in_panopticapi():
    drawing = table("kl.s", "ccss", c=CAR, k=CAR, l=CAR, s=SKY, crowds="kl")
    assert row(pq_counts(drawing), CAR)[2] == 0
    assert row(pq_counts(drawing, QUIRKS), CAR)[2] == 1


def test_stated_areas_are_a_quirk():
    from dataclasses import replace

    drawing = table("cccc", "cccc", c=CAR)
    stale = replace(drawing, gt=replace(drawing.gt, stated_area=np.array([6.0])))
    assert row(pq_counts(stale), CAR)[0] == 1
    assert row(pq_counts(stale, QUIRKS), CAR)[0] == 4 / 6


def test_absent_is_nan_and_unmatched_is_zero():
    counts = summed(pq_counts(table("cc", "bb", c=CAR, b=BUS)))
    for metric in (panoptic_quality, segmentation_quality, recognition_quality):
        np.testing.assert_array_equal(metric(counts)[0], [0, 0, np.nan, np.nan])


def test_dagger_averages_stuff_over_the_images_that_have_it():
    one = table("ssss", "sss.", s=SKY, image_id=1)
    two = table("ssrr", "rrrr", s=SKY, r=ROAD, image_id=2)
    both = concatenate([one, two])
    value = dagger(both)
    np.testing.assert_array_equal(value, [np.nan, np.nan, (0.75 + 0) / 2, 0.5])  # no threshold: one half counts


def test_dagger_does_not_punish_stuff_where_gt_has_none():
    drawing = table("cc", "ss", c=CAR, s=SKY)
    np.testing.assert_array_equal(dagger(drawing), [0, np.nan, np.nan, np.nan])


def test_dagger_takes_the_segments_of_a_stuff_category_as_one():
    drawing = table("sssstt", "uuvvvv", s=SKY, t=SKY, u=SKY, v=SKY)
    assert dagger(drawing)[INDEX[SKY]] == 1
    assert split_stuff(drawing).tolist() == [0]
    assert split_stuff(table("sscc", "ssdd", s=SKY, c=CAR, d=CAR)).tolist() == []


def panopticapi_counts(tmp_path, categories, images):
    """What panopticapi says of the same images, (iou, tp, fp, fn) by category id."""
    import json

    gt_json, pred_json = random_maps.write(tmp_path, categories, images)
    gt, pred = (json.loads(f.read_text())["annotations"] for f in (gt_json, pred_json))
    kinds = {c.id: {"id": c.id, "isthing": int(c.isthing)} for c in categories.categories}
    with contextlib.redirect_stdout(io.StringIO()):
        stat = pq_compute_single_core(
            0, list(zip(gt, pred, strict=True)), str(gt_json.with_suffix("")), str(pred_json.with_suffix("")), kinds
        )
    return {i: (stat[i].iou, stat[i].tp, stat[i].fp, stat[i].fn) for i in kinds}


@pytest.mark.parametrize("seed", range(25))
def test_agrees_with_panopticapi(tmp_path, seed):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=6)
    for p in images:  # stale areas, which it trusts
        for s in p.gt_segments:
            s["area"] += int(rng.integers(0, 3))
    expected = panopticapi_counts(tmp_path, categories, images)
    tables = random_maps.table(categories, images)
    from dataclasses import replace

    stated = np.array([s["area"] for p in images for s in p.gt_segments], float)
    tables = replace(tables, gt=replace(tables.gt, stated_area=stated))
    counts = summed(pq_counts(tables, QUIRKS))
    for k, category in enumerate(categories.ids.tolist()):
        assert counts.iou[0, k] == pytest.approx(expected[category][0], abs=1e-12)
        assert (counts.tp[0, k], counts.fp[0, k], counts.fn[0, k]) == expected[category][1:]


def test_the_catalogue_of_the_drawings_is_the_one_indexed():
    assert {c.id: k for k, c in enumerate(CATALOGUE.categories)} == INDEX


@pytest.mark.parametrize("ratio", [0.02, 0.15])
@pytest.mark.parametrize("seed", range(8))
def test_boundary_pq_counts_are_those_of_masks(seed, ratio):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=8)
    counts = summed(boundary_counts(random_maps.table(categories, images, boundary=ratio)))
    for name, expected in zip(("iou", "tp", "fp", "fn"), boundary_reference.boundary_pq(images, ratio), strict=True):
        found = getattr(counts, name)[0]
        np.testing.assert_allclose(found, [expected.get(c, 0) for c in categories.ids.tolist()], rtol=1e-12)


def test_a_boundary_that_is_missed_costs_a_match_that_the_inside_would_give():
    gt = np.ones((60, 60), np.uint32)
    gt[10:50, 10:50] = 2
    pred = np.where(gt == 2, 4, 3).astype(np.uint32)
    pred[10:12], pred[:, 10:12] = 3, 3  # a tenth of its pixels, and half of its boundary
    road, car = ({"id": i, "category_id": c} for i, c in ((1, ROAD), (2, CAR)))
    predicted = [{"id": 3, "category_id": ROAD}, {"id": 4, "category_id": CAR}]
    drawing = pair_table(CATALOGUE, gt, [road, car], pred, predicted, boundary=1 / 85)  # 1 pixel of a diagonal of 85
    assert row(boundary_counts(drawing), CAR)[1:] == (0, 1, 1)
    assert row(pq_counts(drawing), CAR) == (0.9025, 1, 0, 0)
