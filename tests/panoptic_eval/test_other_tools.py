"""What the tools of other systems write is scored as it is: a small recording of each, in the form that its code has.

A recording says the same as predictions in our own layout, and has to get the same scores. The data set is Cityscapes
in COCO's panoptic format, as its createPanopticImgs makes it: categories have their ids, not the trainIds of networks.
"""

import json

import folders
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from panoptic_eval import InputError, evaluate

NAMES = ("road", "sky", "person", "car")
IDS = (7, 23, 24, 26)
TRAIN_IDS = (0, 10, 11, 13)
COLORS = ((128, 64, 128), (70, 130, 180), (220, 20, 60), (0, 0, 142))
CATEGORIES = [
    {"id": id_, "name": name, "isthing": int(k > 1), "color": list(color)}
    for k, (id_, name, color) in enumerate(zip(IDS, NAMES, COLORS, strict=True))
]
ROAD, SKY, PERSON, CAR = range(4)
IMAGES = ("frankfurt_000000_000294", "frankfurt_000000_000576")
# One letter a pixel: what is void, and five segments.
TRUTH = ["sssssss.", "sssssss.", "rrppcccc", "rrppcccc", "rrrrrrdd", "rrrrrrdd"]
FOUND = ["ssssss..", "sssssss.", "rrppccrr", "rrppcccr", "rrrrrrdd", "rrrrrrrd"]
KINDS = {"s": (SKY, 0), "r": (ROAD, 0), "p": (PERSON, 1), "c": (CAR, 1), "d": (CAR, 2)}
SCORES = {"p": 0.9, "c": 0.8, "d": 0.7}
VOID = (-1, 0)


def drawn(rows):
    """Category (an index, -1 is void) and number among its kind of each pixel."""
    cells = np.array([[KINDS.get(letter, VOID) for letter in row] for row in rows])
    return cells[..., 0], cells[..., 1]


def segments_of(category, number):
    """Category, number and mask of each segment."""
    pairs = sorted(set(zip(category.flatten().tolist(), number.flatten().tolist(), strict=True)) - {VOID})
    return [(c, n, (category == c) & (number == n)) for c, n in pairs]


@pytest.fixture
def gt(tmp_path):
    """The ground truth as a JSON with its folder; in the second image the first one is mirrored."""
    images = {}
    for k, image in enumerate(IMAGES):
        category, number = (side[:, :: 1 - 2 * k] for side in drawn(TRUTH))
        ids, info = np.zeros(category.shape, int), []
        for c, n, mask in segments_of(category, number):
            id_ = IDS[c] * 1000 + n if n else IDS[c]
            ids[mask] = id_
            info.append({"id": id_, "category_id": IDS[c], "area": int(mask.sum()), "iscrowd": 0, "bbox": [0, 0, 1, 1]})
        images[image] = (ids, info)
    return folders.write_coco(tmp_path / "gt" / "cityscapes_panoptic_val.json", images, categories=CATEGORIES)


def found():
    """The image and what was found in it: category and number of each pixel."""
    for k, image in enumerate(IMAGES):
        category, number = drawn(FOUND)
        yield image, category[:, :: 1 - 2 * k], number[:, :: 1 - 2 * k]


def ours(folder, *, scores=False, void=None):
    """The same in our own layout, with or without scores; void may be taken for a category."""
    images = {}
    for image, category, number in found():
        if void is not None:
            category = np.where(category < 0, void, category)
        ids, info = np.zeros(category.shape, int), []
        for k, (c, n, mask) in enumerate(segments_of(category, number), 1):
            ids[mask] = k
            info.append({"id": k, "category_id": IDS[c]} | ({"score": score_of(c, n)} if scores and n else {}))
        images[image] = (ids, info)
    folders.write_coco(folder / "panoptic.json", images, categories=CATEGORIES)
    return folder


def score_of(category, number):
    return next(score for letter, score in SCORES.items() if KINDS[letter] == (category, number))


