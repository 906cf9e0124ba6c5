"""What the pixels of one pair of label images say, and all that any metric needs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

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
    near: Int[np.ndarray, " k"] | None = None
    """Number of them that are near the boundary of both entries; of the one entry where the other side has none. None
    where boundaries were not counted."""

    def take(self, rows: Int[np.ndarray, " m"]) -> Pairs:
        """Select pairs, in the order given."""
        return Pairs(**taken(self, rows))

    @staticmethod
    def concatenate(parts: Sequence[Pairs]) -> Pairs:
        """Join pairs, in the order given; they must index the same entries."""
        return Pairs(**joined(parts))


def taken(columns: Any, rows: Int[np.ndarray, " m"]) -> dict[str, Any]:
    """Select rows of a dataclass of arrays, some of which may be None."""
    return {name: None if values is None else values[rows] for name, values in vars(columns).items()}


def joined(parts: Sequence[Any]) -> dict[str, Any]:
    """Join dataclasses of arrays; an array that one of them does not have, the result does not have."""
    columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(parts[0])}
    return {n: None if any(v is None for v in values) else np.concatenate(values) for n, values in columns.items()}


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
    near: Int[np.ndarray, "k 3"] | None = None
    """int64, of each pair: its pixels near the boundary of the gt entry, of the predicted one, and of both; None where
    they were not asked for."""


@dataclass(frozen=True)
class Overlaps:
    """Pixels that the ids of one label image share with the masks of detections, which may overlap each other."""

    id: Int[np.ndarray, " k"]
    """As in the label image."""
    mask: Int[np.ndarray, " k"]
    """Index into the image's masks."""
    pixels: Int[np.ndarray, " k"]
    near: Int[np.ndarray, " k"] | None = None
    """Number of these pixels that are near the boundary of both; None where boundaries were not counted."""
    mask_near: Int[np.ndarray, " m"] | None = None
    """Number of pixels near the boundary of each of the image's masks."""
