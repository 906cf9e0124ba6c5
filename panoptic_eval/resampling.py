"""Percentile bootstrap over images: how much a score would change with other images of the same kind."""

from __future__ import annotations

import numpy as np

from panoptic_eval.percentiles import percentiles
from panoptic_eval.shapes import Float, Int


def draw(rng: np.random.Generator, images: int, resamples: int) -> Int[np.ndarray, "w i"]:
    """Draw sets of as many images as there are, with replacement: how often each set holds each image."""
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples)


def interval(values: Float[np.ndarray, " w"]) -> tuple[float, float]:
    """Take the 95 % interval of a score: percentiles of its resamples, which follow the first value, or NaN."""
    resampled = values[1:][~np.isnan(values[1:])]
    if not resampled.size:
        return float("nan"), float("nan")
    low, high = percentiles(resampled, [2.5, 97.5]).tolist()
    return low, high
