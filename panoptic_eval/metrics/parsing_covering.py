"""Parsing covering (Yang et al., "DeeperLab", 2019, arXiv 1902.05093), as in TensorFlow's deeplab."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panoptic_eval.metrics.metric import Metric, divide
from panoptic_eval.metrics.sums import histogram
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.rules import DEFAULT, Rules
from panoptic_eval.shapes import Float


@dataclass(frozen=True)
class PCCounts:
    """Weight of the gt segments of each category, and how much of it is covered; counts of different images add."""

    covered: Float[np.ndarray, "*b c"]
    """Sum over gt segments of weight times the best IoU with a predicted segment of the category."""
    weight: Float[np.ndarray, "*b c"]
    """Sum of the weights: area in pixels, or as a share of the image."""


def pc_counts(table: PairTable, rules: Rules = DEFAULT) -> PCCounts:
    """Count the covering of each image and category, shape (images, categories).

    Cov = Σ_g w(g) max_p IoU(g, p) / Σ_g w(g), where p is of the category and in the image of g.
    Pixels whose gt is void or a crowd, of any category, leave the predictions. One prediction may cover several gt
    segments; there is no threshold.

    Args:
        table: of label maps.
        rules: a segment weighs its share of its image (TensorFlow's default), or its pixels.
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
    weight = gt.area / table.size.prod(1)[gt.image] if rules.pc_weight == "image" else gt.area.astype(float)
    weight = np.where(gt.crowd, 0.0, weight)
    return PCCounts(
        covered=histogram(table, gt.image, gt.category, weights=weight * best),
        weight=histogram(table, gt.image, gt.category, weights=weight),
    )


def parsing_covering(counts: PCCounts) -> Float[np.ndarray, "*b c"]:
    """Compute PC of each category, 0 to 1; NaN where gt has no segment of it.

    >>> parsing_covering(PCCounts(covered=np.array([30.0, 0.0]), weight=np.array([40.0, 0.0]))).tolist()
    [0.75, nan]
    """
    return divide(counts.covered, counts.weight)


PC = Metric("PC", "PC", pc_counts, parsing_covering, "has a segment in gt")
