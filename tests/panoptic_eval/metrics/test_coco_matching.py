"""The compiled core and Python give the same bits."""

import numpy as np
import pytest

from panoptic_eval import core
from panoptic_eval.metrics import coco_matching
from panoptic_eval.metrics.average_precision import IOU_THRESHOLDS, RECALLS


def both(monkeypatch, function, *arguments):
    assert core.library() is not None
    by_core = function(*arguments)
    monkeypatch.setattr(core, "library", lambda: None)
    in_python = function(*arguments)
    monkeypatch.undo()
    return by_core, in_python


@pytest.mark.parametrize("seed", range(20))
def test_matches(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    detections, gts, ranges = rng.integers(0, 12), rng.integers(1, 8), 3
    counts = rng.integers(0, min(gts, 4) + 1, detections)
    start = np.cumsum([0, *counts])
    gt = np.concatenate([np.empty(0, np.int64), *(np.sort(rng.choice(gts, n, replace=False)) for n in counts)])
    iou = rng.choice([0.5, 0.55, 0.7, 0.95, 1.0], start[-1])
    crowd = rng.random(gts) < 0.3
    ignored, outside = (rng.random((ranges, n)) < 0.4 for n in (gts, detections))
    arguments = start, gt.astype(np.int64), iou, ignored | crowd, crowd, outside, IOU_THRESHOLDS
    by_core, in_python = both(monkeypatch, coco_matching.match, *arguments)
    assert all((a == b).all() for a, b in zip(by_core, in_python, strict=True))


def curves(rng, ranges=3, categories=4, images=7, detections=60):
    first = np.sort(np.concatenate([[0, detections], rng.integers(0, detections, categories - 1)]))
    matched, skipped = (rng.random((ranges, len(IOU_THRESHOLDS), detections)) < p for p in (0.6, 0.2))
    instances = rng.integers(0, 6, (ranges, images, categories)) * (rng.random((ranges, 1, categories)) < 0.8)
    return rng.integers(0, images, detections), first, matched, skipped, instances


@pytest.mark.parametrize("seed", range(20))
def test_precision_over_recall(monkeypatch, seed):
    _, first, matched, skipped, instances = curves(np.random.default_rng(seed))
    arguments = first, matched, skipped, instances.sum(1), RECALLS
    by_core, in_python = both(monkeypatch, coco_matching.accumulate, *arguments)
    assert by_core.tobytes() == in_python.tobytes()


@pytest.mark.parametrize("seed", range(5))
def test_resamples(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    images = int(rng.integers(1, 30))
    image, first, matched, skipped, instances = curves(rng, images=images)
    weights = rng.multinomial(images, np.full(images, 1 / images), (2, coco_matching.LANES)).transpose(0, 2, 1)
    weights = np.ascontiguousarray(weights, np.uint8)
    weights[0, :, 0] = 0  # a draw without an image
    arguments = weights, image, first, matched[0], skipped[0], instances[0], RECALLS
    by_core, in_python = both(monkeypatch, coco_matching.resample, *arguments)
    np.testing.assert_allclose(by_core, in_python, rtol=1e-13, atol=0)
