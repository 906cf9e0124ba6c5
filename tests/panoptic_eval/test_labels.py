from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanings import meaning_of

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.errors import Faults
from panoptic_eval.labels import UNLISTED, VOID, Encoded, LabelMap, LabelMaps, Listed, other_type, resolve

CATALOGUE = Catalogue((Category(0, "road", False), Category(26, "car", True), Category(3, "bird", True)))
ROAD, CAR, BIRD = 0, 1, 2


def side(meaning, images=2):
    return LabelMaps("", CATALOGUE, tuple(LabelMap(i, Path(f"{i}.png")) for i in range(images)), meaning)


def listed(*rows):
    """From (image, id, category, crowd, score, area)."""
    columns = list(zip(*rows, strict=True)) or [()] * 6
    types = (np.int64, np.int64, np.int64, bool, float, np.int64)
    return Listed(*(np.array(values, kind) for values, kind in zip(columns, types, strict=True)))


def encoded(layout="divided", divisor=1000, bare=True, crowd_groups=False, **codes):
    """From names to category numbers: road, car and bird to index them, void; others are not to be found."""
    category = np.full(max(codes.values()) + 1, -2)
    for name, number in codes.items():
        category[number] = {"road": ROAD, "car": CAR, "bird": BIRD, "void": -1}[name]
    return Encoded(layout, divisor, bare, category, crowd_groups)


CITYSCAPES = encoded(road=7, car=26, void=0, crowd_groups=True)
VISTAS = encoded(bird=0, void=1, road=2, car=3, divisor=256, bare=False)
CHANNELS = encoded("channels", road=7, car=26, void=0)


def test_listed_ids_mean_what_the_json_says_and_0_is_void():
    meaning, faults = meaning_of(
        side(listed((0, 9, CAR, True, 0.5, 20), (0, 4, ROAD, False, np.nan, -1), (1, 9, BIRD, False, 0.25, 7))),
        np.array([0, 0, 0, 1]),
        np.array([0, 4, 9, 9]),
    )
    assert faults == []
    assert meaning.segment.tolist() == [-1, 4, 9, 9]
    assert meaning.category.tolist() == [-1, ROAD, CAR, BIRD]
    assert meaning.crowd.tolist() == [False, False, True, False]
    np.testing.assert_array_equal(meaning.score, [np.nan, np.nan, 0.5, 0.25])
    assert meaning.stated_area.tolist() == [-1, -1, 20, 7]
    assert meaning.row.tolist() == [-1, 1, 0, 2]  # the JSON's order, not that of the ids


def test_pixels_without_an_entry_and_entries_without_a_pixel_are_named():
    maps = side(listed((0, 4, ROAD, False, np.nan, -1), (0, 5, CAR, False, np.nan, -1), (1, 6, CAR, False, np.nan, -1)))
    meaning, faults = meaning_of(maps, np.array([0, 0]), np.array([4, 8]), predicted=True)
    assert len(faults) == 2  # image 1 was not counted: nothing is known about its pixels
    assert all(part in faults[0] for part in ("0.png", "image 0", "id 8", "has pixels", "expected"))
    assert all(part in faults[1] for part in ("0.png", "image 0", "id 5", "no pixel", "expected"))
    assert meaning.segment.tolist() == [4, -1]
    assert meaning.category.tolist() == [ROAD, -1]


def test_in_a_ground_truth_they_are_warnings():
    maps = side(listed((0, 4, ROAD, False, np.nan, -1), (0, 5, CAR, False, np.nan, -1)))
    faults = Faults()
    _, row = resolve(maps, np.array([0, 0, 0]), np.array([4, 8, 0]), faults)
    assert not faults
    assert row.tolist() == [0, UNLISTED, VOID]
    assert [("id 8" in w, "id 5" in w) for w in faults.warnings] == [(True, False), (False, True)]


