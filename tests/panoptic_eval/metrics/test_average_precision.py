import tracemalloc
from dataclasses import replace

import boundary_reference
import numpy as np
import pytest
import random_maps
from coco_reference import pycocotools
from drawings import BUS, CAR, SKY, table

from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.pairs.counts import Pairs
from panoptic_eval.pairs.table import PairTable, Segments, concatenate
from panoptic_eval.score import Tables, score


def evaluate(drawing, kind="mask", ranges=((0, 1e10),)):
    overlaps = ap.mask_overlaps(drawing) if kind == "mask" else ap.box_overlaps(drawing)
    area = drawing.gt.area, drawing.pred.area
    return ap.average_precision(
        ap.match(drawing, overlaps, gt_outside=ap.outside(area[0], ranges), pred_outside=ap.outside(area[1], ranges))
    )


def test_one_half_matches_at_one_half_alone():
    result = evaluate(table("cc", "c.", c=CAR))
    assert result.mean(0, threshold=0.5) == pytest.approx(1)
    assert result.mean(0, threshold=0.55) == 0
    assert result.mean(0) == pytest.approx(0.1)


def test_box_overlaps_do_not_need_shared_pixels():
    drawing = table("c.c .c.", ".b. b.b", c=CAR, b=CAR)
    assert ap.mask_overlaps(drawing).iou.tolist() == []
    assert ap.box_overlaps(drawing).iou.tolist() == [1]
    assert evaluate(drawing, "box").mean(0) == pytest.approx(1)


def test_categories_without_instances_are_undefined_and_cost_nothing():
    result = evaluate(table("cc.s", "ccbs", c=CAR, b=BUS, s=SKY))
    np.testing.assert_allclose(result.precision[0].mean((1, 2)), [1, np.nan, np.nan, np.nan])
    assert result.mean(0) == pytest.approx(1)
    assert np.isnan(evaluate(table("ss", "ss", s=SKY)).mean(0))


def test_a_crowd_takes_any_number_and_is_no_instance():
    result = evaluate(table("kkkkcc", "aabbcc", k=CAR, c=CAR, a=CAR, b=CAR, crowds="k"))
    assert result.instances.tolist() == [[1, 0, 0, 0]]
    assert result.mean(0) == pytest.approx(1)


def test_what_lies_outside_a_range_does_not_count():
    drawing = table("ccccd..", "ccccd.e", c=CAR, d=CAR, e=CAR, scores={"e": 0.9, "c": 0.5, "d": 0.5})
    result = evaluate(drawing, ranges=((0, 1), (1, 4), (4, 9)))
    assert result.instances[:, 0].tolist() == [1, 2, 1]  # both ends are inside
    np.testing.assert_allclose([result.mean(r) for r in range(3)], [0.5, 2 / 3, 1], atol=0.01)


def test_the_better_score_matches_first():
    good = table("cccc.", "aaa.b", c=CAR, a=CAR, b=CAR, scores={"a": 0.9, "b": 0.1})
    bad = table("cccc.", "aaa.b", c=CAR, a=CAR, b=CAR, scores={"a": 0.1, "b": 0.9})
    assert evaluate(good).mean(0, threshold=0.5) == pytest.approx(1)
    assert evaluate(bad).mean(0, threshold=0.5) == pytest.approx(0.5)


def test_only_the_best_hundred_of_an_image_and_category_count():
    drawing = table("cc", "cc", c=CAR)
    many = replace(
        drawing.pred,
        **{
            name: np.concatenate([np.repeat(values[:1], 100, 0), values])
            for name, values in vars(drawing.pred).items()
            if name not in ("score", "near")
        },
        score=np.array([0.9] * 100 + [0.1]),
    )
    drawing = replace(
        drawing,
        pred=many,
        pairs=replace(drawing.pairs, pred=np.where(drawing.pairs.pred == 0, 100, drawing.pairs.pred)),
    )
    assert evaluate(drawing).mean(0) == 0


@pytest.mark.parametrize("ratio", [0.02, 0.15])
@pytest.mark.parametrize("seed", range(8))
def test_boundary_ap_is_that_of_pycocotools_with_the_smaller_of_both_ious(seed, ratio):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=8)
    tables = random_maps.table(categories, images, boundary=ratio)
    expected = boundary_reference.boundary_ap(*random_maps.coco(categories, images), ratio)[:6]
    found = score(Tables(tables)).scores["AP_boundary"]
    np.testing.assert_allclose(list(found.values()), np.where(expected < 0, np.nan, expected), atol=1e-12)


