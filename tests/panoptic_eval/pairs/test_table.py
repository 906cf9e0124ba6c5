from dataclasses import replace

import numpy as np
import pytest
import random_maps
from drawings import CAR, SKY, table

from panoptic_eval.errors import InputError
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.pairs.table import Origin, concatenate, load, pair_image, save, take
from panoptic_eval.score import Tables, score


def random_table(seed, images=7):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    return random_maps.table(categories, random_maps.pairs(rng, categories, images=images))


def assert_equal(a, b):
    for name in ("image_id", "catalogue"):
        assert getattr(a, name) == getattr(b, name)
    np.testing.assert_array_equal(a.size, b.size)
    for side in ("gt", "pred", "pairs"):
        for name, values in vars(getattr(a, side)).items():
            np.testing.assert_array_equal(values, getattr(getattr(b, side), name), err_msg=f"{side}.{name}")


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


def test_what_is_saved_reads_back_equal(tmp_path):
    origin = Origin("somewhere", "else", "skip", missing_images=2, shard=(1, 2), warnings=("odd",))
    result = replace(random_table(3), has_masks=False, origin=origin)
    save(result, tmp_path / "pairs")
    read = load(tmp_path / "pairs")
    assert_equal(read, result)
    assert (read.origin, read.has_masks) == (origin, False)
    assert [p.name for p in tmp_path.iterdir()] == ["pairs"]


def test_string_ids_read_back_as_strings(tmp_path):
    drawing = replace(table("c", "c", c=CAR), image_id=("--x7",))
    save(drawing, tmp_path / "pairs")
    assert load(tmp_path / "pairs").image_id == ("--x7",)


def test_something_else_is_no_pair_table(tmp_path):
    with pytest.raises(InputError, match="is no pair table"):
        load(tmp_path)
    save(random_table(1), tmp_path / "pairs")
    (tmp_path / "pairs" / "pairs.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(InputError, match="is no pair table"):
        load(tmp_path / "pairs")


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
    assert score(Tables(random_maps.table(categories, renamed))).to_json() == before.to_json()


def test_faults_of_arrays_name_image_and_id():
    labels = np.ones((2, 2), np.uint32)
    ok = [{"id": 1, "category_id": SKY}]
    from drawings import CATALOGUE

    with pytest.raises(InputError, match=r"image 5.* id 1"):
        pair_table(CATALOGUE, labels, [], labels, ok, image_id=5)
    with pytest.raises(InputError, match=r"image 5.* id 9"):
        pair_table(CATALOGUE, labels, ok, labels, [*ok, {"id": 9, "category_id": SKY}], image_id=5)
    with pytest.raises(InputError, match="category 77 is not"):
        pair_table(CATALOGUE, labels, [{"id": 1, "category_id": 77}], labels, ok)
