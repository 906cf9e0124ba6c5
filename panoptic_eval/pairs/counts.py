"""What the pixels of one pair of label images say, and all that any metric needs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from panoptic_eval.png.ids import Ids
from panoptic_eval.shapes import Int


@dataclass(frozen=True)
class Pairs:
    """Entries of both sides that share pixels."""

    gt: Int[np.ndarray, " k"]
    """Index into the entries of gt; -1 where the pixels belong to none."""
    pred: Int[np.ndarray, " k"]
    """Index into the entries of the prediction; -1 where the pixels belong to none."""
    pixels: Int[np.ndarray, " k"]
    """Number of shared pixels."""

    def take(self, rows: Int[np.ndarray, " m"]) -> Pairs:
        """Select pairs, in the order given."""
        return Pairs(self.gt[rows], self.pred[rows], self.pixels[rows])

    @staticmethod
    def concatenate(parts: Sequence[Pairs]) -> Pairs:
        """Join pairs, in the order given; they must index the same entries."""
        return Pairs(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Pairs)))


def shifted(index: Int[np.ndarray, " k"], by: int) -> Int[np.ndarray, " k"]:
    """Move indices into entries that others now precede; -1 stays."""
    return np.where(index < 0, -1, index + by)


@dataclass(frozen=True)
class IdCounts:
    """Joint histogram of two label images of one size. The pixels of all pairs add up to height * width."""

    height: int
    width: int
    gt: Ids
    pred: Ids
    pairs: Pairs
    """int32 indices into `gt` and `pred`, int64 pixels; sorted by (gt, pred), each occurs once and has a pixel."""


@dataclass(frozen=True)
class Overlaps:
    """Pixels that the ids of one label image share with the masks of detections, which may overlap each other."""

    id: Int[np.ndarray, " k"]
    """As in the label image."""
    mask: Int[np.ndarray, " k"]
    """Index into the image's masks."""
    pixels: Int[np.ndarray, " k"]
