"""AP and cost by size of the objects, of one or several runs on the same images, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from panoptic_eval.comparison import in_the_order_of
from panoptic_eval.errors import InputError
from panoptic_eval.metrics import sizes
from panoptic_eval.metrics.cost_by_size import bin_of, cost_of_bins, size_costs
from panoptic_eval.report import Report
from panoptic_eval.resampling import draw, interval
from panoptic_eval.rules import DEFAULT, Rules
from panoptic_eval.score import Tables, scores, size_edges
from panoptic_eval.shapes import Float

COST = "cost"
"""Name of the part of 1 - PQ of things beside the names of AP."""


@dataclass(frozen=True)
class SizePoint:
    """One score in one bin of size, fractions: of a run, or the difference of two."""

    run: str
    score: str
    """AP_mask, AP_box or cost."""
    bin: str
    """Percentiles of area, or areas in pixels where these were given."""
    from_area: float
    """Smallest area, pixels; NaN where it is not known."""
    to_area: float
    instances: int
    """Gt instances from the smallest area to before the largest; each is in one bin."""
    value: float
    low: float
    """2.5th percentile over resampled images; NaN without resamples."""
    high: float


@dataclass(frozen=True)
class SizeCurves:
    """Points of all runs, run by run, score by score, small objects first."""

    points: tuple[SizePoint, ...]
    differences: tuple[SizePoint, ...]
    """Each further run minus the first, on the same resamples."""


def size_curves(
    runs: Mapping[str, Tables], *, rules: Rules = DEFAULT, resamples: int = 300, seed: int = 0
) -> SizeCurves:
    """Score every run in bins of size, on the same resampled images.

    Args:
        runs: by name; of the same ground truth and images.
        rules: gives the bins, of the first run's gt.
        resamples: sets of images for the 95 % intervals.
        seed: of the draw.

    Raises:
        InputError: there is no run, the gt has no things, or the runs have other images or another ground truth.
    """
    if not runs:
        raise InputError("there is no run to plot; expected the folders that --out named")
    first = next(iter(runs.values()))
    runs = {name: tables if tables is first else in_the_order_of(first, tables) for name, tables in runs.items()}
    table = first.panoptic
    edges = size_edges(table, rules)
    if np.isnan(edges).any():
        raise InputError(f"{table.origin.gt}: has no things; expected some, whose sizes are compared")
    bins = sizes.bins(edges)
    weights = draw(np.random.default_rng(seed), len(table), resamples if len(table) > 1 else 0)
    every = np.concatenate([np.ones((1, len(table))), weights])
    values: dict[tuple[str, str], Float[np.ndarray, "w b"]] = {}
    for name, tables in runs.items():
        parts = scores(tables, rules, weights=weights, bins=bins).parts
        for kind in ("AP_mask", "AP_box"):
            values[name, kind] = np.stack([parts[kind, k] for k in range(len(bins))], axis=1)
        values[name, COST] = cost_of_bins(size_costs(tables.panoptic, edges), every)

    counted = table.catalogue.isthing[table.gt.category] & ~table.gt.crowd
    instances = np.bincount(bin_of(table.gt.area[counted], edges), minlength=len(bins)).tolist()
    names = _bin_names(edges, rules)

    def points(run: str, score: str, of_bins: Float[np.ndarray, "w b"]) -> list[SizePoint]:
        return [
            SizePoint(run, score, names[k], *bins[k], instances[k], float(of_bins[0, k]), *interval(of_bins[:, k]))
            for k in range(len(bins))
        ]

    base = next(iter(runs))
    return SizeCurves(
        tuple(p for (run, score), v in values.items() for p in points(run, score, v)),
        tuple(
            p for (run, score), v in values.items() if run != base for p in points(run, score, v - values[base, score])
        ),
    )


def curves_of(report: Report, name: str) -> SizeCurves:
    """Take the points of one run from its report, which has no intervals of them."""
    nan = float("nan")
    points = []
    for row in report.size_percentiles:
        by_area = math.isnan(row["from_percent"])
        ends = (row["from_area"], row["to_area"]) if by_area else (row["from_percent"], row["to_percent"])
        bin_ = f"{ends[0]:g}–{ends[1]:g} {'px' if by_area else '%'}"
        values = {"AP_mask": row["AP_mask"], "AP_box": row["AP_box"], COST: sum(row.get("account", {}).values())}
        points += [
            SizePoint(name, score, bin_, row["from_area"], row["to_area"], row["instances"], value, nan, nan)
            for score, value in values.items()
        ]
    return SizeCurves(tuple(points), ())


def _bin_names(edges: Float[np.ndarray, " e"], rules: Rules) -> list[str]:
    if rules.area_edges:
        return [f"{low:g}–{high:g} px" for low, high in sizes.bins(edges)]
    return [f"{low:g}–{high:g} %" for low, high in pairwise(rules.percentiles)]
