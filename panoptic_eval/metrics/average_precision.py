"""Box and mask average precision with COCO's rules, equal to pycocotools.

Lin et al., "Microsoft COCO", ECCV 2014, arXiv 1405.0312.

Whatever the masks come from, matching needs only the pairs of one image and category that overlap enough to match;
`mask_overlaps` and `box_overlaps` list them from the pair table, `average_precision` matches and accumulates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from os import cpu_count
from typing import Literal

import numpy as np

from panoptic_eval.metrics import coco_matching
from panoptic_eval.metrics.metric import divide
from panoptic_eval.metrics.sums import remembered
from panoptic_eval.pairs.counts import Pairs
from panoptic_eval.pairs.ranking import best_detections
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.shapes import Bool, Float, Int

Kind = Literal["mask", "box", "boundary"]
"""What of a detection and an instance is compared."""
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_PAIRS = 2**18
"""Pairs of boxes that are compared at a time."""
COCO_RANGES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Areas in pixels, both ends included: an object of exactly 1024 pixels is small and medium."""
PARTS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
TITLES = {
    "AP_mask": "mask AP",
    "AP_box": "box AP",
    "AP_boundary": "boundary AP",
    "AP_mask_instances": "mask AP of instances.json",
    "AP_box_instances": "box AP of instances.json",
    "AP_boundary_instances": "boundary AP of instances.json",
}
"""Names of AP in tables for people."""
HALF, THREE_QUARTERS = (int(np.isclose(IOU_THRESHOLDS, threshold).argmax()) for threshold in (0.5, 0.75))
"""Indices of these thresholds."""
CHUNK = 4
"""Blocks of resamples in one job of a thread."""


@dataclass(frozen=True)
class Overlaps:
    """Detections and gt instances of one image and category that could match: IoU at least 0.5."""

    pred: Int[np.ndarray, " k"]
    """Index into the table's pred."""
    gt: Int[np.ndarray, " k"]
    """Index into the table's gt."""
    iou: Float[np.ndarray, " k"]
    """With a crowd: intersection over the detection's area."""