def panoptic_deeplab(folder, gt):
    """bowenc0221/panoptic-deeplab, CityscapesPanopticEvaluator: the ground truth's JSON with other annotations.

    An id is trainId * 1000 + number; void's becomes 0, which is that of the road, too.
    """
    annotations = []
    for image, category, number in found():
        panoptic = np.where(category < 0, 0, np.array(TRAIN_IDS)[category] * 1000 + number)
        folders.write_rgb(folder / "predictions" / f"{image}.png", panoptic)
        info = [
            {"id": int(label), "category_id": IDS[TRAIN_IDS.index(label // 1000)]}
            for label in np.unique(panoptic).tolist()
        ]
        annotations.append({"image_id": image, "file_name": f"{image}.png", "segments_info": info})
    folders.write_json(folder / "predictions.json", json.loads(gt.read_text()) | {"annotations": annotations})


def efficientps(folder, gt):
    """DeepSceneSeg/EfficientPS, save_panoptic_eval: tmp/*_panoptic.png, and in tmp_json/ a JSON an image."""
    for image, category, number in found():
        ids, info = np.zeros(category.shape, int), []
        for k, (c, n, mask) in enumerate(segments_of(category, number)):
            id_ = IDS[c] * 1000 + k if n else IDS[c]
            ids[mask] = id_
            rows, columns = (np.flatnonzero(mask.any(dim)) for dim in (1, 0))
            box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
            info.append({"id": id_, "category_id": IDS[c], "area": int(mask.sum()), "bbox": box, "iscrowd": 0})
        folders.write_rgb(folder / "tmp" / f"{image}_panoptic.png", ids)
        height, width = ids.shape
        content = {
            "images": [{"id": image, "width": width, "height": height, "file_name": f"{image}.png"}],
            "annotations": [{"image_id": image, "file_name": f"{image}_panoptic.png", "segments_info": info}],
            "categories": {},
        }
        folders.write_json(folder / "tmp_json" / f"{image}.json", content)


def adaptis(folder, gt):
    """saic-vul/adaptis, by panopticapi's IdGenerator: a segment's color is its category's, or near to it."""
    images = {}
    for image, category, number in found():
        ids, info = np.zeros(category.shape, int), []
        for c, n, mask in segments_of(category, number):
            red, green, blue = COLORS[c]
            id_ = red + 256 * (green + 7 * max(n - 1, 0)) + 256**2 * blue
            ids[mask] = id_
            info.append({"id": id_, "category_id": IDS[c]})
        images[image] = (ids, info)
    folders.write_coco(folder / "panoptic_results.json", images, categories=None, with_images=False)


def detectron2(folder, gt):
    """COCOPanopticEvaluator, which Mask2Former and OneFormer score with: predictions.json, PNGs of the images' names.

    Ids count from 1; beside it are the detections.
    """
    annotations, detections = [], []
    for image, category, number in found():
        ids, info = np.zeros(category.shape, int), []
        for k, (c, n, mask) in enumerate(segments_of(category, number), 1):
            ids[mask] = k
            info.append({"id": k, "category_id": IDS[c]} | ({"score": score_of(c, n)} if n else {}))
            if n:
                rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
                box = coco_mask.toBbox(rle).tolist()
                rle["counts"] = rle["counts"].decode()
                result = {"image_id": image, "category_id": IDS[c], "score": score_of(c, n)}
                detections.append(result | {"bbox": box, "segmentation": rle})
        name = f"{image}_leftImg8bit.png"
        folders.write_rgb(folder / name, ids)
        annotations.append({"image_id": image, "file_name": name, "segments_info": info})
    folders.write_json(folder / "predictions.json", json.loads(gt.read_text()) | {"annotations": annotations})
    folders.write_json(folder / "coco_instances_results.json", detections)


def hugging_face(folder, gt):
    """Transformers' post_process_panoptic_segmentation, its dictionaries with label_id turned to ids of categories.

    Numbers of segments begin at 1, void is 0 where -1 was written with 24 bits as white.
    """
    images = {}
    for image, category, number in found():
        ids, info = np.full(category.shape, 2**24 - 1), []
        for k, (c, n, mask) in enumerate(segments_of(category, number), 1):
            ids[mask] = k
            score = score_of(c, n) if n else 0.99
            info.append({"id": k, "label_id": TRAIN_IDS[c], "category_id": IDS[c], "was_fused": not n, "score": score})
        images[image] = (ids, info)
    folders.write_coco(folder / "predictions.json", images, categories=None, with_images=False, folder=folder)


# What is particular to a recording: does it have scores; what does its void become?
TOOLS = {
    panoptic_deeplab: {"void": ROAD},
    efficientps: {},
    adaptis: {},
    detectron2: {"scores": True},
    hugging_face: {"scores": True},
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_folder_of_another_tool_is_scored_as_it_is(tool, gt, tmp_path):
    tool(tmp_path / "theirs", gt)
    theirs, expected = (
        evaluate(folder, gt) for folder in (tmp_path / "theirs", ours(tmp_path / "ours", **TOOLS[tool]))
    )
    assert repr({name: theirs.scores[name] for name in expected.scores}) == repr(expected.scores)
    if tool is detectron2:
        assert repr(theirs.scores["AP_mask_instances"]) == repr(theirs.scores["AP_mask"])
    assert expected.scores["PQ"]["all"] > 0.5


def test_the_road_that_has_the_id_of_void_is_pointed_out(gt, tmp_path):
    panoptic_deeplab(tmp_path / "theirs", gt)
    (told,) = [w for w in evaluate(tmp_path / "theirs", gt).warnings if "id 0" in w]
    assert "2 segments have id 0, which means void where it is not listed; scored as listed" in told


def test_a_folder_of_jsons_needs_each_to_be_one(gt, tmp_path):
    efficientps(tmp_path / "theirs", gt)
    broken = tmp_path / "theirs/tmp_json" / f"{IMAGES[1]}.json"
    broken.write_text("[]")
    with pytest.raises(InputError, match=f'{broken}: expected a COCO panoptic JSON, an object with a list of "annotat'):
        evaluate(tmp_path / "theirs", gt)
    broken.unlink()
    with pytest.raises(InputError, match="1 image has no panoptic prediction"):
        evaluate(tmp_path / "theirs", gt)


def test_others_count_the_published_scores_the_same(gt, tmp_path):
    """panopticapi reads ids of 0 that are listed as we do."""
    from panopticapi.evaluation import pq_compute

    panoptic_deeplab(tmp_path / "theirs", gt)
    theirs = pq_compute(
        str(gt), str(tmp_path / "theirs/predictions.json"), pred_folder=str(tmp_path / "theirs/predictions")
    )
    assert evaluate(tmp_path / "theirs", gt).scores["PQ"]["all"] == pytest.approx(theirs["All"]["pq"])
