"""What the pixels of one pair of label images say, and all that any metric needs of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class Ids:
    """The ids that occur in one label image, ascending; void (0 in panoptic PNGs) is an id like any other here."""

    id: Int[np.ndarray, " n"]
    """uint32, as stored: R + 256 G + 65536 B of a colour PNG, the grey value of a grey one."""
    area: Int[np.ndarray, " n"]
    """int64, pixels."""
    box: Int[np.ndarray, "n 4"]
    """int32 x0, y0, x1, y1, pixels of the image; x1 and y1 are one past the last pixel."""


@dataclass(frozen=True)
class IdCounts:
    """Joint histogram of two label images of one size. The pixels of all pairs add up to height * width."""

    height: int
    width: int
    gt: Ids
    pred: Ids
    pair_gt: Int[np.ndarray, " k"]
    """int32, index into `gt`; pairs are sorted by (pair_gt, pair_pred), each occurs once and has a pixel."""
    pair_pred: Int[np.ndarray, " k"]
    """int32, index into `pred`."""
    pair_pixels: Int[np.ndarray, " k"]
    """int64, pixels that have both ids."""


CountPair = Callable[[bytes, bytes], IdCounts]
"""Two PNG files' contents (gt, pred) to their counts. Raises PngError, starting with "gt: " or "pred: "."""
