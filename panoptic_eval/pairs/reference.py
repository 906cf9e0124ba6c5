"""From two label images to their joint histogram, with NumPy: short, and what the compiled core is compared with."""

from __future__ import annotations

import numpy as np

from panoptic_eval.errors import PngError
from panoptic_eval.pairs.counts import IdCounts, Pairs
from panoptic_eval.png.ids import ids_of
from panoptic_eval.png.reference import decode
from panoptic_eval.shapes import UInt32


def count_labels(gt: UInt32[np.ndarray, "h w"], pred: UInt32[np.ndarray, "h w"]) -> IdCounts:
    """Count two label images, given as arrays of ids, to their joint histogram.

    Raises:
        PngError: the two differ in size.

    >>> counts = count_labels(np.array([[1, 1, 2]], np.uint32), np.array([[5, 6, 6]], np.uint32))
    >>> counts.pairs.gt.tolist(), counts.pairs.pred.tolist(), counts.pairs.pixels.tolist()
    ([0, 0, 1], [0, 1, 1], [1, 1, 1])
    """
    if gt.shape != pred.shape:
        raise PngError(
            f"pred: has {pred.shape[1]} x {pred.shape[0]} pixels; expected {gt.shape[1]} x {gt.shape[0]}, as its gt has"
        )
    gt_ids, gt_run, gt_start = ids_of(gt)
    pred_ids, pred_run, pred_start = ids_of(pred)
    start = np.sort(np.concatenate([gt_start, pred_start]), kind="stable")  # which merges what is sorted already
    start = start[np.diff(start, prepend=-1) > 0]
    length = np.diff(start, append=gt.size)
    at_gt = gt_run[np.searchsorted(gt_start, start, side="right") - 1]
    at_pred = pred_run[np.searchsorted(pred_start, start, side="right") - 1]
    pairs, inverse = np.unique(at_gt * np.int64(len(pred_ids.id)) + at_pred, return_inverse=True)
    pixels = np.bincount(inverse, weights=length).astype(np.int64)  # exact: float64 holds integers to 2**53
    pair_gt, pair_pred = np.divmod(pairs, len(pred_ids.id))
    height, width = gt.shape
    return IdCounts(
        height, width, gt_ids, pred_ids, Pairs(pair_gt.astype(np.int32), pair_pred.astype(np.int32), pixels)
    )


def count_pair(gt: bytes, pred: bytes) -> IdCounts:
    """Count two label PNGs, given as the contents of the files, to their joint histogram.

    Raises:
        PngError: a file is damaged or holds no ids, or the two differ in size; starts with "gt: " or "pred: ".
    """
    labels = []
    for side, png in (("gt", gt), ("pred", pred)):
        try:
            labels.append(decode(png))
        except PngError as error:
            raise PngError(f"{side}: {error}") from error
    return count_labels(*labels)
