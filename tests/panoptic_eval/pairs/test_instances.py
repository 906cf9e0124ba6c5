import json

import numpy as np
import pytest
import random_maps
from coco_reference import pycocotools
from pycocotools import mask

from panoptic_eval import evaluate
from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.pairs.instances import encode_segment, from_coco
from panoptic_eval.pairs.reference import ids_of


@pytest.mark.parametrize("seed", range(10))
def test_a_segment_is_encoded_as_pycocotools_does(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, tuple(rng.integers(1, 9, 2))).astype(np.uint32)
    labels[rng.integers(0, len(labels)) :, rng.integers(0, labels.shape[1]) :] = 9
    ids, _, _ = ids_of(labels)
    for i, (x0, y0, x1, y1) in zip(ids.id.tolist(), ids.box.tolist(), strict=True):
        ours = encode_segment(labels, i, np.array([x0, y0, x1 - x0, y1 - y0]))
        theirs = mask.encode(np.asfortranarray(labels == i, np.uint8))
        np.testing.assert_array_equal(mask.decode(ours), mask.decode(theirs))
        assert mask.area(ours) == mask.area(theirs)


def overlapping(rng, categories, images):
    """Detections that overlap: random boxes and blobs as masks, beside copies of gt."""
    results = []
    things = categories.ids[categories.isthing]
    for p in images:
        for _ in range(8):
            if p.gt_segments and rng.random() < 0.6:
                s = p.gt_segments[rng.integers(len(p.gt_segments))]
                drawn = (p.gt == s["id"]) & (rng.random(p.gt.shape) < 0.9)
                category = s["category_id"] if s["category_id"] in things else int(things[0])
            else:
                drawn = rng.random(p.gt.shape) < 0.5
                category = int(rng.choice(things))
            if drawn.any():
                rle = mask.encode(np.asfortranarray(drawn, np.uint8))
                rle["counts"] = rle["counts"].decode()
                score = float(rng.choice([0.5, rng.random()]))
                results.append({"image_id": p.image_id, "category_id": category, "segmentation": rle, "score": score})
    return results


@pytest.fixture(params=range(6))
def scene(request, tmp_path):
    rng = np.random.default_rng(request.param)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=6)
    gt_json, pred_json = random_maps.write(tmp_path, categories, images)
    return rng, categories, images, gt_json, pred_json, overlapping(rng, categories, images)


@pytest.mark.parametrize("boxes", [False, True])
def test_detections_beside_the_label_maps_score_as_in_pycocotools(scene, boxes, tmp_path):
    rng, categories, images, gt_json, pred_json, results = scene
    if boxes:  # then even masks are ranged by the boxes' areas, as in pycocotools
        for r in results:
            r["bbox"] = (np.array(mask.toBbox(r["segmentation"])) + rng.random(4)).tolist()
    (tmp_path / "instances.json").write_text(json.dumps(results))
    report = evaluate(pred_json, gt_json)
    gt, _ = random_maps.coco(categories, images)
    for name, kind in (("AP_mask_instances", "segm"), ("AP_box_instances", "bbox")):
        given = results
        if kind == "bbox":
            given = [{**r, "bbox": r.get("bbox") or mask.toBbox(r["segmentation"]).tolist()} for r in results]
        theirs = pycocotools(gt, given, kind, ap.COCO_RANGES.values())
        for k, key in enumerate(("AP", "APs", "APm", "APl")):
            values = theirs[k][~np.isnan(theirs[k])]
            expected = values.mean() if values.size else np.nan
            assert report.scores[name][key] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert all("AP_mask_instances" in row for row in report.size_percentiles)


def test_coco_instances_alone(scene):
    _, categories, images, _, _, results = scene
    gt, _ = random_maps.coco(categories, images)
    table = from_coco(gt, results)
    ranges = list(ap.COCO_RANGES.values())
    ours = ap.average_precision(
        ap.match(
            table,
            ap.mask_overlaps(table),
            gt_outside=ap.outside(table.gt.stated_area, ranges),
            pred_outside=ap.outside(table.pred.area, ranges),
        )
    )
    order = np.argsort([c["id"] for c in gt["categories"]])
    np.testing.assert_array_equal(ours.precision[:, order], pycocotools(gt, results, "segm", ranges))


def test_boxes_without_masks_give_box_ap_alone(scene, tmp_path):
    _, _, _, gt_json, pred_json, results = scene
    for r in results:
        r["bbox"] = mask.toBbox(r.pop("segmentation")).tolist()
    (tmp_path / "instances.json").write_text(json.dumps(results))
    report = evaluate(pred_json, gt_json)
    assert "AP_box_instances" in report.scores
    assert "AP_mask_instances" not in report.scores
