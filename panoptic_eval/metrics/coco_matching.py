"""COCO's greedy matching and its precision over recall: by the compiled core, or the same in Python."""

from __future__ import annotations

import numpy as np

from panoptic_eval import core
from panoptic_eval.shapes import Bool, Float, Int

LANES = 64
"""Resamples that the core takes at a time."""
EPSILON = 2.220446049250313e-16


def match(
    start: Int[np.ndarray, " d1"],
    overlap_gt: Int[np.ndarray, " k"],
    overlap_iou: Float[np.ndarray, " k"],
    gt_ignored: Bool[np.ndarray, "a g"],
    gt_crowd: Bool[np.ndarray, " g"],
    outside: Bool[np.ndarray, "a d"],
    thresholds: Float[np.ndarray, " t"],
) -> tuple[Bool[np.ndarray, "a t d"], Bool[np.ndarray, "a t d"]]:
    """Return which detections match an instance, and which do not count, in each range and at each threshold of IoU.

    Detections choose in turn, best first: the instance of highest IoU, of equal ones the last; an ignored one only
    if there is no other. An instance is taken once, a crowd any number of times.

    Args:
        start: the overlaps of detection d are start[d] to start[d + 1], in the order of the instances.
        overlap_gt, overlap_iou: the instance and the IoU of each.
        gt_ignored: crowds, and instances out of the range.
        gt_crowd: crowds.
        outside: detections out of the range, which do not count where they match nothing.
        thresholds: of IoU; equality matches.
    """
    ranges, detections = outside.shape
    matched = np.zeros((ranges, len(thresholds), detections), np.bool_)
    skipped = np.zeros((ranges, len(thresholds), detections), np.bool_)
    library = core.library()
    if library is not None:
        given = core.addresses(
            (start, np.int64),
            (overlap_gt, np.int64),
            (overlap_iou, np.float64),
            (gt_ignored, np.bool_),
            (gt_crowd, np.bool_),
            (outside, np.bool_),
            (thresholds, np.float64),
        )
        results = core.address(matched, np.bool_), core.address(skipped, np.bool_)
        core.check(library.core_match(ranges, len(thresholds), detections, len(gt_crowd), *given, *results))
        return matched, skipped
    for a, t in np.ndindex(ranges, len(thresholds)):
        taken = np.zeros(len(gt_crowd), np.bool_)
        for d in range(detections):
            skipped[a, t, d] = outside[a, d]
            for ignored in (False, True):
                best, best_iou = -1, min(thresholds[t], 1 - 1e-10)
                for k in range(start[d], start[d + 1]):
                    g = overlap_gt[k]
                    free = gt_crowd[g] or not taken[g]
                    if gt_ignored[a, g] == ignored and free and overlap_iou[k] >= best_iou:
                        best, best_iou = g, overlap_iou[k]
                if best >= 0:
                    taken[best] = matched[a, t, d] = True
                    skipped[a, t, d] = ignored
                    break
    return matched, skipped


def accumulate(
    first: Int[np.ndarray, " c1"],
    matched: Bool[np.ndarray, "a t d"],
    skipped: Bool[np.ndarray, "a t d"],
    instances: Int[np.ndarray, "a c"],
    recalls: Float[np.ndarray, " r"],
) -> Float[np.ndarray, "n t r"]:
    """Find the highest precision at each recall or beyond, of each range and category with instances, in this order.

    Args:
        first: category c has the detections from first[c] to first[c + 1], best first.
        matched, skipped: whether a detection matches, and whether it does not count.
        instances: gt instances that count, in each range and category.
        recalls: ascending.
    """
    ranges, thresholds, detections = matched.shape
    categories = instances.shape[1]
    result = np.empty((np.count_nonzero(instances), thresholds, len(recalls)))
    library = core.library()
    if library is not None:
        given = core.addresses(
            (first, np.int64),
            (matched, np.bool_),
            (skipped, np.bool_),
            (instances, np.int64),
            (recalls, np.float64),
        )
        sizes = ranges, categories, thresholds, detections, len(recalls)
        core.check(library.core_accumulate(*sizes, *given, core.address(result, np.float64)))
        return result
    for curves, a, c in zip(result, *np.nonzero(instances), strict=True):
        of_category = slice(first[c], first[c + 1])
        for t in range(thresholds):
            curves[t] = _precision(
                matched[a, t, of_category], skipped[a, t, of_category], int(instances[a, c]), recalls
            )
    return result


def _precision(
    matched: Bool[np.ndarray, " d"], skipped: Bool[np.ndarray, " d"], instances: int, recalls: Float[np.ndarray, " r"]
) -> Float[np.ndarray, " r"]:
    """Find the highest precision at each recall or beyond, of one category, range and threshold."""
    tp, fp = np.cumsum(matched & ~skipped), np.cumsum(~matched & ~skipped)
    # A detection that does not count still is a point of the curve, as in pycocotools.
    precision = np.maximum.accumulate((tp / (fp + tp + EPSILON))[::-1])[::-1]
    return np.append(precision, 0.0)[np.searchsorted(tp / instances, recalls)]


def resample(
    weights: Int[np.ndarray, "b i l"],
    image: Int[np.ndarray, " d"],
    first: Int[np.ndarray, " c1"],
    matched: Bool[np.ndarray, "t d"],
    skipped: Bool[np.ndarray, "t d"],
    instances: Int[np.ndarray, "i c"],
    recalls: Float[np.ndarray, " r"],
) -> Float[np.ndarray, "b l c t"]:
    """Compute AP of one range at each threshold for resampled images; NaN without instances.

    The result is that of `accumulate` for a table in which images are repeated, without repeating them. Where
    detections of one image have equal scores, the copies of each go together.

    Args:
        weights: how often each image counts, 0 to 255, in blocks of LANES columns; a block goes through the detections
            at once.
        image: of each detection.
        first, matched, skipped, recalls: as for `accumulate`.
        instances: gt instances that count, in each image and category.
    """
    blocks, images, lanes = weights.shape
    categories, thresholds = len(first) - 1, len(matched)
    values = np.full((blocks, lanes, categories, thresholds), np.nan)
    library = core.library()
    if library is not None and lanes == LANES:
        given = core.addresses(
            (image, np.int64),
            (first, np.int64),
            (matched, np.bool_),
            (skipped, np.bool_),
            (instances, np.int64),
            (recalls, np.float64),
        )
        sizes = images, categories, thresholds, len(image), len(recalls)
        for block, result in zip(weights, values, strict=True):
            lanes_of_block = core.addresses((block, np.uint8))
            core.check(library.core_resample(*sizes, *lanes_of_block, *given, core.address(result, np.float64)))
        return values
    for b, j, c in np.ndindex(blocks, lanes, categories):
        if total := weights[b, :, j].astype(np.int64) @ instances[:, c]:
            detections = np.arange(int(first[c]), int(first[c + 1]))
            drawn = np.repeat(detections, weights[b, image[detections], j])
            for t in range(thresholds):
                values[b, j, c, t] = _precision(matched[t, drawn], skipped[t, drawn], total, recalls).mean()
    return values
