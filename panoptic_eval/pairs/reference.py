"""From two label images to their joint histogram, with NumPy: short, and what the compiled core is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from panoptic_eval.errors import PngError
from panoptic_eval.pairs.counts import IdCounts, Pairs
from panoptic_eval.png.ids import ids_of
from panoptic_eval.png.reference import decode
from panoptic_eval.shapes import Bool, Int, Integer, UInt32


def count_labels(gt: UInt32[np.ndarray, "h w"], pred: UInt32[np.ndarray, "h w"], boundary: float = 0.0) -> IdCounts:
    """Count two label images, given as arrays of ids, to their joint histogram.

    Args:
        gt, pred: ids.
        boundary: distance up to which a pixel is near the boundary of its segment, in diagonals of the image; 0 if
            boundaries are not to be counted.

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
    near = None
    if boundary:
        reach = boundary_distance(boundary, gt.shape)
        pair = np.repeat(inverse, length)
        near_gt, near_pred = (near_boundary(labels, reach).reshape(-1) for labels in (gt, pred))
        near = np.stack(
            [np.bincount(pair[n], minlength=len(pairs)) for n in (near_gt, near_pred, near_gt & near_pred)], 1
        )
    height, width = gt.shape
    return IdCounts(
        height, width, gt_ids, pred_ids, Pairs(pair_gt.astype(np.int32), pair_pred.astype(np.int32), pixels), near
    )


def as_ids(labels: Integer[np.ndarray, "h w"], void: Sequence[int] = ()) -> UInt32[np.ndarray, "h w"] | None:
    """Return integers as ids, 0 for those that are void; None if another one is no id.

    >>> as_ids(np.array([[-1, 3]]), void=[-1])
    array([[0, 3]], dtype=uint32)
    >>> as_ids(np.array([[-1, 3]]))
    """
    ids = np.where(np.isin(labels, void), 0, labels) if len(void) else labels
    if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= 2**32):
        return None
    return ids.astype(np.uint32, copy=False)


def near_boundary(labels: Integer[np.ndarray, "h w"], reach: int) -> Bool[np.ndarray, "h w"]:
    """Tell which pixels lie near the boundary of their segment.

    These are the pixels that `reach` erosions with a square of 3x3 take from their segment, where all that lies outside
    the image is another segment: Cheng et al., "Boundary IoU", CVPR 2021, arXiv 2103.16562.

    >>> int(near_boundary(np.ones((5, 5), np.uint32), 1).sum())
    16
    """
    height, width = labels.shape
    inside = np.zeros(labels.shape, bool)
    rows, columns = height - 2 * reach, width - 2 * reach
    if rows > 0 and columns > 0:
        # Changes of the id from one pixel to the next in the window around each pixel, from sums over rectangles.
        across = _windows(labels[:, 1:] != labels[:, :-1], 2 * reach + 1, 2 * reach)
        down = _windows(labels[1:] != labels[:-1], 2 * reach, 2 * reach + 1)
        inside[reach : reach + rows, reach : reach + columns] = (across == 0) & (down == 0)
    return ~inside


def boundary_distance(ratio: float, size: tuple[int, ...]) -> int:
    """Return a share of an image's diagonal in whole pixels, at least 1; half a pixel goes to the even number."""
    height, width = size
    return max(1, round(ratio * math.sqrt(height * height + width * width)))


def _windows(values: Bool[np.ndarray, "h w"], height: int, width: int) -> Int[np.ndarray, "a b"]:
    """Sum all windows of a size."""
    total = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.int64)
    total[1:, 1:] = values.cumsum(0, dtype=np.int64).cumsum(1)
    return total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]


def count_pair(gt: bytes, pred: bytes, boundary: float = 0.0) -> IdCounts:
    """Count two label PNGs, given as the contents of the files, to their joint histogram; `boundary` as above.

    Raises:
        PngError: a file is damaged or holds no ids, or the two differ in size; starts with "gt: " or "pred: ".
    """
    labels = []
    for side, png in (("gt", gt), ("pred", pred)):
        try:
            labels.append(decode(png))
        except PngError as error:
            raise PngError(f"{side}: {error}") from error
    return count_labels(labels[0], labels[1], boundary)
