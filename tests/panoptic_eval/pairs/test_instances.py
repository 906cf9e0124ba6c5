import json
from concurrent.futures import ProcessPoolExecutor

import boundary_reference
import numpy as np
import pytest
import random_maps
from coco_reference import pycocotools
from PIL import Image
from pycocotools import mask
from table_equality import assert_equal

from panoptic_eval import core, evaluate
from panoptic_eval.counting import count
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import load
from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.pairs import count_pair
from panoptic_eval.pairs.instances import count_overlaps
from panoptic_eval.predictions import read_predictions


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


def test_boundaries_of_detections_score_as_in_pycocotools_with_the_smaller_of_both_ious(scene, tmp_path):
    _, categories, images, gt_json, pred_json, results = scene
    (tmp_path / "instances.json").write_text(json.dumps(results))
    report = evaluate(pred_json, gt_json, boundary=0.1, out=tmp_path / "run")
    gt, _ = random_maps.coco(categories, images)
    expected = boundary_reference.boundary_ap(gt, results, 0.1)[:6]
    found = list(report.scores["AP_boundary_instances"].values())
    np.testing.assert_allclose(found, np.where(expected < 0, np.nan, expected), atol=1e-12)
    assert load(tmp_path / "run").instances.pred.near is not None
    again = evaluate(pred_json, gt_json, boundary=0.1, out=tmp_path / "run")  # from the journal
    np.testing.assert_equal(again.scores, report.scores)
    other = evaluate(pred_json, gt_json, boundary=0.3, out=tmp_path / "run")
    np.testing.assert_equal(other.scores, evaluate(pred_json, gt_json, boundary=0.3).scores)


def test_boxes_without_masks_give_box_ap_alone(scene, tmp_path):
    _, _, _, gt_json, pred_json, results = scene
    for r in results:
        r["bbox"] = mask.toBbox(r.pop("segmentation")).tolist()
    (tmp_path / "instances.json").write_text(json.dumps(results))
    report = evaluate(pred_json, gt_json)
    assert "AP_box_instances" in report.scores
    assert "AP_mask_instances" not in report.scores


def test_overlaps_are_those_of_decoded_masks_whoever_encodes(scene, monkeypatch):
    _, _, images, gt_json, _, results = scene
    p = images[0]
    masks = [r["segmentation"] for r in results if r["image_id"] == p.image_id]
    masks = [{**m, "counts": m["counts"].encode()} for m in masks]
    file = next(gt_json.with_suffix("").glob(f"*{p.image_id}.png")).read_bytes()
    counts = count_pair(file, file)
    expected = {
        (i, k): n
        for k, m in enumerate(masks)
        for i in counts.gt.id.tolist()
        if (n := int((mask.decode(m).astype(bool) & (p.gt == i)).sum()))
    }
    for value in ("off", str(core.PATH)):
        monkeypatch.setenv("PANOPTIC_EVAL_CORE", value)
        core.library.cache_clear()
        found = count_overlaps(file, counts, masks)
        keys = zip(found.id.tolist(), found.mask.tolist(), strict=True)
        assert dict(zip(keys, found.pixels.tolist(), strict=True)) == expected
    monkeypatch.undo()
    core.library.cache_clear()


def test_each_label_image_is_read_once_so_that_what_is_counted_is_what_is_scored(scene, tmp_path, monkeypatch):
    _, _, _, gt_json, pred_json, results = scene
    (tmp_path / "instances.json").write_text(json.dumps(results))
    expected = evaluate(pred_json, gt_json).scores
    seen = []

    def read_and_replace(path, limit):
        content = path.read_bytes()
        if path.suffix == ".png":
            seen.append(path)
            Image.new("RGB", (3, 3)).save(path)  # whoever reads again, reads something else
        return content

    monkeypatch.setattr("panoptic_eval.counting.read_regular", read_and_replace)
    assert str(evaluate(pred_json, gt_json).scores) == str(expected)
    assert len(seen) == len(set(seen)) == 12


def test_a_label_image_replaced_by_one_of_another_size_after_its_detections_were_read_is_a_fault(scene, tmp_path):
    _, _, _, gt_json, pred_json, results = scene
    (tmp_path / "instances.json").write_text(json.dumps(results))
    gt = ground_truth(gt_json)
    pred = read_predictions(pred_json, gt)
    image = results[0]["image_id"]
    for maps in (gt, pred.panoptic):
        Image.new("RGB", (3, 3)).save(next(m.png for m in maps.maps if m.image_id == image))
    with pytest.raises(InputError, match="3 x 3 pixels, its detections another size"):
        evaluate(pred, gt)


def test_instances_are_the_same_from_processes_and_from_a_journal(scene, tmp_path, monkeypatch):
    _, _, _, gt_json, pred_json, results = scene
    (tmp_path / "instances.json").write_text(json.dumps(results))
    expected = count(pred_json, gt_json)
    with ProcessPoolExecutor(1) as processes:
        assert_equal(count(pred_json, gt_json, executor=processes).instances, expected.instances)
    count(pred_json, gt_json, out=tmp_path / "out")  # whose journal stays, as it was not stored
    monkeypatch.setattr("panoptic_eval.pairs.instances.count_overlaps", None)
    assert_equal(count(pred_json, gt_json, out=tmp_path / "out").instances, expected.instances)
    monkeypatch.undo()
    (tmp_path / "instances.json").write_text(json.dumps(results[1:]))
    fewer = count(pred_json, gt_json)
    assert_equal(count(pred_json, gt_json, out=tmp_path / "out").instances, fewer.instances)
