"""Two runs on the same images: is the difference more than chance? Paired bootstrap over images, no image needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from panoptic_eval.errors import Fault, InputError
from panoptic_eval.metrics import sizes
from panoptic_eval.metrics.metric import mean
from panoptic_eval.pairs.table import Segments, take
from panoptic_eval.percentiles import percentiles
from panoptic_eval.resampling import draw
from panoptic_eval.rules import DEFAULT, Rules
from panoptic_eval.score import Tables, scores, size_edges
from panoptic_eval.shapes import Float

FORMAT = 1
"""Of a comparison as JSON: outputs/comparison.schema.json."""


@dataclass(frozen=True)
class Difference:
    """One score of two runs, fractions; NaN where it is undefined."""

    score: str
    part: str
    """all, things, stuff; AP, AP50, ...; the size bin; or the name of a category."""
    category_id: int | None
    """Id of the category, where the score is of one."""
    a: float
    b: float
    difference: float
    """b - a."""
    low: float
    """2.5th percentile of the difference over resamples."""
    high: float
    """97.5th percentile."""
    p: float
    """Two-sided: how often a resample's difference has the other sign, or is zero."""
    smallest_p: float
    """Smallest p that this many resamples can show."""


@dataclass(frozen=True)
class Comparison:
    """Everything in which two runs differ."""

    scores: list[Difference]
    """Scores of the whole runs, in the order of the report."""
    categories: list[Difference]
    """Scores of each category."""
    images: list[Mapping[str, Any]]
    """image_id, and a, b, difference: PQ of the image in both runs; those that got worse most come first. Images
    without PQ in one of the runs are left out."""


def compare(
    a: Tables,
    b: Tables,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    rules: Rules = DEFAULT,
) -> Comparison:
    """Compare all scores that both runs have, each with its 95 % interval over resampled images.

    Args:
        a, b: scored against the same ground truth, on the same images in any order.
        rng: draws the images; both runs get the same ones.
        resamples: sets of as many images as there are, drawn with replacement.
        rules: as for `score`; percentiles are those of all the images.

    Raises:
        InputError: the runs have other images, categories or ground truth.
    """
    b = in_the_order_of(a, b)
    weights = draw(rng, len(a.panoptic), resamples)
    bins = sizes.bins(size_edges(a.panoptic, rules))
    first, second = (scores(tables, rules, weights=weights, bins=bins) for tables in (a, b))

    def label(part: str | int) -> str:
        return part if isinstance(part, str) else "size bin {}: {:g}–{:g} px".format(part + 1, *bins[part])

    pq_a, pq_b = (mean(run.images["PQ"]).tolist() for run in (first, second))
    images = [
        {"image_id": image_id, "a": x, "b": y, "difference": y - x}
        for image_id, x, y in zip(a.panoptic.image_id, pq_a, pq_b, strict=True)
        if not np.isnan(y - x)
    ]
    return Comparison(
        scores=[
            difference(name, label(part), values, second.parts[name, part])
            for (name, part), values in first.parts.items()
            if (name, part) in second.parts
        ],
        categories=[
            difference(name, category.name, values[:, k], second.categories[name][:, k], category_id=category.id)
            for k, category in enumerate(a.panoptic.catalogue.categories)
            for name, values in first.categories.items()
            if name in second.categories
        ],
        images=sorted(images, key=lambda row: row["difference"]),
    )


def difference(
    score: str, part: str, a: Float[np.ndarray, " w"], b: Float[np.ndarray, " w"], *, category_id: int | None = None
) -> Difference:
    """Subtract one score of two runs: b - a.

    Args:
        score, part, category_id: what the score is.
        a, b: of each run, on the images as they are, then on the same resamples.
    """
    d = (b - a)[1:]
    d = d[~np.isnan(d)]
    low, high, p, smallest = (float("nan"),) * 4
    if d.size:
        low, high = percentiles(d, [2.5, 97.5]).tolist()
        smallest = min(1.0, 2 / (d.size + 1))  # never 0: what did not occur in so many may occur
        p = min(1.0, smallest * (1 + min((d <= 0).sum().item(), (d >= 0).sum().item())))
    return Difference(score, part, category_id, float(a[0]), float(b[0]), float(b[0] - a[0]), low, high, p, smallest)


def in_the_order_of(a: Tables, b: Tables) -> Tables:
    """Put the images of `b` in the order of `a`'s.

    Raises:
        InputError: other images, categories or ground truth.
    """
    if a.panoptic.catalogue != b.panoptic.catalogue:
        raise InputError("the runs have different categories; expected two runs on one ground truth")
    ids = [set(t.panoptic.image_id) for t in (a, b)]
    if ids[0] != ids[1]:
        odd = sorted(map(repr, ids[0] ^ ids[1]))
        kind = "[image is|images are] in one run only; expected the same images in both"
        raise InputError([Fault(kind, tuple(odd))])
    at = {image_id: k for k, image_id in enumerate(b.panoptic.image_id)}
    order = np.array([at[i] for i in a.panoptic.image_id])
    b = Tables(*(None if table is None else take(table, order) for table in vars(b).values()))  # type: ignore[arg-type]
    names = ("image", "id", "category", "area", "crowd")
    if any(not _equal(a.panoptic.gt, b.panoptic.gt, name) for name in names):
        raise InputError("the runs were scored against different ground truths; expected the same")
    return b


def _equal(a: Segments, b: Segments, name: str) -> bool:
    x: Any = getattr(a, name)
    return bool(np.array_equal(x, getattr(b, name)))
