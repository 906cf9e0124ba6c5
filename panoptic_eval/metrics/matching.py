"""COCO's greedy matching and its precision over recall, as loops that are compiled where numba is installed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from panoptic_eval.compiled import compiled


@compiled
def match(
    start: Int[np.ndarray, " d1"],
    overlap_gt: Int[np.ndarray, " k"],
    overlap_iou: Float[np.ndarray, " k"],
    gt_ignored: Bool[np.ndarray, "a g"],
    gt_crowd: Bool[np.ndarray, " g"],
    outside: Bool[np.ndarray, "a d"],
    thresholds: Float[np.ndarray, " t"],
) -> tuple[Bool[np.ndarray, "a t d"], Bool[np.ndarray, "a t d"]]:
    """Which detections match an instance, and which do not count, in each range and at each threshold of IoU.

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
    taken = np.empty(len(gt_crowd), np.bool_)
    for a in range(ranges):
        for t in range(len(thresholds)):
            taken[:] = False
            for d in range(detections):
                best = -1
                for ignored in (False, True):
                    if best >= 0:
                        break
                    best_iou = min(thresholds[t], 1 - 1e-10)
                    for k in range(start[d], start[d + 1]):
                        g = overlap_gt[k]
                        free = gt_crowd[g] or not taken[g]
                        if gt_ignored[a, g] == ignored and free and overlap_iou[k] >= best_iou:
                            best, best_iou = g, overlap_iou[k]
                if best >= 0:
                    taken[best] = True
                    matched[a, t, d] = True
                    skipped[a, t, d] = gt_ignored[a, best]
                else:
                    skipped[a, t, d] = outside[a, d]
    return matched, skipped


@compiled
def accumulate(
    first: Int[np.ndarray, " c1"],
    matched: Bool[np.ndarray, "a t d"],
    skipped: Bool[np.ndarray, "a t d"],
    instances: Int[np.ndarray, "a c"],
    recalls: Float[np.ndarray, " r"],
) -> Float[np.ndarray, "a c t r"]:
    """Highest precision at each recall or beyond; NaN for a category without instances.

    Args:
        first: category c has the detections from first[c] to first[c + 1], best first.
        matched, skipped: whether a detection matches, and whether it does not count.
        instances: gt instances that count, in each range and category.
        recalls: ascending.
    """
    ranges, thresholds, detections = matched.shape
    categories = instances.shape[1]
    result = np.full((ranges, categories, thresholds, len(recalls)), np.nan)
    recall = np.empty(detections)
    precision = np.empty(detections)
    for a in range(ranges):
        for c in range(categories):
            if instances[a, c] == 0:
                continue
            for t in range(thresholds):
                n, tp, fp = 0, 0, 0
                for d in range(first[c], first[c + 1]):
                    if not skipped[a, t, d]:
                        if matched[a, t, d]:
                            tp += 1
                        else:
                            fp += 1
                    # A detection that does not count still is a point of the curve, as in pycocotools.
                    recall[n] = tp / instances[a, c]
                    precision[n] = tp / (fp + tp + 2.220446049250313e-16)
                    n += 1
                for i in range(n - 1, 0, -1):
                    precision[i - 1] = max(precision[i - 1], precision[i])
                i = 0
                for r in range(len(recalls)):
                    while i < n and recall[i] < recalls[r]:
                        i += 1
                    result[a, c, t, r] = precision[i] if i < n else 0.0
    return result


LANES = 8
"""Resamples that go through the detections together: as many as one instruction adds."""


@compiled
def resample(
    weights: Int[np.ndarray, "i w"],
    image: Int[np.ndarray, " d"],
    first: Int[np.ndarray, " c1"],
    matched: Bool[np.ndarray, "t d"],
    skipped: Bool[np.ndarray, "t d"],
    instances: Float[np.ndarray, "w c"],
    recalls: Float[np.ndarray, " r"],
) -> Float[np.ndarray, "w c t"]:
    """AP of one range at each threshold, with each image as often as a column of weights says; NaN without instances.

    What `accumulate` gives for tables in which images are repeated, without repeating them; where detections of one
    image have equal scores, the copies of each go together. The number of columns is a multiple of `LANES`.
    """
    columns = weights.shape[1]
    result = np.full((columns, len(first) - 1, len(matched)), np.nan)
    hits = np.empty((LANES, len(image) + 1))
    precision = np.empty((LANES, len(image) + 1))
    counted = np.empty(len(image), np.int32)
    hit = np.empty(len(image), np.bool_)
    tp, fp = np.empty(LANES), np.empty(LANES)
    needed = np.empty((columns, len(recalls)))  # hits, for each recall
    for c in range(len(first) - 1):
        for w in range(columns):
            for r in range(len(recalls)):
                count = np.floor(recalls[r] * instances[w, c])
                if instances[w, c] > 0 and count / instances[w, c] < recalls[r]:
                    count += 1
                needed[w, r] = count
        for t in range(len(matched)):
            total = 0
            for d in range(first[c], first[c + 1]):
                if not skipped[t, d]:
                    counted[total], hit[total] = image[d], matched[t, d]
                    total += 1
            for w in range(0, columns, LANES):
                n = 0
                tp[:] = 0
                fp[:] = 2.220446049250313e-16
                for k in range(total):
                    i = counted[k]
                    if hit[k]:  # precision falls from one hit to the next: only the hits are corners of its envelope
                        for j in range(LANES):
                            tp[j] += weights[i, w + j]
                            hits[j, n] = tp[j]
                            precision[j, n] = tp[j] / (fp[j] + tp[j])
                        n += 1
                    else:
                        for j in range(LANES):
                            fp[j] += weights[i, w + j]
                for j in range(LANES):
                    if instances[w + j, c] == 0:
                        continue
                    r = len(recalls) - 1
                    area, best = 0.0, 0.0
                    for i in range(n - 1, -1, -1):
                        while r >= 0 and needed[w + j, r] > hits[j, i]:
                            area += best
                            r -= 1
                        best = max(best, precision[j, i])
                    result[w + j, c, t] = (area + (r + 1) * best) / len(recalls)
    return result
