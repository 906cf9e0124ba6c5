"""What the pixels say about predictions that can be scored and are probably not meant so."""

from dataclasses import replace

import numpy as np
import pytest

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.pairs.counts import Pairs
from panoptic_eval.pairs.table import Segments, concatenate
from panoptic_eval.suspicions import one_category, other_categories, semantic_maps, suspicions

IDS = (1, 2, 3, 5, 8, 9)
CATALOGUE = Catalogue(tuple(Category(id_, f"c{id_}", id_ > 3) for id_ in IDS))
STRIPES = np.repeat(np.arange(1, 7), 4)[None].repeat(3, axis=0)
"""Six segments side by side, one of each category."""


def table(number, ids=None, agreeing=0):
    """Gt's category k is predicted with the number `number(k, id)`; the segments' ids are as given."""
    ids = list(range(1, 7)) if ids is None else ids
    gt = [{"id": k + 1, "category_id": id_} for k, id_ in enumerate(IDS)]
    right = [id_ if k < agreeing else number(k, id_) for k, id_ in enumerate(IDS)]
    listed = [k for k in range(6) if right[k] in IDS]
    labels = np.where(np.isin(STRIPES - 1, listed), np.array(ids)[STRIPES - 1], 0)
    pred = [{"id": ids[k], "category_id": right[k]} for k in listed]
    return concatenate([pair_table(CATALOGUE, STRIPES, gt, labels, pred, image_id=image) for image in range(3)])


def test_right_predictions_raise_no_suspicion():
    assert suspicions(table(lambda k, id_: id_)) == ()


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (lambda k, id_: k, "--category-ids position"),
        (lambda k, id_: id_ - 1, "--category-ids label"),
        (lambda k, id_: id_ + 1, "adding -1"),
        (lambda k, id_: IDS[(k * 5 + 1) % 6], "expected categories numbered or named"),
    ],
)
def test_the_renumbering_that_would_fit_is_named(number, cure):
    warning = other_categories(table(number))
    assert cure in warning
    assert "none of them in its category" in warning
    assert " here is c" in warning


@pytest.mark.parametrize(
    ("value", "cure"),
    [
        (lambda id_: (id_ - 1) * 256 + 1, "--divisor 256 --category-ids label"),
        (lambda id_: id_ * 256 + 3, "--divisor 256 would"),
        (lambda id_: id_ * 1000 + 3, "--divisor 1000 would"),
    ],
)
def test_values_of_another_divisor_are_recognized(value, cure):
    shuffled = table(lambda k, id_: IDS[(k * 5 + 1) % 6], ids=[value(id_) for id_ in IDS])
    assert cure in other_categories(shuffled)


def test_where_some_agree_nothing_is_said():
    assert other_categories(table(lambda k, id_: IDS[(k + 1) % 6], agreeing=1)) == ""


def test_a_numbering_that_fits_all_is_named_where_some_agree():
    """Values of Mapillary's own files, divided by 1000: its first category is right."""
    values = [(id_ - 1) * 256 + 1 for id_ in IDS]
    divided = table(lambda k, _: values[k] // 1000 + 1, ids=values)
    warning = other_categories(divided)
    assert "but 3 of them in its category" in warning
    assert "--divisor 256 --category-ids label would fit" in warning
    assert other_categories(table(lambda k, _: values[k] // 1000 + 1, ids=values, agreeing=4)) == ""


def test_few_segments_say_nothing():
    one = pair_table(CATALOGUE, STRIPES[:, :8], [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 2}],
                     STRIPES[:, :8], [{"id": 1, "category_id": 2}, {"id": 2, "category_id": 3}])  # fmt: skip
    assert other_categories(one) == ""


def test_predictions_elsewhere_are_only_poor():
    shifted = table(lambda k, id_: IDS[(k + 1) % 6])
    pairs = replace(shifted.pairs, pixels=np.ones_like(shifted.pairs.pixels))
    assert other_categories(replace(shifted, pairs=pairs)) == ""


def cars(objects):
    """Six images of two cars each in gt, and of so many in the prediction."""
    gt = [{"id": 1, "category_id": 5}, {"id": 2, "category_id": 5}]
    labels = np.array([[1, 2]])
    pred = labels if objects == 2 else np.ones((1, 2), int)
    return concatenate([pair_table(CATALOGUE, labels, gt, pred, gt[:objects], image_id=image) for image in range(6)])


def test_semantic_maps_are_told():
    assert "look like semantic maps" in semantic_maps(cars(1))
    assert semantic_maps(cars(2)) == ""
    assert semantic_maps(concatenate([cars(1), replace(cars(2), image_id=tuple("abcdef"))])) == ""


def test_predictions_without_a_segment_are_told():
    gt = [{"id": 1, "category_id": 5}]
    void = np.zeros((1, 2), int)
    assert "no image has a predicted segment" in suspicions(pair_table(CATALOGUE, void + 1, gt, void, []))[0]
    assert suspicions(pair_table(CATALOGUE, void, [], void, [])) == ()


def test_predictions_of_one_category_are_told():
    warning = one_category(table(lambda k, id_: 3))
    assert "are of category 3 (c3)" in warning
    assert "6 categories" in warning
    assert "with --divisor 1" in warning
    assert one_category(table(lambda k, id_: 3 if k else 5)) == ""


def test_the_surest_of_the_detections_on_an_object_counts():
    right, wrong = (table(number) for number in (lambda k, id_: id_, lambda k, id_: IDS[(k + 1) % 6]))
    both = Segments.concatenate([wrong.pred, right.pred])
    half = np.repeat([0.5, 0.4], len(wrong.pred))
    pairs = Pairs(
        np.concatenate([wrong.pairs.gt, right.pairs.gt]),
        np.concatenate([wrong.pairs.pred, right.pairs.pred + len(wrong.pred)]),
        np.concatenate([wrong.pairs.pixels, right.pairs.pixels]),
    )
    mixed = replace(wrong, pred=replace(both, score=half), pairs=pairs)
    assert "none of them" in other_categories(mixed)
    assert other_categories(replace(mixed, pred=replace(both, score=half[::-1]))) == ""
