"""Joint histograms by the compiled core: filtered rows to runs, runs to pairs, no pixels made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from panoptic_eval import core
from panoptic_eval.pairs.counts import IdCounts, Pairs
from panoptic_eval.png.ids import Ids
from panoptic_eval.shapes import Int, Integer


def count_files(library: Any, files: Sequence[tuple[bytes, bytes]], boundary: float = 0.0) -> list[IdCounts | None]:
    """Count each pair of PNG files (gt, pred) to its joint histogram; None is for the reference to count, or to refuse.

    Args:
        library: the core.
        files: their contents.
        boundary: distance up to which a pixel is near the boundary of its segment, in diagonals of the image; 0 if
            boundaries are not to be counted.

    Raises:
        MemoryError: there is not enough.
    """
    images = np.zeros((len(files), 6), np.int32)
    given = (core.Files * len(files))(*(core.Files(gt, len(gt), pred, len(pred)) for gt, pred in files))
    counts = core.Counts()
    core.check(library.core_count_files(len(files), given, boundary, core.address(images, np.int32), counts))
    return _taken(library, counts, images, near=boundary > 0)


def count_arrays(
    library: Any,
    gt: Integer[np.ndarray, "h w"],
    pred: Integer[np.ndarray, "h w"],
    boundary: float = 0.0,
    *,
    gt_void: Sequence[int] = (),
    pred_void: Sequence[int] = (),
) -> IdCounts | None:
    """Count two label images of one size, with at least one pixel, to their joint histogram; `boundary` as above.

    Integers of any type are read as they are, without a copy, where the array is contiguous.

    Args:
        library: the core.
        gt, pred: ids.
        boundary: as above.
        gt_void, pred_void: numbers that stand for 0.

    Returns:
        None if another number is no id, which is 0 to 2**32 - 1.

    Raises:
        MemoryError: there is not enough.
    """
    image = np.zeros((1, 6), np.int32)
    counts = core.Counts()
    arrays = [np.ascontiguousarray(labels, labels.dtype.newbyteorder("=")) for labels in (gt, pred)]
    voids = [
        np.array([number for number in void if number >= 0 or labels.dtype.kind == "i"], np.int64)
        for labels, void in zip(arrays, (gt_void, pred_void), strict=True)
    ]
    given = [
        core.Array(labels.ctypes.data, labels.itemsize, labels.dtype.kind == "i", void.ctypes.data, len(void))
        for labels, void in zip(arrays, voids, strict=True)
    ]
    status = library.core_count_arrays(*given, *gt.shape, boundary, core.address(image, np.int32), counts)
    return _taken(library, counts, image, near=boundary > 0)[0] if core.check(status) else None


def _taken(library: Any, counts: core.Counts, images: Int[np.ndarray, "n 6"], *, near: bool) -> list[IdCounts | None]:
    """Return the counts of each image, copied from the library's memory, which is released."""
    ids, pairs = counts.ids, counts.pairs
    id_, area = counts.id.array(np.uint32, ids), counts.area.array(np.int64, ids)
    box = counts.box.array(np.int32, 4 * ids).reshape(-1, 4)
    gt, pred = counts.gt.array(np.int32, pairs), counts.pred.array(np.int32, pairs)
    pixels = counts.pixels.array(np.int64, pairs)
    near_pixels = counts.near.array(np.int64, 3 * pairs).reshape(-1, 3) if near else None
    library.core_release_counts(counts)
    results: list[IdCounts | None] = []
    first = first_pair = 0
    for status, height, width, gt_ids, pred_ids, n in images.tolist():
        if status:
            results.append(None)
            continue
        middle, last = first + gt_ids, first + gt_ids + pred_ids
        of_gt, of_pred = (Ids(id_[s], area[s], box[s]) for s in (slice(first, middle), slice(middle, last)))
        rows = slice(first_pair, first_pair + n)
        of_pairs = Pairs(gt[rows], pred[rows], pixels[rows])
        near_rows = None if near_pixels is None else near_pixels[rows]
        results.append(IdCounts(height, width, of_gt, of_pred, of_pairs, near_rows))
        first, first_pair = last, first_pair + n
    return results
