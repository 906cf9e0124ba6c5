"""Whether a learning curve is flat: what the last doubling of the steps still gained, from the table of the curves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

LEARNING = "learning.csv"
"""File of the table that `reproduce.learning_curves` makes, in a folder of results."""


def last_doubling(steps: Sequence[int], scores: Sequence[float]) -> float:
    """Return how much a score gained from half of the last step to the last; NaN if the curve begins later than that.

    Between two networks the score is taken to be linear in the logarithm of the steps.

    >>> round(last_doubling([1000, 2000, 4000], [0.3, 0.4, 0.45]), 3)
    0.05
    """
    order = np.argsort(steps)
    x, y = np.log(np.asarray(steps, float)[order]), np.asarray(scores, float)[order]
    half = x[-1] - np.log(2)
    if x[0] > half + 1e-9:
        return float("nan")
    return float(y[-1] - np.interp(half, x, y))


def last_doublings(path: Path, seeds: Collection[int] | None = None) -> dict[str, float]:
    """Read how many points of PQ each variant gained in the last doubling of its steps: the mean over its seeds.

    Runs that are not finished, and curves that begin later than at half of their steps, say nothing.

    Args:
        path: of the table; none of a file that is not there.
        seeds: to read; by default all.
    """
    if not path.is_file():
        return {}
    rows = pd.read_csv(path)
    rows = rows if seeds is None else rows[rows["seed"].isin([*seeds])]
    gains: dict[str, list[float]] = {}
    for (variant, _), curve in rows[rows["split"] == "validation"].groupby(["variant", "seed"], sort=False):
        if curve["step"].max() == curve["steps"].iloc[0]:
            gains.setdefault(str(variant), []).append(100 * last_doubling(curve["step"].tolist(), curve["PQ"].tolist()))
    means = {variant: float(np.mean(values)) for variant, values in gains.items()}
    return {variant: gain for variant, gain in means.items() if not np.isnan(gain)}
