"""Scores of systems and of their differences, with 95 % intervals over images and over seeds.

Training is random, too: other weights to begin with and other samples give another network. So two intervals are made
of a score: a bootstrap that resamples seeds and images, and Student's t interval over seeds on the images as they are.
Variants of a seed share weights and samples; they are compared by their differences of each seed that all of them have.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from panoptic_eval.comparison import Difference, difference
from panoptic_eval.metrics import sizes
from panoptic_eval.metrics.metric import divide
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.resampling import draw, interval
from panoptic_eval.score import scores
from reproduce.systems import System

RESAMPLES = 1000
PERCENTILES = (0.0, 25.0, 50.0, 75.0, 95.0, 100.0)
"""Percentiles of area that bound the size bins: the top bin of the embedded data set has to hold enough instances. The
paper names only the 99th."""
TOP = (0.0, 99.0, 100.0)
"""Percentiles that bound the paper's largest bin; it is used where it holds enough instances."""
ENOUGH = 50
"""Smallest number of instances in the paper's largest bin."""


SEEDS_STREAM = 1
"""Tells the draws of seeds from those of images."""

Values = dict[tuple[str, str], Float[np.ndarray, " w"]]
"""Scores by name and part: on the original image set, then on each resample."""
Term = tuple[float, str, str, str]
"""Factor, name of a system, score, part of the score."""


def hierarchical(by_seed: Float[np.ndarray, "s w"], rng: np.random.Generator) -> Float[np.ndarray, " w"]:
    """Resample seeds as well as images, seeds first: the hierarchical bootstrap of a mean over seeds.

    With few seeds it is too narrow (from n of them the spread comes out sqrt((n - 1) / n) times too small, and of two
    it knows only three means), so read it beside `t_interval`. Of one seed it is the bootstrap of its images.

    Args:
        by_seed: score of each seed: on the original image set, then on each of the same resampled image sets.
        rng: draws the seeds; the same generator gives the same seeds to all scores of as many seeds.

    Returns:
        The mean over all seeds on the original image set; then, on each resampled image set, the mean over as many
        seeds as there are, drawn with replacement.
    """
    counts = draw(rng, len(by_seed), by_seed.shape[1] - 1).T
    drawn = np.where(counts > 0, counts * by_seed[:, 1:], 0.0).sum(0) / len(by_seed)  # 0 times NaN is NaN
    return np.concatenate([by_seed[:, :1].mean(0), drawn])


def t_interval(by_seed: Sequence[float]) -> tuple[float, float]:
    """Return Student's 95 % interval of the mean over seeds; NaN of a single seed, which says nothing about others.

    >>> [round(end, 2) for end in t_interval([1.0, 2.0, 3.0])]
    [-0.48, 4.48]
    """
    if len(by_seed) < 2:
        return math.nan, math.nan
    half = stats.t.ppf(0.975, len(by_seed) - 1) * np.std(by_seed, ddof=1) / math.sqrt(len(by_seed))
    mean = float(np.mean(by_seed))
    return mean - float(half), mean + float(half)


@dataclass(frozen=True)
class Estimate:
    """A score, fraction or ratio."""

    value: float
    """Mean over seeds on the original image set."""
    low: float
    """2.5th percentile of that mean over resampled seeds and image sets."""
    high: float
    """97.5th percentile."""
    seeds: tuple[float, ...]
    """Score of each seed on the original image set."""

    @property
    def over_seeds(self) -> tuple[float, float]:
        """Return Student's interval over seeds; NaN of one."""
        return t_interval(self.seeds)

    def columns(self) -> dict[str, float]:
        """Return the columns of a CSV file about it: value, interval, lowest and highest seed."""
        spread = {"seeds": len(self.seeds), "seeds_low": min(self.seeds), "seeds_high": max(self.seeds)}
        return {"value": self.value, "low": self.low, "high": self.high, **spread}


@dataclass(frozen=True)
class Scores:
    """All scores of all systems on the same resamples of the same images."""

    by_system: dict[str, dict[int, Values]]
    """Resampled scores by a system's name and seed (0 where it has none). Column 0 is the original image set, the
    others are resamples."""
    bins: dict[str, int]
    """Number of instances in each size bin, by the bin's name, such as "0–25 %"."""

    @property
    def labels(self) -> list[str]:
        """Return the names of the systems with their seeds: VARIANT/seedN."""
        return [f"{name}/seed{seed}" for name, by_seed in self.by_system.items() for seed in by_seed]

    def of_seeds(self, seeds: Collection[int]) -> Scores:
        """Select seeds; systems that have none of them are left out."""
        kept = {
            name: {seed: values for seed, values in by_seed.items() if seed in seeds}
            for name, by_seed in self.by_system.items()
        }
        return Scores({name: by_seed for name, by_seed in kept.items() if by_seed}, self.bins)

    def estimate(self, name: str, score: str, part: str) -> Estimate:
        """Return the mean over the seeds that have the score, and its interval."""
        return self.combined([(1.0, name, score, part)])

    def difference(self, a: str, b: str, score: str, part: str) -> Difference:
        """Return b - a, both means over the seeds that both have."""
        seeds = self.common([(1.0, a, score, part), (1.0, b, score, part)])
        means = [self._resampled([(1.0, name, score, part)], seeds) for name in (a, b)]
        return difference(score, part, *means)

    def combined(self, terms: Sequence[Term]) -> Estimate:
        """Estimate a sum of scores times factors, over the seeds that all of its systems have."""
        seeds = self.common(terms)
        by_seed = self._by_seed(terms, seeds)
        return Estimate(
            float(by_seed[:, 0].mean()),
            *interval(self._resampled(terms, seeds)),
            tuple(float(value) for value in by_seed[:, 0]),
        )

    def common(self, terms: Sequence[Term]) -> list[int]:
        """List the seeds of which every system has the score that is asked of it; empty where a system is not there."""
        having = [
            {seed for seed, values in self.by_system.get(name, {}).items() if (score, part) in values}
            for _, name, score, part in terms
        ]
        return sorted(set.intersection(*having))

    def _by_seed(self, terms: Sequence[Term], seeds: Sequence[int]) -> Float[np.ndarray, "s w"]:
        by_system = self.by_system
        return np.stack([sum(f * by_system[name][k][score, part] for f, name, score, part in terms) for k in seeds])

    def _resampled(self, terms: Sequence[Term], seeds: Sequence[int]) -> Float[np.ndarray, " w"]:
        return hierarchical(self._by_seed(terms, seeds), np.random.default_rng(SEEDS_STREAM))


