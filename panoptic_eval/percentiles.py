"""Percentiles of numbers, linearly interpolated: to the last bit those of np.percentile.

That function looks for much that never is here, and is the only one of a run to load np.ma.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panoptic_eval.shapes import Float


def percentiles(values: Float[np.ndarray, " n"], percent: Sequence[float]) -> Float[np.ndarray, " p"]:
    """Return the percentiles of numbers: at least one of them, none NaN.

    >>> percentiles(np.array([4, 0, 1]), [0, 25, 100]).tolist()
    [0.0, 0.5, 4.0]
    """
    ordered = np.sort(values)
    place = (len(ordered) - 1) * (np.asarray(percent) / 100)
    at = place.astype(np.int64)
    share = place - at
    low, high = ordered[at], ordered[np.minimum(at + 1, len(ordered) - 1)]
    # From the nearer of the two, as np.percentile does.
    return np.where(share < 0.5, low + (high - low) * share, high - (high - low) * (1 - share))
