"""Whether scores are probabilities: do eight of ten segments with score 0.8 match?

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599, for segments of panoptic maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panoptic_eval.metrics.metric import divide
from panoptic_eval.metrics.panoptic_quality import match
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.shapes import Bool, Float

BINS = 10
"""Bins of equal width from 0 to 1; the last holds 1, too."""


@dataclass(frozen=True)
class ReliabilityCounts:
    """Predicted segments by their score; counts of images add. Leading axes are free."""

    segments: Float[np.ndarray, "*w b"]
    """Segments that match, or are false positives; what PQ excuses is left out."""
    score: Float[np.ndarray, "*w b"]
    """Sum of their scores."""
    matched: Float[np.ndarray, "*w b"]
    """Number of them that match."""


def reliability_counts(table: PairTable) -> ReliabilityCounts:
    """Count the predicted segments of each image that have a score, shape (images, bins).

    Args:
        table: of label maps; scores outside of 0 to 1 count as 0 or 1.
    """
    pred, matching = table.pred, match(table)
    hit = np.zeros(len(pred), bool)
    hit[matching.pred] = True
    counted = (hit | matching.spurious) & ~np.isnan(pred.score)
    score = np.clip(pred.score, 0, 1)
    bin_ = np.minimum(np.nan_to_num(score) * BINS, BINS - 1).astype(np.int64)

    def of(rows: Bool[np.ndarray, " p"], weights: Float[np.ndarray, " p"] | None = None) -> Float[np.ndarray, "i b"]:
        key = pred.image[rows] * np.int64(BINS) + bin_[rows]
        weight = None if weights is None else weights[rows]
        return np.bincount(key, weight, len(table) * BINS).astype(float).reshape(len(table), BINS)

    return ReliabilityCounts(of(counted), of(counted, score), of(counted & hit))


def expected_error(counts: ReliabilityCounts) -> Float[np.ndarray, " *w"]:
    """Compute the expected calibration error, 0 to 1: the mean of |share that matches - mean score| over bins, each
    weighed by its segments; NaN without segments.

    >>> expected_error(ReliabilityCounts(np.array([10.0, 10]), np.array([2.0, 9]), np.array([2.0, 5]))).item()
    0.2
    """
    return divide(np.abs(counts.matched - counts.score).sum(-1), counts.segments.sum(-1))


def are_probabilities(table: PairTable) -> bool:
    """Tell whether there are scores, all of them from 0 to 1."""
    given = table.pred.score[~np.isnan(table.pred.score)]
    return bool(len(given)) and bool(((given >= 0) & (given <= 1)).all())
