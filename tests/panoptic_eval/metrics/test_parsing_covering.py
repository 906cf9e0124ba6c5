import by_mask
import numpy as np
import pytest
import random_maps
from drawings import CAR, INDEX, SKY, table

from panoptic_eval.metrics.metric import summed
from panoptic_eval.metrics.parsing_covering import parsing_covering, pc_counts
from panoptic_eval.pairs.table import concatenate
from panoptic_eval.rules import Rules


def pc(drawing, pc_weight="image"):
    return parsing_covering(summed(pc_counts(drawing, Rules(pc_weight=pc_weight))))[0]


def test_one_prediction_covers_several_segments():
    assert pc(table("ccdd", "aaaa", c=CAR, d=CAR, a=CAR))[INDEX[CAR]] == 0.5


def test_large_segments_weigh_more():
    value = pc(table("cccd", "aaa.", c=CAR, d=CAR, a=CAR))
    assert value[INDEX[CAR]] == 0.75


def test_void_and_crowds_of_any_category_leave_the_prediction():
    assert pc(table("cc.k", "aaaa", c=CAR, a=CAR, k=SKY, crowds="k"))[INDEX[CAR]] == 1


def test_by_image_size_is_the_default():
    small, large = table("c", "c", c=CAR, image_id=1), table("cccc....", "........", c=CAR, image_id=2)
    both = concatenate([small, large])
    assert pc(both)[INDEX[CAR]] == 1 / 1.5
    assert pc(both, "pixels")[INDEX[CAR]] == 1 / 5


def test_a_category_that_is_only_predicted_is_left_out():
    np.testing.assert_array_equal(pc(table("..", "cc", c=CAR)), [np.nan] * 4)


@pytest.mark.parametrize("pc_weight", ["image", "pixels"])
@pytest.mark.parametrize("seed", range(15))
def test_agrees_with_masks(seed, pc_weight):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=5)
    index = {i: k for k, i in enumerate(categories.ids.tolist())}
    value = pc(random_maps.table(categories, images), pc_weight)
    np.testing.assert_allclose(value, by_mask.covering(images, index, pc_weight == "image"), atol=1e-12)
