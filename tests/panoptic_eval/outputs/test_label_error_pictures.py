"""Pictures of candidates for label errors: the right part of the image, framed."""

import numpy as np
import pytest
from PIL import Image
from scene import CAR, entries, scene

from panoptic_eval import InputError, evaluate, load
from panoptic_eval.metrics.label_errors import candidates
from panoptic_eval.outputs import label_error_pictures
from panoptic_eval.outputs.pictures import FRAME, around


@pytest.fixture
def table(tmp_path):
    data = scene(tmp_path)
    data.gt.ids["000002.png"][data.gt.ids["000002.png"] == 22] = 12  # the car is not annotated
    data.gt.json["annotations"][1]["segments_info"] = entries(data.gt.ids["000002.png"], iscrowd=0)
    data.write()
    evaluate(data.pred_json.parent, data.gt_json, out=tmp_path / "run")
    return load(tmp_path / "run").panoptic


def test_the_one_that_was_not_annotated_is_drawn(table, tmp_path):
    found = candidates(table)
    assert [(c.kind, table.image_id[c.image]) for c in found] == [("missing", 2)]
    (path,) = label_error_pictures.write(table, found, tmp_path / "pictures", longest=90)
    assert path.name == "0001_missing_car_2.png"
    assert table.catalogue.ids[table.pred.category[found[0].pred]] == CAR
    drawn = np.asarray(Image.open(path))
    assert drawn.shape == (60, 3 * 90, 3)  # all 20 x 30 pixels lie around the car, three times as large
    for panel in np.split(drawn, 3, axis=1):
        y, x = np.nonzero((panel == FRAME).all(-1))
        assert (x.min(), y.min(), x.max(), y.max()) == (3 * 14, 3 * 10, 3 * 26, 3 * 17)


def test_a_part_at_the_border_stays_in_the_image(table):
    assert around(table, 0, (28.0, 0.0, 2.0, 3.0), longest=60).shape[1] % 3 == 0


def test_tables_of_arrays_have_nothing_to_draw(table, tmp_path):
    from dataclasses import replace

    with pytest.raises(InputError, match="not of files"):
        list(label_error_pictures.write(replace(table, files=()), candidates(table), tmp_path))
