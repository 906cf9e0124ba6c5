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


@compiled
def resample(
    weights: Int[np.ndarray, "b i l"],
    image: Int[np.ndarray, " d"],
    first: Int[np.ndarray, " c1"],
    matched: Bool[np.ndarray, "t d"],
    skipped: Bool[np.ndarray, "t d"],
    instances: Int[np.ndarray, "i c"],
    recalls: Float[np.ndarray, " r"],
) -> Float[np.ndarray, "b l c t"]:
    """AP of one range at each threshold, with each image as often as a column of weights says; NaN without instances.

    What `accumulate` gives for tables in which images are repeated, without repeating them; where detections of one
    image have equal scores, the copies of each go together. Weights are in blocks of columns that stay in the
    processor's cache: the columns of a block go through the detections together.
    """
    blocks, images, lanes = weights.shape
    categories, thresholds = len(first) - 1, len(matched)
    result = np.full((blocks, lanes, categories, thresholds), np.nan)
    counted = np.empty(len(image), np.int32)
    hit = np.empty(len(image), np.bool_)
    hits, misses = np.empty(images, np.int32), np.empty(images, np.int32)
    needed = np.empty((blocks, lanes, len(recalls)), np.int32)  # hits, for each recall; -1: there is no instance
    tp, fp, level = np.empty(lanes, np.int32), np.empty(lanes, np.int32), np.empty(lanes, np.int32)
    area, best = np.empty(lanes), np.empty(lanes)
    for c in range(categories):
        for b in range(blocks):
            tp[:] = 0  # of every instance found
            for i in range(images):
                if instances[i, c]:
                    for j in range(lanes):
                        tp[j] += weights[b, i, j] * instances[i, c]
            for j in range(lanes):
                for r in range(len(recalls)):
                    needed[b, j, r] = np.floor(recalls[r] * tp[j]) if tp[j] else -1
                    if tp[j] and needed[b, j, r] / tp[j] < recalls[r]:
                        needed[b, j, r] += 1
        for t in range(thresholds):
            kept = 0
            hits[:], misses[:] = 0, 0
            for d in range(first[c], first[c + 1]):
                if not skipped[t, d]:
                    counted[kept], hit[kept] = image[d], matched[t, d]
                    hits[image[d]] += matched[t, d]
                    misses[image[d]] += not matched[t, d]
                    kept += 1
            for b in range(blocks):
                tp[:], fp[:] = 0, 0
                for i in range(images):
                    if hits[i] or misses[i]:
                        for j in range(lanes):
                            tp[j] += weights[b, i, j] * hits[i]
                            fp[j] += weights[b, i, j] * misses[i]
                for j in range(lanes):
                    level[j] = len(recalls)
                    while level[j] > 0 and needed[b, j, level[j] - 1] > tp[j]:
                        level[j] -= 1  # a recall that is not reached
                area[:], best[:] = 0, 0
                for k in range(kept - 1, -1, -1):  # backwards, so that the best precision beyond is known
                    i = counted[k]
                    if not hit[k]:
                        for j in range(lanes):
                            fp[j] -= weights[b, i, j]
                        continue
                    if k == kept - 1 or not hit[k + 1]:  # of hits in a row, the last one has the best precision
                        for j in range(lanes):
                            best[j] = max(best[j], tp[j] / (fp[j] + tp[j] + 2.220446049250313e-16))
                    for j in range(lanes):
                        tp[j] -= weights[b, i, j]
                    if k == 0 or not hit[k - 1]:
                        for j in range(lanes):
                            while level[j] > 0 and tp[j] < needed[b, j, level[j] - 1]:
                                area[j] += best[j]
                                level[j] -= 1
                for j in range(lanes):
                    if needed[b, j, 0] >= 0:
                        result[b, j, c, t] = (area[j] + level[j] * best[j]) / len(recalls)
    return result