def test_a_png_with_other_ids_alone_is_of_another_image():
    maps = side(listed((0, 4, ROAD, False, np.nan, -1), (1, 4, ROAD, False, np.nan, -1)))
    _, faults = meaning_of(maps, np.array([0, 1]), np.array([9, 4]))
    assert len(faults) == 1
    assert all(part in faults[0] for part in ("0.png", "image 0", "none of the ids", "expected"))


def test_white_and_other_marks_of_minus_one_are_void_in_predictions():
    faults = Faults()
    _, row = resolve(side(listed()), np.array([0]), np.array([2**24 - 1]), faults, predicted=True)
    assert row.tolist() == [VOID]
    assert "-1" in faults.warnings[0]
    for bits in (8, 16, 24):
        _, row = resolve(side(CITYSCAPES), np.array([0]), np.array([2**bits - 1]), faults, predicted=True)
        assert row.tolist() == [VOID]
    assert not faults
    assert len(meaning_of(side(CITYSCAPES), np.array([0]), np.array([65535]))[1]) == 1  # not in a ground truth


def test_no_entries_and_no_ids_are_fine():
    nothing = np.empty(0, np.int64)
    assert meaning_of(side(listed()), nothing, nothing)[1] == []
    assert meaning_of(side(CITYSCAPES), nothing, nothing)[1] == []
    meaning, faults = meaning_of(side(listed()), np.array([0, 1]), np.array([0, 3], np.uint32), predicted=True)
    assert meaning.segment.tolist() == [-1, -1]
    assert len(faults) == 1


@settings(deadline=None)
@given(st.data())
def test_listed_ids_are_looked_up_image_by_image(data):
    entries = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), unique=True).map(sorted))
    order = data.draw(st.permutations(entries))
    order.sort(key=lambda entry: entry[0])  # any order within an image
    rows = [(i, id_, data.draw(st.integers(0, 2)), data.draw(st.booleans()), 0.5, 10 * i + id_) for i, id_ in order]
    asked = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), unique=True))  # in any order
    image, ids = (np.array(part, np.int64) for part in (zip(*asked, strict=True) if asked else ((), ())))
    meaning, faults = meaning_of(side(listed(*rows), images=4), image, ids, predicted=True)

    json = {(i, id_): (category, crowd, score, area) for i, id_, category, crowd, score, area in rows}
    got = zip(meaning.segment, meaning.category, meaning.crowd, meaning.stated_area, strict=True)
    for (i, id_), found in zip(asked, got, strict=True):
        category, crowd, _, area = json.get((i, id_), (-1, False, None, -1))
        assert found == (id_ if (i, id_) in json else -1, category, crowd, area)
    unlisted = {a for a in asked if a not in json and a[1] != 0}
    unseen = {key for key in json if key[0] in image.tolist() and key not in asked}
    alone = {
        i for i, _ in unlisted if {id_ for k, id_ in json if k == i} and not any(a in json for a in asked if a[0] == i)
    }
    assert len(faults) == len(unlisted) + len(unseen) + len(alone)


def test_cityscapes_ids_below_the_divisor_are_stuff_or_crowds():
    meaning, faults = meaning_of(side(CITYSCAPES), np.zeros(5, int), np.array([0, 7, 26, 26001, 26002]))
    assert faults == []
    assert meaning.category.tolist() == [-1, ROAD, CAR, CAR, CAR]
    assert meaning.crowd.tolist() == [False, False, True, False, False]
    assert meaning.segment.tolist() == [-1, 7, 26, 26001, 26002]
    assert meaning.row.tolist() == [-1, 0, 1, 2, 3]
    assert np.isnan(meaning.score).all()
    assert (meaning.stated_area == -1).all()


def test_vistas_value_0_is_the_first_instance_of_label_0():
    meaning, faults = meaning_of(side(VISTAS), np.zeros(5, int), np.array([0, 1, 256, 512, 769]))
    assert faults == []
    assert meaning.category.tolist() == [BIRD, BIRD, -1, ROAD, CAR]
    assert len({0, 1, 512, 769} & set(meaning.segment.tolist())) == 4  # each a segment
    assert not meaning.crowd.any()


