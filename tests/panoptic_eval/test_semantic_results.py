"""Semantic predictions as masks in a JSON."""

import folders
import numpy as np
import pytest
from pycocotools import mask
from scene import CAR, OF, PERSON, SKY, scene

from panoptic_eval import InputError, evaluate, ground_truth, read_predictions

NAMES = ("{:06}.jpg", "val/{:06}.png", "C:\\set\\{:06}.jpg")

OTHER = dict(zip(OF.values(), [*list(OF.values())[1:], next(iter(OF.values()))], strict=True))
"""Each category, and another that stands for it."""


@pytest.fixture
def data(tmp_path):
    return scene(tmp_path).write()


def regions(data, name, categories=None):
    """Rows of the file: one for each image and category."""
    rows = []
    for number, ids in enumerate(data.pred.ids.values(), 1):
        for id_, category in OF.items():
            rle = mask.encode(np.asfortranarray(ids == id_, np.uint8))
            segmentation = {"size": rle["size"], "counts": rle["counts"].decode()}
            number_of = (categories or {}).get(category, category)
            rows.append({"file_name": name.format(number), "category_id": number_of, "segmentation": segmentation})
    return rows


def write(data, rows):
    return folders.write_json(data.pred_json.parent / "sem_seg_predictions.json", rows)


@pytest.mark.parametrize("name", NAMES)
def test_they_score_as_the_pngs_of_their_categories_do(data, name):
    write(data, regions(data, name))
    from_masks = evaluate(data.pred_json.parent, data.gt_json).scores["mIoU_semantic"]
    for file, ids in data.pred.ids.items():
        values = np.vectorize({**OF, 0: 0}.get)(ids)
        folders.write_gray(data.pred_json.parent / "semantic" / file, values)
    assert from_masks == evaluate(data.pred_json.parent, data.gt_json).scores["mIoU_semantic"]


def test_other_categories_are_not_scored(data):
    write(data, regions(data, NAMES[0], {CAR: 0, 1: 0}))  # all things as one, as for panoptic FPN
    found = read_predictions(data.pred_json.parent, ground_truth(data.gt_json))
    assert found.semantic is None
    assert any("the file is not read" in w for w in found.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file_name": None}, "file_name"),
        ({"category_id": "sky"}, "category_id"),
        ({"segmentation": {"size": [1, 1], "counts": "1"}}, r"size \[1, 1\]"),
        ({"segmentation": {"size": [20, 30], "counts": "1"}}, "= 600"),
        ({"segmentation": None}, "segmentation"),
    ],
)
def test_what_is_malformed_is_named(data, change, message):
    rows = regions(data, NAMES[0])
    rows[3].update(change)
    write(data, rows)
    with pytest.raises(InputError, match=rf"(?s)(?=.*sem_seg_predictions\.json: \[3\]).*{message}"):
        read_predictions(data.pred_json.parent, ground_truth(data.gt_json))


def test_images_of_others_are_left_out(data):
    write(data, [*regions(data, NAMES[0]), {"file_name": "000099.jpg", "category_id": SKY}])
    found = read_predictions(data.pred_json.parent, ground_truth(data.gt_json))
    assert [m.image_id for m in found.semantic.maps] == [1, 2, 3]


@pytest.mark.parametrize(
    ("meant", "told"),
    [(lambda c: {CAR: SKY, SKY: CAR}.get(c, c), None), (OTHER.get, "none of them in its category"),
     (lambda _: CAR, "of 0 and 1"), (lambda _: 0, "no image has a predicted segment")],
)  # fmt: skip
def test_semantic_pngs_of_other_categories_are_told_and_refused_when_strict(data, meant, told):
    for file, ids in data.pred.ids.items():
        values = np.vectorize({**{id_: meant(c) for id_, c in OF.items()}, 0: 0}.get)(ids)
        folders.write_gray(data.pred_json.parent / "semantic" / file, values)
    suspected = [w for w in evaluate(data.pred_json.parent, data.gt_json).warnings if w.startswith("semantic maps: ")]
    assert len(suspected) == (told is not None)
    if told:
        assert told in suspected[0]
        with pytest.raises(InputError, match="semantic maps: "):
            evaluate(data.pred_json.parent, data.gt_json, strict=True)


def test_category_pngs_taken_for_labels_are_told(data, tmp_path):
    for file, ids in data.pred.ids.items():
        folders.write_gray(tmp_path / "labels" / file, np.vectorize({**OF, 0: 0}.get)(ids))
    warnings = evaluate(
        read_predictions(tmp_path / "labels", gt := ground_truth(data.gt_json), category_ids="label"), gt
    ).warnings
    assert any("leave out --category-ids label; if they are one less, give it with --divisor 1" in w for w in warnings)
    less = {0: 255, **{id_: category - 1 for id_, category in OF.items()}}
    for file, ids in data.pred.ids.items():
        folders.write_gray(tmp_path / "labels" / file, np.vectorize(less.get)(ids))
    read = read_predictions(tmp_path / "labels", gt, category_ids="label", divisor=1)
    assert evaluate(read, gt).scores["PQ"] == evaluate(data.pred_json.parent, data.gt_json).scores["PQ"]


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize(("meant", "told"), [(lambda c: c, 0), (lambda c: {CAR: PERSON, PERSON: CAR}[c], 1)])
def test_detections_of_exchanged_categories_are_told(data, meant, told, boxes):
    rows = []
    for image_id, ids in enumerate(data.pred.ids.values(), 1):
        for id_, category in OF.items():
            if category in (CAR, PERSON):
                rle = mask.encode(np.asfortranarray(ids == id_, np.uint8))
                given = {"segmentation": {"size": rle["size"], "counts": rle["counts"].decode()}}
                if boxes:
                    given = {"bbox": mask.toBbox(rle).tolist()}
                rows.append({"image_id": image_id, "category_id": meant(category), "score": 0.5, **given})
    folders.write_json(data.pred_json.parent / "instances.json", rows)
    warnings = evaluate(data.pred_json.parent, data.gt_json).warnings
    assert sum(w.startswith("detections: ") for w in warnings) == told
