import json

import numpy as np
import pytest
import random_maps
from PIL import Image

from panoptic_eval.categories import Category
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import evaluate, load
from panoptic_eval.outputs.pictures import OPACITY, Region, color, overlay, picture, regions, write

SKY, CAR = Category(4, "sky", False, (0, 100, 200)), Category(7, "car", True)


def test_segments_are_tinted_void_is_left_and_edges_are_black():
    image = np.full((4, 8, 3), 50, np.uint8)
    ids = np.zeros((4, 8), int)
    ids[:, 4:] = 9
    drawn = overlay(image, ids, [Region(9, SKY)])
    assert (drawn[:, :3] == 50).all()
    assert (drawn[:, 3] == 0).all()
    expected = 50 * (1 - OPACITY) + np.array(SKY.color) * OPACITY
    assert np.abs(drawn[:, 4:] - expected).max() <= 0.5


def test_instances_of_a_category_differ_and_categories_without_color_get_one():
    shades = {tuple(color(CAR, number)) for number in range(5)}
    assert len(shades) == 5
    assert tuple(color(CAR, 0)) != tuple(color(Category(8, "bus", True), 0))
    assert (color(SKY, 1) == SKY.color).all()


def test_a_name_is_written_on_an_instance_of_some_size_and_on_nothing_else():
    image = np.zeros((60, 60, 3), np.uint8)
    ids = np.ones((60, 60), int)
    plain = overlay(image, ids, [Region(1, SKY)])
    named = overlay(image, ids, [Region(1, CAR, 0.5)])
    assert len(np.unique(plain.reshape(-1, 3), axis=0)) == 1
    assert (named.min(-1) > 200).any()
    ids[:] = 0
    ids[5, 5] = 1
    assert not (overlay(image, ids, [Region(1, CAR, 0.5)]).min(-1) > 200).any()


@pytest.fixture
def run(tmp_path):
    """A stored run, and its ground truth."""
    rng = np.random.default_rng(8)
    categories = random_maps.catalogue(rng)
    gt, pred = random_maps.write(tmp_path / "data", categories, random_maps.pairs(rng, categories, images=4))
    evaluate(pred, gt, out=tmp_path / "out")
    return load(tmp_path / "out").panoptic, gt, pred


def test_a_stored_run_is_drawn(run, tmp_path):
    table, _, _ = run
    paths = list(write(table, [2, 0], tmp_path / "pictures"))
    assert [path.name for path in paths] == ["0001_3.png", "0002_1.png"]
    height, width = table.size[2]
    with Image.open(paths[0]) as drawn:
        assert drawn.size == ((width, 3 * height) if width > height else (3 * width, height))
        assert drawn.getpixel((0, 0)) == (128, 128, 128)  # there is no photograph


def test_regions_are_those_of_the_image(run):
    table, gt, _ = run
    listed = json.loads(gt.read_text())["annotations"][1]["segments_info"]
    drawn = regions(table.gt, table.catalogue, 1)
    assert sorted(r.id for r in drawn) == sorted(s["id"] for s in listed)
    crowds = {s["id"] for s in listed if s["iscrowd"]}
    assert {r.id for r in drawn if r.category.name.endswith(", crowd")} == crowds


def test_a_png_that_has_changed_is_not_drawn(run):
    table, _, _ = run
    Image.fromarray(np.zeros((3, 3, 3), np.uint8)).save(table.files[1].pred)
    with pytest.raises(InputError, match="has changed since it was counted"):
        picture(table, 1, longest=100)
    table.files[2].gt.unlink()
    with pytest.raises(InputError, match=r"\.png: cannot be read"):
        picture(table, 2, longest=100)
