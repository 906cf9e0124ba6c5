"""Panoptic quality: PQ, SQ and RQ (Kirillov et al., "Panoptic Segmentation", CVPR 2019, Eq. 1, arXiv 1801.00868), and
PQ† (Porzi et al., "Seamless Scene Segmentation", CVPR 2019, arXiv 1905.01220).

Matching is that of panopticapi: void leaves a prediction's area, crowd does not, and a prediction that lies for more
than half of its area in void and crowds of its own category is not counted at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panoptic_eval.errors import Fault
from panoptic_eval.metrics.metric import Metric, divide
from panoptic_eval.metrics.sums import histogram, overlaps, remembered, void_overlap
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.rules import DEFAULT, Rules
from panoptic_eval.shapes import Bool, Float, Int


@dataclass(frozen=True)
class PQCounts:
    """Matches and unmatched segments of each category; counts of different images add. Leading axes are free."""

    iou: Float[np.ndarray, "*b c"]
    """Summed over matched pairs."""
    tp: Int[np.ndarray, "*b c"]
    fp: Int[np.ndarray, "*b c"]
    fn: Int[np.ndarray, "*b c"]


def panoptic_quality(counts: PQCounts) -> Float[np.ndarray, "*b c"]:
    """Compute PQ of each category, 0 to 1; NaN where neither side has a segment of that category.

    >>> one = np.array([1])
    >>> panoptic_quality(PQCounts(iou=np.array([0.8]), tp=one, fp=one, fn=one))
    array([0.4])
    """
    return divide(counts.iou, counts.tp + counts.fp / 2 + counts.fn / 2)


def segmentation_quality(counts: PQCounts) -> Float[np.ndarray, "*b c"]:
    """Compute SQ, the mean IoU of matches; 0 where there is a segment but no match, NaN where there is no segment."""
    present = counts.tp + counts.fp + counts.fn > 0
    return np.where(present, counts.iou / np.maximum(counts.tp, 1), np.nan)


def recognition_quality(counts: PQCounts) -> Float[np.ndarray, "*b c"]:
    """Compute RQ, the F1 score of matching; NaN where neither side has a segment of that category."""
    return divide(counts.tp, counts.tp + counts.fp / 2 + counts.fn / 2)


@dataclass(frozen=True)
class Matching:
    """Pairs of segments that match, and segments that are an error as they have no match."""

    gt: Int[np.ndarray, " k"]
    """Index into the table's gt."""
    pred: Int[np.ndarray, " k"]
    """Index into the table's pred."""
    iou: Float[np.ndarray, " k"]
    """IoU, above 1/2: of the segments, or the smaller of theirs and that of their pixels near the boundary."""
    shared: Int[np.ndarray, " k"]
    """Pixels of the intersection."""
    union: Float[np.ndarray, " k"]
    """Pixels of the union, without those that gt leaves void."""
    missed: Bool[np.ndarray, " g"]
    """True for false negatives."""
    spurious: Bool[np.ndarray, " p"]
    """True for false positives."""


@remembered
def match(table: PairTable, rules: Rules = DEFAULT, *, boundary: bool = False) -> Matching:
    """Match segments of one image and category.

    Args:
        table: of label maps.
        rules: with panopticapi's quirks, of several crowds of one category in an image only the last counts, and gt
            areas are those of the JSON, where it states them.
        boundary: whether the pixels near the boundary have to overlap, too (Cheng et al., "Boundary IoU", CVPR 2021,
            arXiv 2103.16562, Sec. 5.2).
    """
    gt, pred = table.gt, table.pred
    area = np.where(rules.quirks & ~np.isnan(gt.stated_area), gt.stated_area, gt.area)
    g, p, shared = overlaps(table)
    same = gt.category[g] == pred.category[p]
    g, p, shared = g[same], p[same], shared[same]
    void = void_overlap(table)

    union = np.where(gt.crowd[g], np.inf, area[g] + (pred.area - void)[p] - shared)
    iou = shared / union
    if boundary:
        iou = np.minimum(iou, boundary_iou(table)[same])
    matched = iou > 0.5  # more than half of the union: at most one partner on either side

    counts_as_crowd = gt.crowd & _last_of_category(table) if rules.quirks else gt.crowd
    in_crowd = counts_as_crowd[g]
    ignored = void + np.bincount(p[in_crowd], weights=shared[in_crowd], minlength=len(pred))
    missed, spurious = ~gt.crowd, ignored / pred.area <= 0.5
    missed[g[matched]] = spurious[p[matched]] = False
    return Matching(g[matched], p[matched], iou[matched], shared[matched], union[matched], missed, spurious)


def boundary_iou(table: PairTable) -> Float[np.ndarray, " k"]:
    """Compute the IoU of the pixels near the boundaries of the pairs without void, in the order of `overlaps`.

    Void leaves the prediction's, as it leaves its area. The pixels were counted with the images.
    """
    pairs, gt, pred = table.pairs, table.gt, table.pred
    assert pairs.near is not None
    assert gt.near is not None
    assert pred.near is not None
    void = (pairs.gt < 0) & (pairs.pred >= 0)
    kept = pred.near - np.bincount(pairs.pred[void], pairs.near[void], len(pred))
    both = pairs.take(np.flatnonzero((pairs.gt >= 0) & (pairs.pred >= 0)))
    assert both.near is not None
    union = gt.near[both.gt] + kept[both.pred] - both.near
    return divide(both.near, union)


def boundary_counts(table: PairTable, rules: Rules = DEFAULT) -> PQCounts:
    """Count as `pq_counts` does, with the smaller of the IoUs of the segments and of their pixels near the boundary."""
    return pq_counts(table, rules, boundary=True)


