"""Slices of images: each is scored as if it were the run, and compared with the other images."""

import math

import numpy as np
import pytest
import random_maps

from panoptic_eval import InputError
from panoptic_eval.pairs.table import take
from panoptic_eval.score import Tables, score
from panoptic_eval.slices import read_attributes, slice_rows


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(5)
    categories = random_maps.catalogue(rng)
    return Tables(random_maps.table(categories, random_maps.pairs(rng, categories, images=10)))


def file(tmp_path, *lines):
    path = tmp_path / "attributes.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_images_are_found_by_id_and_empty_values_are_in_no_slice(tmp_path):
    path = file(tmp_path, "image_id,weather,city", "1,rain,Ulm", "2,,Ulm", "x,sun,Bonn", "99,sun,Ulm")
    found = read_attributes(path, (1, 2, "x"))
    assert {a: {v: list(i) for v, i in of.items()} for a, of in found.items()} == {
        "weather": {"rain": [0], "sun": [2]},
        "city": {"Bonn": [2], "Ulm": [0, 1]},
    }


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("id,weather", "1,rain"), "has no column image_id"),
        (("image_id", "1"), "expected a column for each attribute"),
        (("image_id,weather", "x,rain"), "none of the images"),
        (("image_id,weather", "1,rain", "1,sun"), "lists image 1 twice"),
        (("image_id,n", *(f"{k},{k}" for k in range(1, 61))), "n has 60 values; expected at most 50"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, lines, said):
    with pytest.raises(InputError, match=said):
        read_attributes(file(tmp_path, *lines), tuple(range(1, len(lines) + 2)))


def test_a_slice_has_the_scores_of_its_images_alone(tables):
    halves = {"half": {"a": np.arange(4), "b": np.arange(4, 10)}}
    rows = {(r["value"], r["score"], r["part"]): r for r in slice_rows(tables, halves, resamples=20)}
    a, b = (score(Tables(take(tables.panoptic, images))).scores for images in halves["half"].values())
    for (value, name, part), row in rows.items():
        mine, other = (a, b) if value == "a" else (b, a)
        assert row["slice"] == pytest.approx(mine[name][part], nan_ok=True)
        assert row["rest"] == pytest.approx(other[name][part], nan_ok=True)
        assert row["difference"] == pytest.approx(row["slice"] - row["rest"], nan_ok=True)
        assert row["images"] == (4 if value == "a" else 6)


def test_slices_that_differ_are_told_from_those_that_do_not():
    rng = np.random.default_rng(1)
    categories = random_maps.catalogue(rng)
    drawn = random_maps.pairs(rng, categories, images=60, crowds=False)
    right = [
        random_maps.Pair(p.image_id, p.gt, p.gt_segments, p.gt, p.gt_segments) if k < 30 else p
        for k, p in enumerate(drawn)
    ]
    tables = Tables(random_maps.table(categories, right))
    split = {"right": {"yes": np.arange(30), "no": np.arange(30, 60)}, "odd": {"0": np.arange(0, 60, 2)}}
    rows = {(r["attribute"], r["value"], r["score"], r["part"]): r for r in slice_rows(tables, split, resamples=200)}
    row = rows["right", "yes", "PQ", "all"]
    assert row["slice"] == 1
    assert row["difference_low"] > 0
    assert row["p"] < 0.02
    assert rows["right", "no", "PQ", "all"]["difference_high"] < 0
    alone = rows["odd", "0", "PQ", "all"]  # no image has another value
    assert math.isnan(alone["rest"])
    assert math.isnan(alone["p"])


def test_a_single_image_has_no_interval_and_equal_seeds_give_equal_rows(tables):
    split = {"one": {"a": np.array([3]), "b": np.arange(4, 10)}}
    rows = slice_rows(tables, split, resamples=20)
    assert all(math.isnan(r["low"]) for r in rows if r["value"] == "a")
    assert repr(rows) == repr(slice_rows(tables, split, resamples=20))
    assert all(math.isnan(r["low"]) for r in slice_rows(tables, split, resamples=0))
