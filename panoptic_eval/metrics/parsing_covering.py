"""Parsing covering. Yang et al., "DeeperLab: Single-Shot Image Parser", 2019; as in TensorFlow's deeplab."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from panoptic_eval.metrics.panoptic_quality import divide, histogram
from panoptic_eval.pairs.table import PairTable


@dataclass(frozen=True)
class PCCounts:
    """Of each image and category: the weight of its gt segments, and how much of it is covered; sums add."""

    covered: Float[np.ndarray, "*b c"]
    """Sum over gt segments of weight times the best IoU with a predicted segment of the category."""
    weight: Float[np.ndarray, "*b c"]
    """Sum of the weights: area in pixels, or as a share of the image."""


def pc_counts(table: PairTable, *, by_image_size: bool = True) -> PCCounts:
    """Covering of each image and category, shape (images, categories).

    Pixels whose gt is void or a crowd, of any category, leave the predictions. One prediction may cover several gt
    segments; there is no threshold.

    Args:
        table: of label maps.
        by_image_size: weigh a segment by its share of its image (TensorFlow's default), else by its pixels.
    """
    gt, pred = table.gt, table.pred
    counted = table.pairs.pred >= 0
    g, p, shared = table.pairs.gt[counted], table.pairs.pred[counted], table.pairs.pixels[counted]
    solid = (g >= 0) & ~np.append(gt.crowd, True)[g]  # the appended entry serves void, whose index is -1
    kept_area = np.bincount(p[solid], weights=shared[solid], minlength=len(pred))
    same = solid & (np.append(gt.category, -1)[g] == pred.category[p])
    g, p, shared = g[same], p[same], shared[same]
    best = np.zeros(len(gt))
    np.maximum.at(best, g, shared / (gt.area[g] + kept_area[p] - shared))
    weight = gt.area / table.size.prod(1)[gt.image] if by_image_size else gt.area.astype(float)
    weight = np.where(gt.crowd, 0.0, weight)
    return PCCounts(
        covered=histogram(table, gt.image, gt.category, weights=weight * best),
        weight=histogram(table, gt.image, gt.category, weights=weight),
    )


def parsing_covering(counts: PCCounts) -> Float[np.ndarray, "*b c"]:
    """PC of each category, 0 to 1; NaN where gt has no segment of it.

    >>> parsing_covering(PCCounts(covered=np.array([30.0, 0.0]), weight=np.array([40.0, 0.0]))).tolist()
    [0.75, nan]
    """
    return divide(counts.covered, counts.weight)
