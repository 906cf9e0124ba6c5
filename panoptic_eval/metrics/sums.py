"""Sums over the pairs and segments of a table that several metrics take."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast
from weakref import ref

import numpy as np

from panoptic_eval.pairs.table import PairTable
from panoptic_eval.shapes import Float, Int

P = ParamSpec("P")
T = TypeVar("T")


def remembered(function: Callable[Concatenate[PairTable, P], T]) -> Callable[Concatenate[PairTable, P], T]:
    """Let a function remember what it found of the last table: the metrics of a run ask for the same in turn.

    What it returns belongs to all of them, so that nobody may change it. The table is not kept alive.
    """
    last: tuple[Callable[[], PairTable | None], list[tuple[object, T]]] = (lambda: None, [])

    @wraps(function)
    def found(table: PairTable, *args: P.args, **kwargs: P.kwargs) -> T:
        nonlocal last
        of, results = last
        if of() is not table:
            results = []
            last = ref(table, lambda _: results.clear()), results
        for arguments, result in results:
            if arguments == (args, kwargs):
                return result
        result = function(table, *args, **kwargs)
        results.append(((args, kwargs), result))
        return result

    return cast(Callable[Concatenate[PairTable, P], T], found)


@remembered
def overlaps(table: PairTable) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """List the pairs without void: gt index, pred index, shared pixels."""
    pairs = table.pairs.take(np.flatnonzero((table.pairs.gt >= 0) & (table.pairs.pred >= 0)))
    return pairs.gt, pairs.pred, pairs.pixels


@remembered
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


def column_sums(
    cell: Int[np.ndarray, " n"], columns: Float[np.ndarray, "n k"], cells: int
) -> Float[np.ndarray, "k {cells}"]:
    """Sum each of several columns over the rows of each cell."""
    k = columns.shape[1]
    of_column = np.arange(k)[:, None] * cells + cell
    return np.bincount(of_column.ravel(), columns.T.ravel(), k * cells).reshape(k, cells)
