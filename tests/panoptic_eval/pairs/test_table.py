from dataclasses import replace

import numpy as np
import pytest
import random_maps
from drawings import CAR, SKY, table
from table_equality import assert_equal

from panoptic_eval.errors import InputError
from panoptic_eval.outputs.json import encode
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.pairs.table import concatenate, pair_image, take
from panoptic_eval.score import Tables, score


def random_table(seed, images=7):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    return random_maps.table(categories, random_maps.pairs(rng, categories, images=images))


@pytest.mark.parametrize("seed", range(5))
def test_pairs_cover_every_pixel_that_is_not_void_on_both_sides(seed):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=5)
    result = random_maps.table(categories, images)
    pixels = np.bincount(pair_image(result), result.pairs.pixels, len(result))
    assert pixels.tolist() == [((p.gt > 0) | (p.pred > 0)).sum() for p in images]
    for side in ("gt", "pred"):
        segments, pair = getattr(result, side), getattr(result.pairs, side)
        shared = np.bincount(pair[pair >= 0], result.pairs.pixels[pair >= 0], len(segments))
        assert shared.tolist() == segments.area.tolist()


def test_segments_keep_the_order_of_the_json():
    drawing = table("abc", "...", c=CAR, a=CAR, b=CAR)
    assert [chr(i) for i in drawing.gt.id] == ["c", "a", "b"]


def test_boxes_are_tight():
    drawing = table("....\n.cc.\n..c.", "....\n....\n....", c=CAR)
    assert drawing.gt.box.tolist() == [[1, 1, 2, 2]]


@pytest.mark.parametrize("seed", range(5))
def test_a_table_is_the_sum_of_its_images(seed):
    result = random_table(seed)
    assert_equal(concatenate([take(result, np.array([k])) for k in range(len(result))]), result)
    order = np.random.default_rng(seed).permutation(len(result))
    assert_equal(take(take(result, order), np.argsort(order)), result)


def test_tables_of_one_image_do_not_add():
    drawing = table("c", "c", c=CAR)
    with pytest.raises(InputError, match="image 0 is in more than one"):
        concatenate([drawing, drawing])
    with pytest.raises(InputError, match="at least one"):
        concatenate([])


@pytest.mark.parametrize("seed", range(5))
def test_other_numbers_for_the_same_segments_change_no_score(seed):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=5)
    before = score(Tables(random_maps.table(categories, images)))
    renamed = []
    for p in images:
        new = np.append(0, rng.permutation(2**24 - 2)[:2000] + 1).astype(np.uint32)
        sides = {}
        for side in ("gt", "pred"):
            sides[side] = new[getattr(p, side)]
            sides[f"{side}_segments"] = [{**s, "id": int(new[s["id"]])} for s in getattr(p, f"{side}_segments")]
        renamed.append(replace(p, **sides))
    after = score(Tables(random_maps.table(categories, renamed)))
    assert encode(without_ids(after)) == encode(without_ids(before))


def without_ids(report):
    """A report that names no segment."""
    rows = [{k: v for k, v in row.items() if "segment" not in k} for row in report.label_errors]
    return replace(report, label_errors=rows)


def test_faults_of_arrays_name_image_and_id():
    labels = np.ones((2, 2), np.uint32)
    ok = [{"id": 1, "category_id": SKY}]
    from drawings import CATALOGUE

    with pytest.raises(InputError, match=r"gt, image 5: pixels of id 1 have no segment"):
        pair_table(CATALOGUE, labels, [], labels, ok, image_id=5)
    with pytest.raises(InputError, match=r"pred, image 5: segment 9 has no pixel"):
        pair_table(CATALOGUE, labels, ok, labels, [*ok, {"id": 9, "category_id": SKY}], image_id=5)
    with pytest.raises(InputError, match="category_id 77, which is no category; expected one of"):
        pair_table(CATALOGUE, labels, [{"id": 1, "category_id": 77}], labels, ok)
