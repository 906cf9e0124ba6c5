"""What a metric is: counts of images that add, and a score of their sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from panoptic_eval.pairs.table import PairTable
from panoptic_eval.rules import Rules
from panoptic_eval.shapes import Float


@dataclass(frozen=True)
class Metric:
    """One score of every category; its mean over categories, things and stuff is the score of a run."""

    name: str
    """Key in report.json and column in the CSV files."""
    title: str
    """Name in tables for people."""
    count: Callable[[PairTable, Rules], Any]
    """Count each image and category: a dataclass of arrays of shape (images, categories). Counts of images add.
    Metrics that share this function share its counts."""
    score: Callable[[Any], Float[np.ndarray, "*b c"]]
    """Score of each category, of one image's counts or of sums of many; NaN where it is undefined."""
    undefined: str
    """Why a score may be undefined, after "no category": "has a segment in gt"."""
    fraction: bool = True
    """True if the score is 0 to 1, and shown in percent."""


def summed(counts: Any, weights: Float[np.ndarray, "w i"] | None = None) -> Any:
    """Sum counts over images, shape (1, categories); then a row for each row of weights, which repeats images.

    >>> from panoptic_eval.metrics.parsing_covering import PCCounts
    >>> one, two = np.eye(2), np.full((1, 2), 2.0)
    >>> summed(PCCounts(covered=one, weight=one), two).weight
    array([[1., 1.],
           [2., 2.]])
    """

    def rows(values: Float[np.ndarray, "i c"]) -> Float[np.ndarray, "w1 c"]:
        total = values.sum(0, keepdims=True)
        return total if weights is None else np.concatenate([total, weights @ values])

    return type(counts)(*map(rows, vars(counts).values()))


def mean(values: Float[np.ndarray, "*b c"]) -> Float[np.ndarray, " *b"]:
    """Average over the categories where a score is defined; NaN where there is none."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0).sum(-1), defined.sum(-1))


def divide(a: Float[np.ndarray, ...], b: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """Divide a by b; NaN where b is 0: the category, or the group, is absent."""
    return a / np.where(b == 0, np.nan, b)
