"""Candidates for errors in the ground truth: predictions that are sure of what no segment of it explains.

A network that is sure and wrong often is right: an object was not annotated, or got the wrong category. Whether it was
is for an eye to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from panoptic_eval.metrics.panoptic_quality import match
from panoptic_eval.metrics.sums import overlaps, void_overlap
from panoptic_eval.pairs.table import PairTable

LEAST_SCORE = 0.5
"""Least score of a candidate; where no prediction has a score, all are candidates."""
MOST = 100
"""Largest number of candidates."""
NEAR = 0.1
"""IoU from which on a segment of the same category explains a prediction: it is there, badly delineated. With a crowd:
share of the prediction."""


@dataclass(frozen=True)
class Candidate:
    """A prediction that the ground truth does not explain."""

    kind: Literal["missing", "category"]
    """missing: no object was annotated there. category: a segment was, as another category."""
    image: int
    """Index into the table's images, as `pred` and `gt` are into its segments."""
    pred: int
    gt: int
    """Segment of another category that lies there; -1 for a missing one."""
    score: float
    """NaN where the prediction has none."""
    iou: float
    """With that segment; 0 for a missing one."""


def candidates(table: PairTable, *, least: float = LEAST_SCORE, most: int = MOST) -> list[Candidate]:
    """Find the predictions that are false positives for PQ and that an error of the ground truth would explain.

    Things alone can be missing. The surest come first, of equally sure ones the largest.

    Args:
        table: of label maps.
        least: least score.
        most: largest number of candidates.
    """
    gt, pred, spurious = table.gt, table.pred, match(table).spurious
    thing = table.catalogue.isthing
    sure = spurious & ((pred.score >= least) | np.isnan(pred.score).all())
    g, p, shared = overlaps(table)
    area = pred.area - void_overlap(table)
    iou = shared / (gt.area[g] + area[p] - shared)
    same = gt.category[g] == pred.category[p]

    there = np.full(len(pred), -1)
    other = ~same & (iou > 0.5) & ~gt.crowd[g]
    there[p[other]] = g[other]
    best = np.zeros(len(pred))
    best[p[other]] = iou[other]
    explained = np.zeros(len(pred), bool)
    explained[p[same & (np.where(gt.crowd[g], shared / pred.area[p], iou) >= NEAR)]] = True
    explained[p[thing[gt.category[g]] & (shared > area[p] / 2)]] = True  # part of another object, or behind it
    missing = sure & (there < 0) & ~explained & thing[pred.category] & (area > pred.area / 2)
    rows = np.flatnonzero((sure & (there >= 0)) | missing)
    rows = rows[np.lexsort((-pred.area[rows], -np.nan_to_num(pred.score[rows])))][:most]
    return [
        Candidate(
            "missing" if there[k] < 0 else "category",
            int(pred.image[k]),
            k,
            int(there[k]),
            float(pred.score[k]),
            float(best[k]),
        )
        for k in rows.tolist()
    ]