EMPTY = Overlaps(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class AveragePrecision:
    """Precision of each range and category at 10 thresholds of IoU, 101 of recall; NaN where gt has no instance."""

    precision: Float[np.ndarray, "a c 10 101"]
    instances: Int[np.ndarray, "a c"]
    """Gt instances that count."""

    def mean(self, range_: int, *, threshold: float | None = None) -> float:
        """Average over categories and thresholds of IoU, or at one threshold; NaN where no category is defined."""
        values = self.precision[range_, self.instances[range_] > 0]
        if threshold is not None:
            values = values[:, np.isclose(IOU_THRESHOLDS, threshold)]
        return float(values.mean()) if values.size else float("nan")


def mask_overlaps(table: PairTable, least: float = IOU_THRESHOLDS[0]) -> Overlaps:
    """Find overlaps by the pixels that a detection and an instance share; of an IoU of at least `least`."""
    pairs = _of_one_category(table)
    return _enough(table, pairs.pred, pairs.gt, mask_iou(table, pairs), least)


def boundary_overlaps(table: PairTable) -> Overlaps:
    """Find overlaps by the smaller of the IoUs of the masks, and of their parts near the boundary: Cheng et al.,
    "Boundary IoU", CVPR 2021, arXiv 2103.16562, Sec. 5. With a crowd the masks alone count, as in its authors' code.
    """
    pairs, gt, pred = _of_one_category(table), table.gt, table.pred
    assert pairs.near is not None
    assert gt.near is not None
    assert pred.near is not None
    near = pairs.near / (gt.near[pairs.gt] + pred.near[pairs.pred] - pairs.near)
    masks = mask_iou(table, pairs)
    return _enough(table, pairs.pred, pairs.gt, np.where(gt.crowd[pairs.gt], masks, np.minimum(masks, near)))


@remembered
def _of_one_category(table: PairTable) -> Pairs:
    """Select the pairs of a detection and an instance of the same category."""
    both = table.pairs.take(np.flatnonzero((table.pairs.gt >= 0) & (table.pairs.pred >= 0)))
    return both.take(np.flatnonzero(table.gt.category[both.gt] == table.pred.category[both.pred]))


def mask_iou(table: PairTable, pairs: Pairs) -> Float[np.ndarray, " k"]:
    """Compute the IoU of pairs; with a crowd, the share of the detection that lies in it."""
    area = table.pred.area[pairs.pred]
    union = np.where(table.gt.crowd[pairs.gt], area, area + table.gt.area[pairs.gt] - pairs.pixels)
    return pairs.pixels / union


def box_overlaps(table: PairTable, least: float = IOU_THRESHOLDS[0]) -> Overlaps:
    """Find overlaps by the boxes of detections and instances of one image and category; their masks need not touch.

    Those of an IoU of at least `least`.

    Only the best detections of each image and category are looked at, and few pairs at a time: memory goes with the
    number of segments, not with its square.
    """
    key_gt, key_pred = (s.image * np.int64(len(table.catalogue)) + s.category for s in (table.gt, table.pred))
    order = np.argsort(key_gt, kind="stable")
    order = order[table.catalogue.isthing[table.gt.category[order]]]
    p = np.sort(_counted(table))
    first, last = (np.searchsorted(key_gt[order], key_pred[p], side=side) for side in ("left", "right"))
    parts = []
    start = 0
    while start < len(p):  # at least one detection at a time
        ends = np.cumsum(last[start:] - first[start:])
        stop = start + max(1, int(np.searchsorted(ends, MAX_PAIRS, side="right")))
        parts.append(_box_overlaps(table, p[start:stop], order, first[start:stop], last[start:stop], least))
        start = stop
    return Overlaps(*(np.concatenate([getattr(EMPTY, f), *(getattr(o, f) for o in parts)]) for f in vars(EMPTY)))


def _box_overlaps(
    table: PairTable,
    detection: Int[np.ndarray, " d"],
    order: Int[np.ndarray, " g"],
    first: Int[np.ndarray, " d"],
    last: Int[np.ndarray, " d"],
    least: float,
) -> Overlaps:
    """Find overlaps of detections, each with the instances from order[first] to order[last]."""
    gt, pred = table.gt, table.pred
    count = last - first
    p = np.repeat(detection, count)
    g = order[np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)]
    (ax, ay, aw, ah), (bx, by, bw, bh) = pred.box[p].T, gt.box[g].T
    w = np.minimum(ax + aw, bx + bw) - np.maximum(ax, bx)
    h = np.minimum(ay + ah, by + bh) - np.maximum(ay, by)
    inter = np.where((w > 0) & (h > 0), w * h, 0.0)
    union = np.where(gt.crowd[g], aw * ah, aw * ah + bw * bh - inter)
    iou = np.divide(inter, union, out=np.zeros_like(inter), where=inter > 0)
    return _enough(table, p, g, iou, least)


def outside(area: Float[np.ndarray, " n"], ranges: Sequence[tuple[float, float]]) -> Bool[np.ndarray, "a n"]:
    """Tell whether an area lies outside each of the ranges, whose ends are inside."""
    low, high = np.array(ranges, float).reshape(-1, 2, 1).transpose(1, 0, 2)
    return (area < low) | (area > high)


@dataclass(frozen=True)
class Matches:
    """Detections after matching, category by category, best score first: all that precision and recall need."""

    pred: Int[np.ndarray, " d"]
    """Index into the table's pred."""
    image: Int[np.ndarray, " d"]
    first: Int[np.ndarray, " c1"]
    """Category c has the detections from first[c] to first[c + 1]."""
    matched: Bool[np.ndarray, "a t d"]
    """True where a detection matches an instance, in each range and at each threshold of IoU."""
    skipped: Bool[np.ndarray, "a t d"]
    """True where a detection does not count."""
    instances: Int[np.ndarray, "a i c"]
    """Gt instances that count, of each range, image and category."""