@remembered
def pq_counts(table: PairTable, rules: Rules = DEFAULT, *, boundary: bool = False) -> PQCounts:
    """Count matches, unmatched segments and summed IoU of each image and category, shape (images, categories).

    Args:
        table: of label maps.
        rules: as for `match`; with panopticapi's quirks gt segments without pixels are false negatives, too.
        boundary: as for `match`.
    """
    gt, pred, matching = table.gt, table.pred, match(table, rules, boundary=boundary)
    image, category = gt.image[matching.gt], gt.category[matching.gt]
    fn = histogram(table, gt.image[matching.missed], gt.category[matching.missed])
    if rules.quirks:
        fn = fn + histogram(table, table.unseen[:, 0], table.unseen[:, 1])
    return PQCounts(
        iou=histogram(table, image, category, weights=matching.iou),
        tp=histogram(table, image, category).astype(np.int64),
        fp=histogram(table, pred.image[matching.spurious], pred.category[matching.spurious]).astype(np.int64),
        fn=fn.astype(np.int64),
    )


def impossible_areas(table: PairTable) -> Fault | None:
    """Find gt segments whose stated area is so small that a prediction shares more than their union with them.

    With areas from the JSON their IoU would be infinite, negative or above 1. None if there is none.
    """
    gt, pred = table.gt, table.pred
    g, p, shared = overlaps(table)
    stated = gt.stated_area[g]
    union = stated + (pred.area - void_overlap(table))[p] - shared
    wrong = np.flatnonzero((gt.category[g] == pred.category[p]) & ~gt.crowd[g] & (union < shared))
    wrong = wrong[np.unique(g[wrong], return_index=True)[1]]
    if not len(wrong):
        return None
    return Fault(
        "stated [area|areas] of gt [segment|segments] too small, as IoU would be above 1; expected the area in the "
        "PNG (or --protocol default, which counts the PNG)",
        tuple(
            f"image {table.image_id[gt.image[g[k]]]!r}, segment {gt.id[g[k]]}: the JSON states {stated[k]:g} pixels, "
            f"the PNG has {gt.area[g[k]]}, of which predicted segment {pred.id[p[k]]} shares {shared[k]}"
            for k in wrong.tolist()
        ),
    )


@dataclass(frozen=True)
class StuffRegionCounts:
    """Numerator and denominator of PQ† of each category; counts of different images add."""

    iou: Float[np.ndarray, "*b c"]
    """Things: sum over matched pairs. Stuff: IoU of the category's region, summed over the images whose gt has it."""
    weight: Float[np.ndarray, "*b c"]
    """Things: TP + FP/2 + FN/2. Stuff: number of images whose gt has the category."""


def dagger_counts(table: PairTable, rules: Rules = DEFAULT) -> StuffRegionCounts:
    """Count PQ† of each image and category, shape (images, categories).

    A region is all segments of a stuff category as one. Crowds are no region; void leaves the prediction, as in PQ. A
    stuff category that is predicted where gt has none costs nothing.
    """
    gt, pred = table.gt, table.pred
    g, p, shared = overlaps(table)
    overlap = (gt.category[g] == pred.category[p]) & ~gt.crowd[g]
    inter = histogram(table, gt.image[g[overlap]], gt.category[g[overlap]], weights=shared[overlap])
    solid = ~gt.crowd
    gt_area = histogram(table, gt.image[solid], gt.category[solid], weights=gt.area[solid])
    pred_area = histogram(table, pred.image, pred.category, weights=pred.area - void_overlap(table))
    union = np.where(gt_area > 0, gt_area + pred_area - inter, 1)
    things, matches = table.catalogue.isthing, pq_counts(table, rules)
    return StuffRegionCounts(
        iou=np.where(things, matches.iou, inter / union),
        weight=np.where(things, matches.tp + matches.fp / 2 + matches.fn / 2, gt_area > 0),
    )


def pq_dagger(counts: StuffRegionCounts) -> Float[np.ndarray, "*b c"]:
    """Compute PQ† of each category, 0 to 1; NaN for things that neither side has and for stuff that gt lacks."""
    return divide(counts.iou, counts.weight)


def split_stuff(table: PairTable) -> Int[np.ndarray, " i"]:
    """Find the images where a side has several segments of one stuff category, which PQ† takes as one."""
    split = np.zeros(len(table), bool)
    for side in (table.gt, table.pred):
        stuff = ~table.catalogue.isthing[side.category] & ~side.crowd
        split |= (histogram(table, side.image[stuff], side.category[stuff]) > 1).any(1)
    return np.flatnonzero(split)


def _last_of_category(table: PairTable) -> Bool[np.ndarray, " n"]:
    """Tell which gt crowds are the last of their image and category in the order of the JSON."""
    gt = table.gt
    rows = np.flatnonzero(gt.crowd)
    key = gt.image[rows] * np.int64(len(table.catalogue)) + gt.category[rows]
    _, last = np.unique(key[::-1], return_index=True)
    is_last = np.zeros(len(gt), bool)
    is_last[rows[len(rows) - 1 - last]] = True
    return is_last


_EITHER = "has a segment in gt or in the predictions"
PQ = Metric("PQ", "PQ", pq_counts, panoptic_quality, _EITHER)
SQ = Metric("SQ", "SQ", pq_counts, segmentation_quality, _EITHER)
RQ = Metric("RQ", "RQ", pq_counts, recognition_quality, _EITHER)
PQ_BOUNDARY = Metric("PQ_boundary", "boundary PQ", boundary_counts, panoptic_quality, _EITHER)
PQ_DAGGER = Metric("PQ_dagger", "PQ†", dagger_counts, pq_dagger, "has a segment in gt")
