"""Scores of entries with 95 % intervals over images, and how much they differ between arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from panoptic_eval.compare import Difference, difference
from panoptic_eval.metrics import sizes
from panoptic_eval.metrics.metric import divide
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.score import Tables, draw, interval, scores
from reproduce.entries import Entry

RESAMPLES = 1000
PERCENTILES = (0.0, 25.0, 50.0, 75.0, 95.0, 100.0)
"""Of sizes: the top bin of the embedded data set has to hold enough instances. The paper names only the 99th."""
TOP = (0.0, 99.0, 100.0)
"""Where it holds enough: as in the paper."""
ENOUGH = 50
"""Instances in a bin."""


Values = dict[tuple[str, str], Float[np.ndarray, " w"]]
"""Scores by name and part: on the images as they are, then on each resample."""


@dataclass(frozen=True)
class Estimate:
    """A score, fraction or ratio."""

    value: float
    """On the images as they are, mean over seeds."""
    low: float
    """2.5th percentile over resampled images of the mean over seeds."""
    high: float
    """97.5th percentile."""
    seeds: tuple[float, ...]
    """On the images as they are, of each seed."""


@dataclass(frozen=True)
class Scores:
    """All scores of all entries, under the same resamples of the same images."""

    by_name: dict[str, list[Values]]
    """Of each entry's name, one for each seed, all from the same first seed on; the first column is the images as they
    are."""
    bins: dict[str, int]
    """Size bins by their names, "0–25 %", and how many instances each holds."""

    def estimate(self, name: str, score: str, part: str) -> Estimate:
        """Mean over seeds, and its interval over images."""
        by_seed = [values[score, part] for values in self.by_name[name]]
        mean = np.mean(by_seed, 0)
        return Estimate(float(mean[0]), *interval(mean), tuple(float(v[0]) for v in by_seed))

    def difference(self, a: str, b: str, score: str, part: str) -> Difference:
        """b - a, both means over the seeds that both have."""
        seeds = min(len(self.by_name[name]) for name in (a, b))
        means = [np.mean([values[score, part] for values in self.by_name[name][:seeds]], 0) for name in (a, b)]
        return difference(score, part, *means)


def bootstrap(entries: Sequence[Entry], *, seed: int = 0, resamples: int = RESAMPLES, wide: float | None) -> Scores:
    """Every score of every entry on the same resampled images.

    Args:
        entries: on the same images in the same order.
        seed: of the resamples.
        resamples: sets of as many images as there are, drawn with replacement.
        wide: also score the boxes of objects wider than this, pixels: the training crop, at the size of the images.
    """
    table = entries[0].tables.panoptic
    weights = draw(np.random.default_rng(seed), len(table), resamples)
    edges, top = (sizes.area_edges(table, percent) for percent in (PERCENTILES, TOP))
    ranges = [*sizes.bins(edges), sizes.bins(top)[-1]]
    names = [f"{low:g}–{high:g} %" for low, high in (*pairwise(PERCENTILES), TOP[1:])]
    area = table.gt.area[table.catalogue.isthing[table.gt.category] & ~table.gt.crowd]
    held = [int(((area >= low) & (area <= high)).sum()) for low, high in ranges]
    used = len(names) if held[-1] >= ENOUGH else len(names) - 1
    by_name: dict[str, list[Values]] = {}
    for entry in entries:
        parts = scores(entry.tables, weights=weights, bins=ranges[:used]).parts
        values = {(name, names[part] if isinstance(part, int) else part): v for (name, part), v in parts.items()}
        if wide is not None:
            values |= wide_objects(entry.tables, np.concatenate([np.ones_like(weights[:1]), weights]), wide)
        by_name.setdefault(entry.name, []).append(values)
    return Scores(by_name, dict(zip(names[:used], held[:used], strict=True)))


def wide_objects(tables: Tables, weights: Int[np.ndarray, "w i"], width: float) -> Values:
    """How well the boxes of wide objects are found: of each, the detection of its category that overlaps it most.

    `recall@.5`: share of objects with a detection of IoU 0.5 or more; `mean IoU` of these best detections, 0 where
    there is none; `width ratio`: width of the detection by that of the object, mean over those with any overlap.
    """
    table = tables.instances or tables.panoptic
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
    """Of the prediction of the same image and category whose box overlaps that of a gt segment most: IoU, width ratio.

    Args:
        table: of label maps or detections.
        rows: of `table.gt`. Where nothing overlaps, the IoU is 0 and the ratio NaN.
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
