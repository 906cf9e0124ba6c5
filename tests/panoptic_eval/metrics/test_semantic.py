import by_mask
import numpy as np
import pytest
import random_maps
from drawings import BUS, CAR, INDEX, SKY, table

from panoptic_eval.metrics.metric import summed
from panoptic_eval.metrics.panoptic_quality import dagger_counts, pq_dagger
from panoptic_eval.metrics.semantic import category_iou, semantic_counts


def iou_of(drawing):
    return category_iou(summed(semantic_counts(drawing)))[0]


def test_a_predicted_void_is_an_error_and_gt_void_is_not():
    iou = iou_of(table("ccc.", "cc.c", c=CAR))
    assert iou[INDEX[CAR]] == 2 / 3


def test_instances_of_a_category_are_one_region_and_crowds_keep_their_category():
    iou = iou_of(table("cdk", "aaa", c=CAR, d=CAR, k=CAR, a=CAR, crowds="k"))
    assert iou[INDEX[CAR]] == 1


def test_only_predicted_is_zero_and_absent_is_undefined():
    iou = iou_of(table("ss", "sb", s=SKY, b=BUS))
    np.testing.assert_array_equal(iou, [np.nan, 0, 0.5, np.nan])


@pytest.mark.parametrize("seed", range(15))
def test_agrees_with_masks(seed):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=5)
    index = {i: k for k, i in enumerate(categories.ids.tolist())}
    tables = random_maps.table(categories, images)
    np.testing.assert_allclose(iou_of(tables), by_mask.miou(images, index), atol=1e-12)
    dagger = pq_dagger(summed(dagger_counts(tables)))[0]
    for k in np.flatnonzero(~categories.isthing):
        np.testing.assert_allclose(dagger[k], by_mask.dagger_of_stuff(images, index, k), atol=1e-12)
