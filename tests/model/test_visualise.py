import json

import folders
import numpy as np
import pytest
from PIL import Image

from model.visualise import main
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.predictions import PredictionWriter

SKY, CAR = Category(4, "sky", False, (0, 100, 200)), Category(7, "car", True)


@pytest.fixture
def prediction(tmp_path):
    with PredictionWriter(tmp_path / "pred", Catalogue((SKY, CAR))) as writer:
        for name in ("a", "b"):
            labels = np.full((20, 30), 5)
            labels[5:15, 5:15] = 6
            writer.write(name, labels, [{"id": 5, "category_id": 4}, {"id": 6, "category_id": 7, "score": 0.9}])
    return tmp_path / "pred"


def run(*arguments):
    main([str(a) for a in (*arguments, "--quiet")])


def test_draws_image_beside_prediction(prediction, tmp_path):
    for name in ("a", "b"):
        folders.write_photograph(tmp_path / "images" / f"{name}.jpg", np.zeros((20, 30)))
    run("--prediction", prediction, "--images", tmp_path / "images", "--out", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    with Image.open(tmp_path / "out/a.png") as drawn:
        assert drawn.size == (30, 40)
        assert drawn.getpixel((2, 2)) == (128, 128, 128)  # the photograph is gray
        red, green, blue = drawn.getpixel((2, 22))  # below it, the sky of the prediction
        assert abs(red - 64) <= 1 < 20 < green - red < blue - green + 1


def test_draws_the_ground_truth_too(prediction, tmp_path):
    labels = [{"name": c.name, "instances": c.isthing, "color": [10, 200, 10]} for c in (SKY, CAR)]
    folders.write_json(tmp_path / "gt/config.json", {"labels": labels})
    folders.write_photograph(tmp_path / "gt/validation/images/a.jpg", np.zeros((20, 30)))
    folders.write_gray(tmp_path / "gt/validation/instances/a.png", np.full((20, 30), 0))
    run("--prediction", prediction, "--images", tmp_path / "gt", "--out", tmp_path / "out")
    with Image.open(tmp_path / "out/a.png") as drawn:
        assert drawn.size == (30, 60)
        assert abs(drawn.getpixel((2, 22))[1] - 164) <= 1  # green, from the ground truth


def test_what_cannot_be_drawn_is_named(prediction, tmp_path):
    folders.write_photograph(tmp_path / "images/other.jpg", np.zeros((20, 30)))
    with pytest.raises(SystemExit, match="a prediction of none of the 1 images"):
        run("--prediction", prediction, "--images", tmp_path / "images", "--out", tmp_path / "out")
    content = json.loads((prediction / "panoptic.json").read_text())
    content.pop("categories")
    (prediction / "panoptic.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=r"panoptic\.json: cannot be read"):
        run("--prediction", prediction, "--images", tmp_path / "images", "--out", tmp_path / "out")