def match_ranges(
    table: PairTable, kinds: Sequence[Kind], bins: Sequence[tuple[float, float]], *, stated: bool
) -> dict[Kind, Matches]:
    """Match in COCO's four ranges, then in the bins of size.

    The bins take pixels on both sides, so that an exact copy of an instance is in the instance's bin.

    Args:
        table: of label maps or of detections.
        kinds: what overlaps; "boundary" only of a table whose boundaries were counted.
        bins: smallest and largest area in pixels, both included.
        stated: whether `stated_area`, where there is one, decides the COCO range of a mask: of detections with boxes,
            as in pycocotools. Of label maps the counted pixels decide: a JSON that states another area changes nothing.
    """
    pred, coco = table.pred, list(COCO_RANGES.values())
    by_counted = outside(pred.area, [*coco, *bins])
    by_stated, by_box = by_counted.copy(), by_counted.copy()
    if stated:
        by_stated[: len(coco)] = outside(np.where(np.isnan(pred.stated_area), pred.area, pred.stated_area), coco)
    by_box[: len(coco)] = outside(pred.box[:, 2] * pred.box[:, 3], coco)
    gt_outside = outside(table.gt.area, [*coco, *bins])
    overlaps = {"mask": mask_overlaps, "box": box_overlaps, "boundary": boundary_overlaps}
    return {
        kind: match(
            table,
            overlaps[kind](table),
            gt_outside=gt_outside,
            pred_outside=by_box if kind == "box" else by_stated,
        )
        for kind in kinds
    }


def average_precision(matches: Matches) -> AveragePrecision:
    """Accumulate precision over recall, all images together."""
    curves, instances = _curves(matches)
    return AveragePrecision(where_defined(curves, instances > 0), instances)


def _curves(matches: Matches) -> tuple[Float[np.ndarray, "n 10 101"], Int[np.ndarray, "a c"]]:
    """Return precision over recall of each range and category that has instances, and how many it has."""
    instances = matches.instances.sum(1)
    return coco_matching.accumulate(matches.first, matches.matched, matches.skipped, instances, RECALLS), instances


def where_defined(values: Float[np.ndarray, "n ..."], defined: Bool[np.ndarray, "a c"]) -> Float[np.ndarray, "a c ..."]:
    """Put values where they are defined, in their order, and NaN elsewhere."""
    filled = np.full((*defined.shape, *values.shape[1:]), np.nan)
    filled[defined] = values
    return filled


def ap_by_category(
    matches: Matches, weights: Int[np.ndarray, "w i"] | None = None
) -> tuple[dict[str | int, Float[np.ndarray, "w1 c"]], Float[np.ndarray, "10 101"]]:
    """Compute AP of each category, 0 to 1, by part: COCO's six, then the bins of size by their index.

    Args:
        matches: in COCO's four ranges, then in the bins.
        weights: how often each image counts, one row for each resample.

    Returns:
        One row for the images as they are, then one for each row of weights; NaN where gt has no instance. And the
        mean curve of the images as they are: precision at each threshold of IoU and each recall, of objects of all
        sizes, averaged over the categories that have instances.
    """
    curves, instances = _curves(matches)
    values = where_defined(curves.mean(2), instances > 0)[:, None]
    if weights is not None and len(weights):
        values = np.concatenate([values, _resampled(matches, weights)], axis=1)
    mean = values.mean(3)
    parts = [mean[0], values[0, ..., HALF], values[0, ..., THREE_QUARTERS], *mean[1:]]
    whole = curves[: np.count_nonzero(instances[0])]
    by_part = dict(zip((*PARTS, *range(len(parts) - len(PARTS))), parts, strict=True))
    return by_part, divide(whole.sum(0), np.array(len(whole)))


