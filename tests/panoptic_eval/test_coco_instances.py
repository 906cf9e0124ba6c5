"""AP of COCO results without panoptic files: pycocotools' numbers, or a message."""

import copy
import json
import re

import numpy as np
import pytest
import random_maps
from coco_reference import pycocotools
from pycocotools import mask

from panoptic_eval import InputError, coco_ap
from panoptic_eval.metrics.average_precision import COCO_RANGES


@pytest.fixture(params=range(4))
def scene(request):
    rng = np.random.default_rng(request.param)
    categories = random_maps.catalogue(rng)
    gt, results = random_maps.coco(categories, random_maps.pairs(rng, categories, images=6))
    for entry in (*gt["annotations"], *results):
        entry["segmentation"]["counts"] = entry["segmentation"]["counts"].decode()
    return gt, results


def reference(gt, results, kind):
    precision = pycocotools(gt, results, kind, COCO_RANGES.values())
    parts = [precision[0], precision[0, :, 0], precision[0, :, 5], *precision[1:]]
    return [np.nan if np.isnan(part).all() else np.nanmean(part) for part in parts]


@pytest.mark.parametrize("boxes_given", [False, True])
@pytest.mark.parametrize(("kind", "theirs"), [("mask", "segm"), ("box", "bbox")])
def test_ap_is_that_of_pycocotools_from_values_and_from_paths(scene, kind, theirs, boxes_given, tmp_path):
    gt, results = scene
    if boxes_given:
        for result in results:
            result["bbox"] = (mask.toBbox(result["segmentation"]) + np.array([1, 0, 0.5, 2])).tolist()
    before = copy.deepcopy((gt, results))
    ours = coco_ap(gt, results, kind=kind)
    assert list(ours) == ["AP", "AP50", "AP75", "APs", "APm", "APl"]
    assert list(ours.values()) == pytest.approx(reference(gt, results, theirs), abs=1e-12, nan_ok=True)
    assert (gt, results) == before
    (tmp_path / "gt.json").write_text(json.dumps(gt))
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert repr(coco_ap(tmp_path / "gt.json", str(tmp_path / "results.json"), kind=kind)) == repr(ours)


def polygon():
    gt = {
        "images": [{"id": "b", "height": 40, "width": 50}, {"id": 3, "height": 40, "width": 50}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 1, "area": 100, "bbox": [5, 5, 10, 10], "iscrowd": 0},
        ],
    }
    gt["annotations"][0]["segmentation"] = [[5, 5, 15, 5, 15, 15, 5, 15]]
    result = {"image_id": 3, "category_id": 1, "score": 0.5, "segmentation": [[5, 5, 15, 5, 15, 15, 5, 15]]}
    return gt, [result]


def test_polygons_and_no_results():
    gt, results = polygon()
    assert coco_ap(gt, results)["APs"] == pytest.approx(1)
    assert np.isnan(coco_ap(gt, results)["APl"])
    assert coco_ap(gt, [])["AP"] == 0


def test_a_box_that_the_file_gives_ranges_even_a_mask():
    gt, results = polygon()
    del gt["images"][0]  # pycocotools takes no names beside numbers
    gt["annotations"][0].update(area=2000, segmentation=[[0, 0, 45, 0, 45, 39, 0, 39]], bbox=[0, 0, 45, 39])
    results[0].update(segmentation=[[0, 0, 45, 0, 45, 39, 0, 39]], bbox=[0, 0, 45, 39])
    elsewhere = [[0, 0, 40, 0, 40, 20, 0, 20]]  # 800 pixels: small, were it not for the box
    results.insert(0, {**results[0], "score": 0.9, "segmentation": elsewhere, "bbox": [0, 0, 40, 39]})
    ours = coco_ap(gt, results)
    assert list(ours.values()) == pytest.approx(reference(gt, results, "segm"), abs=1e-12, nan_ok=True)
    assert ours["APm"] == pytest.approx(0.5)


WRONG = {
    "image": (lambda gt, r: r.update(image_id=8), "results[0]: image_id 8"),
    "category": (lambda gt, r: r.update(category_id=7), "results[0]: category_id 7"),
    "category of gt": (lambda gt, r: gt["annotations"][0].update(category_id=7), "gt: annotations[0]: category_id 7"),
    "score": (lambda gt, r: r.pop("score"), 'no "score"'),
    "mask": (lambda gt, r: r.pop("segmentation"), "results[0]"),
    "run lengths": (lambda gt, r: r.update(segmentation={"size": [40, 50], "counts": "13"}), "add up to 4 pixels"),
    "size": (lambda gt, r: gt["images"][1].update(height=-1), "images[1]: height -1"),
    "image twice": (lambda gt, r: gt["images"][0].update(id=3), "written twice"),
    "category twice": (lambda gt, r: gt["categories"].append(gt["categories"][0]), "written twice"),
    "no category": (lambda gt, r: gt.update(categories=[]), "gt: has no category"),
    "category id": (lambda gt, r: gt["categories"][0].update(id=2**70), "out of range"),
    "annotations": (lambda gt, r: gt.pop("annotations"), "gt: annotations is null"),
    "box": (lambda gt, r: r.update(bbox=[1, 2, 3]), "results[0]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_malformed_is_named(name):
    change, message = WRONG[name]
    gt, results = polygon()
    change(gt, results[0])
    with pytest.raises(InputError, match=re.escape(message)):
        coco_ap(gt, results)


def test_content_that_is_no_annotation_and_another_kind():
    with pytest.raises(InputError, match="expected COCO instances"):
        coco_ap([], [])
    with pytest.raises(ValueError, match='"mask" or "box"'):
        coco_ap(*polygon(), kind="segm")