@pytest.mark.parametrize("kind", ["mask", "box"])
@pytest.mark.parametrize("seed", range(25))
def test_precision_is_bit_equal_to_pycocotools(seed, kind):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=8)
    gt, results = random_maps.coco(categories, images)
    if kind == "box":
        from pycocotools import mask

        for r in results:
            r["bbox"] = mask.toBbox(r.pop("segmentation")).tolist()
    tables = random_maps.table(categories, images)
    ranges = [(0, 1e10), (0, 6), (6, 30), (30, 1e10)]
    pred = tables.pred
    pred_area = pred.area if kind == "mask" else pred.box[:, 2] * pred.box[:, 3]
    ours = ap.average_precision(
        ap.match(
            tables,
            ap.mask_overlaps(tables) if kind == "mask" else ap.box_overlaps(tables),
            gt_outside=ap.outside(tables.gt.area, ranges),
            pred_outside=ap.outside(pred_area, ranges),
        )
    )
    expected = pycocotools(gt, results, {"mask": "segm", "box": "bbox"}[kind], ranges)
    order = np.argsort(categories.ids[categories.isthing])  # pycocotools sorts categories by id
    np.testing.assert_array_equal(ours.precision[:, categories.isthing][:, order], expected)


def test_images_in_another_order_change_nothing_where_scores_differ():
    drawings = [
        table("cc.dd", "cc.de", c=CAR, d=CAR, e=CAR, scores={"c": 0.9, "d": 0.3, "e": 0.8}, image_id=1),
        table("ccc..", ".cc.e", c=CAR, e=CAR, scores={"c": 0.5, "e": 0.7}, image_id=2),
    ]
    a, b = (evaluate(concatenate(d)).precision for d in (drawings, drawings[::-1]))
    np.testing.assert_array_equal(a, b)


def crowded(rng, count, detections):
    """One image of two thing categories with many instances, and more detections than count, some of equal scores."""
    catalogue = table("c", "c", c=CAR).catalogue

    def segments(n, scores):
        box = np.concatenate([rng.integers(0, 60, (n, 2)), rng.integers(1, 40, (n, 2))], 1).astype(float)
        return Segments(
            image=np.zeros(n, np.int64),
            id=np.arange(n),
            category=rng.integers(0, 2, n),
            area=box[:, 2:].prod(1).astype(np.int64),
            stated_area=np.full(n, np.nan),
            box=box,
            crowd=rng.random(n) < (0.1 if scores is None else 0),
            score=np.full(n, np.nan) if scores is None else scores,
        )

    gt, pred = segments(count, None), segments(detections, rng.integers(0, 40, detections) / 40)
    none = np.empty(0, np.int64)
    size = np.array([[100, 100]])
    return PairTable(catalogue, (1,), size, ("",), gt, pred, Pairs(none, none, none))


def coco_of(crowd):
    """The same as COCO's boxes."""
    ids = crowd.catalogue.ids
    gt, pred = crowd.gt, crowd.pred
    image = {"id": 1, "height": 100, "width": 100}
    annotations = [
        {"id": i + 1, "image_id": 1, "category_id": int(ids[c]), "bbox": b.tolist(), "area": int(a), "iscrowd": int(k)}
        for i, (c, b, a, k) in enumerate(zip(gt.category, gt.box, gt.area, gt.crowd, strict=True))
    ]
    results = [
        {"image_id": 1, "category_id": int(ids[c]), "bbox": b.tolist(), "score": float(s)}
        for c, b, s in zip(pred.category, pred.box, pred.score, strict=True)
    ]
    return {"images": [image], "annotations": annotations, "categories": [{"id": int(i)} for i in ids]}, results


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most", [1, 1000, 2**18])
def test_boxes_of_more_detections_than_count_are_bit_equal_to_pycocotools(seed, most, monkeypatch):
    monkeypatch.setattr(ap, "MAX_PAIRS", most)
    drawing = crowded(np.random.default_rng(seed), 60, 500)
    ranges = list(ap.COCO_RANGES.values())
    expected = pycocotools(*coco_of(drawing), "bbox", ranges)
    order = np.argsort(drawing.catalogue.ids)
    np.testing.assert_array_equal(evaluate(drawing, "box", ranges).precision[:, order], expected)


def test_memory_goes_with_the_number_of_segments():
    """Twenty times as many segments: pairs of all with all would take 100 MB, then 40 GB."""
    drawing = crowded(np.random.default_rng(0), 30_000, 30_000)
    tracemalloc.start()
    try:
        ap.box_overlaps(drawing)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
