import csv
import json

import numpy as np
import pytest
from drawings import BUS, CAR, CATALOGUE, SKY, table
from folders import write_rgb
from PIL import Image
from variant_folders import write_checkpoints, write_validation

from panoptic_eval.outputs.pictures import Region
from panoptic_eval.pairs.table import concatenate
from reproduce.fig6 import (
    boxes_on,
    crop_widths,
    dull,
    large_objects,
    main,
    objects_of,
    predicted_objects,
    ranked_images,
    segments_on,
)
from reproduce.systems import System

GT = ("cccc....", "........cccc", "ssccccss", "cc......", "ss..cccc")
"""One image each: a car of four pixels on all but the fourth, whose car has two."""


def joined(*predictions):
    kinds = {"c": CAR, "d": CAR, "b": BUS, "s": SKY}
    return concatenate([table(g, p, image_id=k, **kinds) for k, (g, p) in enumerate(zip(GT, predictions, strict=True))])


A = joined("cccc....", ".....dddd.cc", "ssc.ddss", "cc......", "ss..bbbb")
B = joined("cc......", "........cccc", "ssccccss", "........", "ss..c...")
"""IoU of the cars in A: 1, 0.5, 0.5, 1, 0 (a bus); in B: 0.5, 1, 1, 0, 0.25."""


def test_images_are_ranked_by_the_absolute_difference_and_then_by_their_order():
    rows, rule = large_objects(A, np.full(5, 3))
    assert rule == "things wider than the training crop"
    ranked = ranked_images(A, B, rows)
    assert ranked["image"].tolist() == [0, 1, 2, 4]  # the third, without a large object, is none of them
    assert ranked["difference"].tolist() == [-0.5, 0.5, 0.5, 0.25]
    assert ranked["a"].tolist() == [1, 0.5, 0.5, 0]
    assert ranked["large"].tolist() == [1] * 4
    assert ranked_images(B, A, rows)["image"].tolist() == ranked["image"].tolist()


def test_without_wide_things_those_of_the_largest_areas_are_large():
    rows, rule = large_objects(A, np.full(5, np.inf))
    assert "95th percentile" in rule
    assert A.gt.area[rows].tolist() == [4] * 4


def test_a_thing_is_compared_with_the_crop_at_the_size_of_its_own_image():
    rows, _ = large_objects(A, np.array([4, 3, 1, 1, 4]))
    assert A.gt.image[rows].tolist() == [1, 2, 3]


def test_the_boxes_drawn_are_those_mostly_on_a_large_object_of_their_category():
    rows, _ = large_objects(A, np.full(5, 3))
    at = {k: rows[A.gt.image[rows] == k] for k in (1, 2, 4)}
    assert boxes_on(A, at[1]).tolist() == [[10, 0, 2, 1]]  # of the other car, one pixel of four lies on it
    assert boxes_on(A, at[2]).tolist() == [[2, 0, 1, 1], [4, 0, 2, 1]]
    assert boxes_on(A, at[4]).tolist() == []


def test_an_object_has_one_number_in_all_columns():
    assert objects_of(A, 2) == {ord("c"): 0}
    assert predicted_objects(A, 2) == {ord("c"): 0, ord("d"): 0}  # both lie on the one car
    assert predicted_objects(B, 2) == {ord("c"): 0}
    assert predicted_objects(A, 4) == {}  # a bus is no car
    assert predicted_objects(B, 3) == {}


def test_a_prediction_on_two_objects_belongs_to_the_one_it_shares_most_with():
    both = table("ccddddss", "eeeeeess", c=CAR, d=CAR, e=CAR, s=SKY)
    assert predicted_objects(both, 0) == {ord("e"): objects_of(both, 0)[ord("d")]}


def test_colors_say_which_object_and_stripes_where_there_is_none(tmp_path):
    ids = np.zeros((24, 24), int)
    ids[:8, :8], ids[:8, 12:20] = 1, 2
    png = write_rgb(tmp_path / "ids.png", ids)
    car = CATALOGUE.categories[0]
    gray = Image.new("RGB", (24, 24), (128,) * 3)
    drawn = {number: segments_on(gray, png, [Region(1, car), Region(2, car)], {1: number}) for number in (0, 1)}
    assert (drawn[0][3, 3] != drawn[1][3, 3]).any()
    assert (drawn[0][3, 15] == drawn[1][3, 15]).all()  # on no object: gray
    assert len(set(drawn[0][3, 15].tolist())) == 1
    assert {tuple(c) for c in drawn[0][10:].reshape(-1, 3).tolist()} == {(40,) * 3, (90,) * 3}


def test_colors_of_stuff_are_grayer_and_as_bright():
    assert dull((0, 0, 150)) == (30, 30, 90)
    assert dull(None) is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("fig6")
    gt = write_validation(root / "gt")
    write_checkpoints(root / "checkpoints", gt, {"crop/seed0": 3, "crop+cabb+isus/seed0": 1})
    return root


def arguments(folder, out):
    given = {"gt": "gt", "checkpoints": "checkpoints", "folder": "runs"}
    options = [argument for key, name in given.items() for argument in (f"--{key}", str(folder / name))]
    return [*options, "--device", "cpu", "--out", str(out)]


def test_the_crop_is_brought_to_the_size_of_each_image(folder):
    ours = System("crop", 0, folder / "checkpoints/crop/seed0", None, folder, None)
    other = System("theirs", None, None, None, folder, None)
    sizes = np.array([[64, 96], [256, 128]])
    assert crop_widths([other, ours], sizes).tolist() == [64, 128]  # crops of 64 from shortest sides of 64
    assert crop_widths([other], sizes).tolist() == [np.inf, np.inf]


def test_the_command_writes_the_figure_the_ranking_and_where_it_comes_from(folder, tmp_path, capsys):
    main([*arguments(folder, tmp_path), "--images", "2"])
    assert {p.name for p in tmp_path.iterdir()} == {f"fig6.{suffix}" for suffix in ("png", "pdf", "csv", "json")}
    assert Image.open(tmp_path / "fig6.png").width == 1584
    rows = list(csv.DictReader((tmp_path / "fig6.csv").open()))
    assert [r["drawn"] for r in rows] == ["True", "True"] + ["False"] * (len(rows) - 2)
    assert all({"iou crop", "iou crop+cabb+isus", "large", "difference"} <= set(r) for r in rows)
    record = json.loads((tmp_path / "fig6.json").read_text())
    assert record["config"]["systems"] == ["crop", "crop+cabb+isus"]
    assert set(record["checkpoints"]) == {"crop/seed0", "crop+cabb+isus/seed0"}
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    main([*arguments(folder, tmp_path), "--images", "2"])
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert "large objects" in capsys.readouterr().out


def test_a_system_that_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(SystemExit, match=r"no system 'full'; expected two of those there are: crop, crop\+cabb\+isus"):
        main([*arguments(folder, tmp_path), "--systems", "crop", "full"])
    with pytest.raises(SystemExit, match="--images is 0"):
        main([*arguments(folder, tmp_path), "--images", "0"])
    assert not list(tmp_path.iterdir())