def bootstrap(systems: Sequence[System], *, seed: int = 0, resamples: int = RESAMPLES, wide: float | None) -> Scores:
    """Compute every score of every system on the same resampled images.

    Args:
        systems: to be compared, on the same images in the same order.
        seed: random seed of the resampled image sets.
        resamples: number of image sets, each of as many images as there are, drawn with replacement.
        wide: width in pixels of the images, such as that of the training crop; the boxes of objects wider than this
            are scored, too, where there are detections.
    """
    table = systems[0].tables.panoptic
    weights = draw(np.random.default_rng(seed), len(table), resamples)
    edges, top = (sizes.area_edges(table, percent) for percent in (PERCENTILES, TOP))
    ranges = [*sizes.bins(edges), sizes.bins(top)[-1]]
    names = [f"{low:g}–{high:g} %" for low, high in (*pairwise(PERCENTILES), TOP[1:])]
    area = table.gt.area[table.catalogue.isthing[table.gt.category] & ~table.gt.crowd]
    held = [int(((area >= low) & (area <= high)).sum()) for low, high in ranges]
    used = len(names) if held[-1] >= ENOUGH else len(names) - 1
    by_system: dict[str, dict[int, Values]] = {}
    for system in systems:
        parts = scores(system.tables, weights=weights, bins=ranges[:used]).parts
        values = {(name, names[part] if isinstance(part, int) else part): v for (name, part), v in parts.items()}
        if wide is not None and system.tables.instances is not None:
            values |= wide_objects(system.tables.instances, np.concatenate([np.ones_like(weights[:1]), weights]), wide)
        by_system.setdefault(system.name, {})[system.seed or 0] = values
    return Scores(by_system, dict(zip(names[:used], held[:used], strict=True)))


def wide_objects(table: PairTable, weights: Int[np.ndarray, "w i"], width: float) -> Values:
    """Score the boxes of wide objects: for each, the detection of its category that overlaps it most.

    `recall@.5`: share of objects with a detection of IoU 0.5 or more; `mean IoU` of these best detections, 0 where
    there is none; `width ratio`: width of the detection by that of the object, mean over those with any overlap.

    Args:
        table: pair table of detections, before fusion.
        weights: how often each image is counted.
        width: pixels.
    """
    rows = np.flatnonzero((table.gt.box[:, 2] > width) & ~table.gt.crowd & table.catalogue.isthing[table.gt.category])
    iou, ratio = best_boxes(table, rows)
    image, found = table.gt.image[rows], iou > 0

    def over_images(value: Float[np.ndarray, " r"], of: Float[np.ndarray, " r"]) -> Float[np.ndarray, " w"]:
        sums = [np.bincount(image, weights=v, minlength=len(table)) for v in (value, of)]
        return divide(weights @ sums[0], weights @ sums[1])

    every = np.ones(len(rows))
    return {
        ("wide", "recall@.5"): over_images((iou >= 0.5).astype(float), every),
        ("wide", "mean IoU"): over_images(iou, every),
        ("wide", "width ratio"): over_images(np.where(found, ratio, 0.0), found.astype(float)),
    }


def best_boxes(
    table: PairTable, rows: Int[np.ndarray, " r"]
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    """Return IoU and width ratio of the prediction whose box overlaps that of a gt segment most, in image and category.

    Args:
        table: pair table of label maps or detections.
        rows: indices into `table.gt`. Where nothing overlaps, the IoU is 0 and the ratio NaN.
    """
    pred = table.pred
    iou, ratio = np.zeros(len(rows)), np.full(len(rows), np.nan)
    starts = np.searchsorted(pred.image, np.arange(len(table) + 1))
    for k, row in enumerate(rows.tolist()):
        image = table.gt.image[row]
        mine = np.arange(starts[image], starts[image + 1])
        mine = mine[pred.category[mine] == table.gt.category[row]]
        if not len(mine):
            continue
        (x, y, w, h), (px, py, pw, ph) = table.gt.box[row], pred.box[mine].T
        shared = (np.minimum(x + w, px + pw) - np.maximum(x, px)).clip(0)
        shared = shared * (np.minimum(y + h, py + ph) - np.maximum(y, py)).clip(0)
        overlap = shared / (w * h + pw * ph - shared)
        best = int(overlap.argmax())
        if overlap[best] > 0:
            iou[k], ratio[k] = overlap[best], pw[best] / w
    return iou, ratio
