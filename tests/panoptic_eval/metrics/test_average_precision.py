from dataclasses import replace

import numpy as np
import pytest
import random_maps
from coco_reference import pycocotools
from drawings import BUS, CAR, SKY, table

from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.pairs.table import concatenate


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
    np.testing.assert_allclose(result.by_category(0), [1, np.nan, np.nan, np.nan])
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
            if name != "score"
        },
        score=np.array([0.9] * 100 + [0.1]),
    )
    drawing = replace(
        drawing,
        pred=many,
        pairs=replace(drawing.pairs, pred=np.where(drawing.pairs.pred == 0, 100, drawing.pairs.pred)),
    )
    assert evaluate(drawing).mean(0) == 0


@pytest.mark.parametrize("kind", ["mask", "box"])
@pytest.mark.parametrize("seed", range(25))
def test_precision_is_bit_equal_to_pycocotools(seed, kind):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=8)
    gt, results = random_maps.coco(categories, images)
    if not results:
        pytest.skip("pycocotools refuses an empty list of results")
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
