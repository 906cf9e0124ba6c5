"""Mean intersection over union of categories over a whole data set, as Cityscapes' scripts count it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panoptic_eval.metrics.metric import Metric, divide
from panoptic_eval.metrics.sums import histogram, overlaps
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.rules import DEFAULT, Rules
from panoptic_eval.shapes import Float


@dataclass(frozen=True)
class SemanticCounts:
    """Pixels of each image and category, where gt is not void. Sums over images add."""

    both: Float[np.ndarray, "*b c"]
    """Pixels of the category on both sides."""
    either: Float[np.ndarray, "*b c"]
    """Pixels of the category on at least one side."""
    counted: Float[np.ndarray, "*b c"]
    """Pixels that make the category count in the mean: those of either side, or those of gt."""


def semantic_counts(table: PairTable, rules: Rules = DEFAULT) -> SemanticCounts:
    """Count pixels by category, shape (images, categories).

    Pixels without gt count nowhere; crowds keep their category.

    Args:
        table: of label maps.
        rules: a category counts if it has pixels on either side, or only if it has gt pixels.
    """
    gt, pred = table.gt, table.pred
    g, p, shared = overlaps(table)
    same = gt.category[g] == pred.category[p]
    both = histogram(table, gt.image[g[same]], gt.category[g[same]], weights=shared[same])
    true = histogram(table, gt.image, gt.category, weights=gt.area)
    either = true + histogram(table, pred.image[p], pred.category[p], weights=shared) - both
    return SemanticCounts(both, either, true if rules.miou_over == "gt" else either)


def category_iou(counts: SemanticCounts) -> Float[np.ndarray, "*b c"]:
    """Compute IoU of each category, 0 to 1: TP / (TP + FP + FN); NaN for a category that does not count.

    A predicted void is an error (FN); a category that is only predicted has IoU 0.

    >>> category_iou(SemanticCounts(both=np.array([3, 0]), either=np.array([4, 2]), counted=np.array([4, 2]))).tolist()
    [0.75, 0.0]
    """
    return np.where(counts.counted > 0, divide(counts.both, counts.either), np.nan)


_EITHER = "has a segment in gt or in the predictions"
MIOU = Metric("mIoU", "mIoU", semantic_counts, category_iou, _EITHER)
MIOU_SEMANTIC = Metric("mIoU_semantic", "mIoU of semantic/", semantic_counts, category_iou, _EITHER)
