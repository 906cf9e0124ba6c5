"""Sums over the pairs and segments of a table that several metrics take."""

from __future__ import annotations

import numpy as np

from panoptic_eval.pairs.table import PairTable
from panoptic_eval.shapes import Float, Int


def overlaps(table: PairTable) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """List the pairs without void: gt index, pred index, shared pixels."""
    pairs = table.pairs.take(np.flatnonzero((table.pairs.gt >= 0) & (table.pairs.pred >= 0)))
    return pairs.gt, pairs.pred, pairs.pixels


def void_overlap(table: PairTable) -> Float[np.ndarray, " n"]:
    """Count the pixels of each predicted segment that gt leaves void."""
    void = table.pairs.take(np.flatnonzero((table.pairs.gt < 0) & (table.pairs.pred >= 0)))
    return np.bincount(void.pred, weights=void.pixels, minlength=len(table.pred))


def histogram(
    table: PairTable,
    image: Int[np.ndarray, " n"],
    category: Int[np.ndarray, " n"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, "i c"]:
    """Count the segments of each image and category, or sum their weights."""
    shape = len(table), len(table.catalogue)
    return np.bincount(image * np.int64(shape[1]) + category, weights, shape[0] * shape[1]).reshape(shape)
