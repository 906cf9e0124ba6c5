"""All counts of images that panoptic and semantic metrics are made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from panoptic_eval.metrics import panoptic_quality as quality
from panoptic_eval.metrics.parsing_covering import PCCounts, parsing_covering, pc_counts
from panoptic_eval.metrics.semantic import SemanticCounts, category_iou, semantic_counts
from panoptic_eval.pairs.table import PairTable


@dataclass(frozen=True)
class Counts:
    """Arrays of shape (images, categories), or of any sums of images in place of the images."""

    pq: quality.PQCounts
    regions: quality.DaggerCounts
    covering: PCCounts
    semantic: SemanticCounts


def count_images(table: PairTable, *, panopticapi_quirks: bool = False, pc_by_image_size: bool = True) -> Counts:
    """Counts of each image, shape (images, categories)."""
    return Counts(
        quality.pq_counts(table, last_crowd_only=panopticapi_quirks, stated_areas=panopticapi_quirks),
        quality.dagger_counts(table),
        pc_counts(table, by_image_size=pc_by_image_size),
        semantic_counts(table),
    )


def weighted(counts: Any, weights: Float[np.ndarray, "w i"] | None = None) -> Any:
    """Sums over images: of all, shape (categories), or, for each row of weights, so many times each image.

    >>> one, two = np.eye(2), np.ones((1, 2))
    >>> weighted(PCCounts(covered=one, weight=one), two).weight
    array([[1., 1.]])
    """
    if isinstance(counts, np.ndarray):
        return counts.sum(0) if weights is None else weights @ counts
    return type(counts)(*(weighted(getattr(counts, f.name), weights) for f in fields(counts)))


def by_category(counts: Counts, *, isthing: Bool[np.ndarray, " c"]) -> dict[str, Float[np.ndarray, "*b c"]]:
    """PQ, SQ, RQ, PQ_dagger, PC and IoU of each category; NaN where undefined."""
    return {
        "PQ": quality.panoptic_quality(counts.pq),
        "SQ": quality.segmentation_quality(counts.pq),
        "RQ": quality.recognition_quality(counts.pq),
        "PQ_dagger": quality.pq_dagger(counts.pq, counts.regions, isthing=isthing),
        "PC": parsing_covering(counts.covering),
        "IoU": category_iou(counts.semantic),
    }