def _resampled(matches: Matches, weights: Int[np.ndarray, "w i"]) -> list[Float[np.ndarray, "w c t"]]:
    """Compute AP of each range, by category and threshold, with each image as often as a row of weights says."""
    images = weights.shape[1]
    padded = np.zeros(
        (-(len(weights) // -coco_matching.LANES), coco_matching.LANES, images), np.min_scalar_type(weights.max())
    )
    padded.reshape(-1, images)[: len(weights)] = weights
    blocks = np.ascontiguousarray(padded.transpose(0, 2, 1))
    starts = range(0, len(blocks), CHUNK)

    def job(range_and_start: tuple[int, int]) -> Float[np.ndarray, "b l c t"]:
        r, start = range_and_start
        return coco_matching.resample(
            blocks[start : start + CHUNK],
            matches.image,
            matches.first,
            matches.matched[r],
            matches.skipped[r],
            matches.instances[r],
            RECALLS,
        )

    with ThreadPoolExecutor(cpu_count()) as threads:
        done = list(threads.map(job, product(range(len(matches.instances)), starts)))
    joined = (np.concatenate(done[k : k + len(starts)]) for k in range(0, len(done), len(starts)))
    return [values.reshape(-1, *values.shape[2:])[: len(weights)] for values in joined]


def match(
    table: PairTable,
    overlaps: Overlaps,
    *,
    gt_outside: Bool[np.ndarray, "a g"],
    pred_outside: Bool[np.ndarray, "a p"],
    thresholds: Float[np.ndarray, " t"] = IOU_THRESHOLDS,
) -> Matches:
    """Match detections to instances, best score first.

    Equal scores are matched in the order of the table; detections without score have 1. Stuff does not take part.

    Args:
        table: of label maps or of detections.
        overlaps: of that table, by mask or by box.
        gt_outside: instances that each of `a` ranges leaves out: what matches them does not count.
        pred_outside: detections that do not count in a range unless they match an instance inside.
        thresholds: of IoU; equality matches.
    """
    gt, pred, c = table.gt, table.pred, len(table.catalogue)
    detection = _counted(table)
    position = np.full(len(pred), -1)
    position[detection] = np.arange(len(detection))
    at = position[overlaps.pred]
    order = np.lexsort((overlaps.gt, at))
    order = order[at[order] >= 0]
    start = np.searchsorted(at[order], np.arange(len(detection) + 1))

    ignored = gt_outside | gt.crowd
    matched, skipped = coco_matching.match(
        start, overlaps.gt[order], overlaps.iou[order], ignored, gt.crowd, pred_outside[:, detection], thresholds
    )
    by_score, first = _by_score(table)
    thing = table.catalogue.isthing[gt.category]
    shape = len(ignored), len(table), c
    range_, row = np.nonzero(~ignored & thing)
    cell = (range_ * len(table) + gt.image[row]) * c + gt.category[row]
    return Matches(
        pred=detection[by_score],
        image=pred.image[detection[by_score]],
        first=first,
        matched=matched.take(by_score, axis=2),  # in C's order, which indexing does not keep
        skipped=skipped.take(by_score, axis=2),
        instances=np.bincount(cell, minlength=math.prod(shape)).reshape(shape),
    )


@remembered
def _counted(table: PairTable) -> Int[np.ndarray, " d"]:
    """List the rows of the detections that count, by category, image and falling score."""
    pred = table.pred
    thing = np.flatnonzero(table.catalogue.isthing[pred.category])
    return thing[best_detections(pred.image[thing], pred.category[thing], pred.score[thing])]


@remembered
def _by_score(table: PairTable) -> tuple[Int[np.ndarray, " d"], Int[np.ndarray, " c1"]]:
    """Order the detections that count by category and falling score, and find where each category begins."""
    pred, detection = table.pred, _counted(table)
    score, category = pred.score[detection], pred.category[detection]
    order = np.lexsort((-np.where(np.isnan(score), 1.0, score), category))
    return order, np.searchsorted(category[order], np.arange(len(table.catalogue) + 1))


def _enough(
    table: PairTable,
    p: Int[np.ndarray, " k"],
    g: Int[np.ndarray, " k"],
    iou: Float[np.ndarray, " k"],
    least: float = IOU_THRESHOLDS[0],
) -> Overlaps:
    relevant = (iou >= least) & table.catalogue.isthing[table.gt.category[g]]
    return Overlaps(p[relevant], g[relevant], iou[relevant])
