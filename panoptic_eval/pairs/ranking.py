"""Which detections count: the best of each image and category, as in COCO (Lin et al., ECCV 2014)."""

from __future__ import annotations

import numpy as np

from panoptic_eval.shapes import Float, Int

MAX_DETECTIONS = 100
"""Detections that count, the best of each image and category."""


def best_detections(
    image: Int[np.ndarray, " n"], category: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"]
) -> Int[np.ndarray, " d"]:
    """Select the detections that count, by category, image and falling score; equal scores stay in their order.

    Args:
        image, category: of each detection.
        score: larger is surer; NaN, where there is none, stands for 1.
    """
    order = np.lexsort((-np.where(np.isnan(score), 1.0, score), image, category))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(image[order]) != 0) | (np.diff(category[order]) != 0)
    start = np.flatnonzero(new)
    rank = np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order)))
    return order[rank < MAX_DETECTIONS]
