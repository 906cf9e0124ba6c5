"""The ids that occur in a label image: their pixels and boxes.

Runs first: a label image has far fewer runs of equal ids than pixels, so that sorting runs is cheap where sorting
pixels is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panoptic_eval.shapes import Int, UInt32


@dataclass(frozen=True)
class Ids:
    """The ids that occur in one label image, ascending; void (0 in panoptic PNGs) is an id like any other here."""

    id: Int[np.ndarray, " n"]
    """uint32, as stored: R + 256 G + 65536 B of a color PNG, the gray value of a gray one, an index of a palette."""
    area: Int[np.ndarray, " n"]
    """int64, pixels."""
    box: Int[np.ndarray, "n 4"]
    """int32 x0, y0, x1, y1, pixels of the image; x1 and y1 are one past the last pixel."""
    palette: UInt32[np.ndarray, " e"] | None = None
    """R + 256 G + 65536 B of each entry of the PNG's palette, None where it has none; see `pairs.palette`."""


def ids_of(labels: UInt32[np.ndarray, "h w"]) -> tuple[Ids, UInt32[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    """List ids of a label image, and its runs: the index into them of each run, and where it starts in raster order."""
    height, width = labels.shape
    changed = np.empty(labels.shape, bool)
    changed[:, 0] = True  # a run ends with its row, so that it has one y
    np.not_equal(labels[:, 1:], labels[:, :-1], out=changed[:, 1:])
    start = np.flatnonzero(changed)
    length = np.diff(start, append=labels.size)
    ids, inverse = np.unique(labels.reshape(-1)[start], return_inverse=True)
    y, x0 = np.divmod(start, width)
    box = np.empty((len(ids), 4), np.int32)
    box[:, :2], box[:, 2:] = np.iinfo(np.int32).max, 0
    np.minimum.at(box[:, 0], inverse, x0.astype(np.int32))
    np.minimum.at(box[:, 1], inverse, y.astype(np.int32))
    np.maximum.at(box[:, 2], inverse, (x0 + length).astype(np.int32))
    np.maximum.at(box[:, 3], inverse, (y + 1).astype(np.int32))
    area = np.bincount(inverse, weights=length, minlength=len(ids)).astype(np.int64)
    return Ids(ids, area, box), inverse, start