def test_channels_hold_category_and_instance():
    ids = np.array([0, 7, 26, 26 + (1 << 8), 26 + (1 << 16)])  # green and blue are the instance
    meaning, faults = meaning_of(side(CHANNELS), np.zeros(5, int), ids)
    assert faults == []
    assert meaning.category.tolist() == [-1, ROAD, CAR, CAR, CAR]
    assert meaning.segment.tolist() == [-1, 7, *ids[2:].tolist()]
    assert not meaning.crowd.any()  # that is for Cityscapes and IDD ground truths


@pytest.mark.parametrize(
    ("meaning", "ids"),
    [(CITYSCAPES, (7, 7001, 7002)), (VISTAS, (512, 513, 767)), (CHANNELS, (7, 7 + 256, 7 + 512))],
)
def test_every_id_is_a_segment_of_stuff_too(meaning, ids):
    resolved, faults = meaning_of(side(meaning), np.zeros(3, int), np.array(ids))
    assert faults == []
    assert resolved.segment.tolist() == list(ids)
    assert (resolved.category == ROAD).all()


def test_category_0_is_no_void():
    idd = encoded(road=0, car=4, void=255)
    meaning, faults = meaning_of(side(idd), np.zeros(4, int), np.array([0, 255, 4000, 4]))
    assert faults == []
    assert meaning.category.tolist() == [ROAD, -1, CAR, CAR]
    assert meaning.segment.tolist() == [0, -1, 4000, 4]


@pytest.mark.parametrize(
    ("meaning", "id_", "category"),
    [
        (CITYSCAPES, 8, 8),
        (CITYSCAPES, 27003, 27),
        (VISTAS, 4 * 256, 4),
        (CHANNELS, 8, 8),
    ],
)
def test_an_encoded_category_that_does_not_exist_is_named(meaning, id_, category):
    resolved, faults = meaning_of(side(meaning), np.array([0, 1]), np.array([512, id_]))
    assert any(
        all(p in f for p in ("1.png", "image 1", f"id {id_}", f"category {category}", "expected")) for f in faults
    )
    assert resolved.segment[1] == resolved.category[1] == -1


def test_ids_of_the_other_type_are_pointed_out():
    assert 'the string "7"' in other_type("7", {7})
    assert "the integer 7" in other_type(7, {"7"})
    assert other_type(7, {7, "8"}) == ""
    assert other_type("8", {7}) == other_type("x", {7}) == ""


@pytest.mark.parametrize("divisor", [1000, 1])
def test_no_other_divisor_is_named_for_ids_that_it_would_make_one_category(divisor):
    meaning = encoded(road=0, car=26, bird=3, divisor=divisor)
    _, faults = meaning_of(side(meaning), np.zeros(3, int), np.array([4, 5, 9]), predicted=True)
    assert len(faults) == 3
    assert all("says a category that does not exist" in fault for fault in faults)


@pytest.mark.parametrize(
    ("ids", "told"), [([5, 6657, 6658], True), ([5, 6, 6657], False), ([0, 5, 6657], False), ([5, 2304, 2560], False)]
)
def test_the_divisor_that_would_fit_is_named_where_most_ids_are_of_no_category(ids, told):
    """Mapillary's own files without --divisor 256: what the ground truth leaves out is void there."""
    catalogue = Catalogue((Category(1, "bird", True), Category(27, "car", True)))
    meaning = Encoded("divided", 1000, False, np.array([0, *[-1] * 25, 1]), False)
    faults = Faults()
    maps = LabelMaps("", catalogue, (LabelMap(0, Path("0.png")),), meaning)
    resolve(maps, np.zeros(3, int), np.array(ids), faults, predicted=True)
    assert not faults
    assert [w.endswith("with --divisor 256 --category-ids label") for w in faults.warnings] == [True] * told


def test_the_divisor_that_would_fit_is_named():
    ids = np.array([3 * 256, 26 * 256 + 1])
    _, faults = meaning_of(side(encoded(road=0, car=26, bird=3)), np.zeros(2, int), ids, predicted=True)
    assert "--divisor 256" in faults[0]
