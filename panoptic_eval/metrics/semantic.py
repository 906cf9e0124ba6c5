"""Mean intersection over union of categories over a whole data set, as Cityscapes' scripts count it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from panoptic_eval.metrics.panoptic_quality import divide, histogram
from panoptic_eval.pairs.table import PairTable


@dataclass(frozen=True)
class SemanticCounts:
    """Pixels of each image and category, where gt is not void. Sums over images add."""

    both: Float[np.ndarray, "*b c"]
    """Of the category on both sides."""
    gt: Float[np.ndarray, "*b c"]
    pred: Float[np.ndarray, "*b c"]


def semantic_counts(table: PairTable) -> SemanticCounts:
    """Pixels by category, shape (images, categories). Pixels without gt count nowhere; crowds keep their category."""
    gt, pred = table.gt, table.pred
    solid = (table.pairs.gt >= 0) & (table.pairs.pred >= 0)
    g, p, shared = table.pairs.gt[solid], table.pairs.pred[solid], table.pairs.pixels[solid]
    same = gt.category[g] == pred.category[p]
    return SemanticCounts(
        both=histogram(table, gt.image[g[same]], gt.category[g[same]], weights=shared[same]),
        gt=histogram(table, gt.image, gt.category, weights=gt.area),
        pred=histogram(table, pred.image[p], pred.category[p], weights=shared),
    )


def category_iou(counts: SemanticCounts) -> Float[np.ndarray, "*b c"]:
    """IoU of each category, 0 to 1: TP / (TP + FP + FN); NaN where neither side has a pixel of it.

    A predicted void is an error (FN); a category that is only predicted has IoU 0.

    >>> category_iou(SemanticCounts(both=np.array([3, 0]), gt=np.array([4, 0]), pred=np.array([3, 2]))).tolist()
    [0.75, 0.0]
    """
    return divide(counts.both, counts.gt + counts.pred - counts.both)
