"""Two runs on the same images: is the difference more than chance? Paired bootstrap over images, no image needed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from os import cpu_count
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from panoptic_eval.errors import InputError
from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.metrics import sizes
from panoptic_eval.metrics.counts import by_category, count_images, weighted
from panoptic_eval.metrics.panoptic_quality import divide
from panoptic_eval.metrics.semantic import category_iou, semantic_counts
from panoptic_eval.pairs.table import PairTable, Segments, take
from panoptic_eval.score import Protocol, Tables, matches

LANES = 64
"""Resamples that go through the detections together: enough for the widest instructions, few enough for the cache."""
CHUNK = 4
"""Such blocks of resamples a job."""

Values = dict[tuple[str, str], Float[np.ndarray, " w"]]
"""A score's values, one for each way to weight the images, by its name and part: ("PQ", "things")."""


@dataclass(frozen=True)
class Difference:
    """One score of two runs, fractions; NaN where it is undefined."""

    score: str
    part: str
    """all, things, stuff; AP, AP50, ...; or the size bin in pixels."""
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


def compare(
    a: Tables,
    b: Tables,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    protocol: Protocol = Protocol(),  # noqa: B008 (frozen)
) -> list[Difference]:
    """Differences of all scores that both runs have, each with its 95 % interval over resampled images.

    Args:
        a, b: scored against the same ground truth, on the same images in any order.
        rng: draws the images; both runs get the same ones.
        resamples: sets of as many images as there are, drawn with replacement.
        protocol: as for `score`; percentiles are those of all the images.

    Raises:
        InputError: the runs have other images, categories or ground truth.
    """
    b = _in_the_order_of(a, b)
    n = len(a.panoptic)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    weights = np.concatenate([np.ones((1, n), np.int64), drawn])  # the first row is the data as it is
    edges = np.asarray(protocol.area_edges or sizes.area_edges(a.panoptic, protocol.percentiles), float)
    values = [resample(tables, weights, edges, protocol) for tables in (a, b)]
    return [difference(key, values[0][key], values[1][key]) for key in values[0] if key in values[1]]


def resample(
    tables: Tables, weights: Int[np.ndarray, "w i"], edges: Float[np.ndarray, " e"], protocol: Protocol
) -> Values:
    """Every score of one run, with each image as often as a row of weights says.

    Args:
        tables: of one run.
        weights: of its images.
        edges: of the size bins, pixels.
        protocol: as for `score`.
    """
    isthing = tables.panoptic.catalogue.isthing
    quirks = protocol.protocol == "panopticapi"
    by_image = count_images(tables.panoptic, panopticapi_quirks=quirks, pc_by_image_size=protocol.pc_weight == "image")
    total = weighted(by_image, weights.astype(float))
    categories = {"mIoU" if k == "IoU" else k: v for k, v in by_category(total, isthing=isthing).items()}
    if protocol.miou_over == "gt":
        categories["mIoU"] = np.where(total.semantic.gt > 0, categories["mIoU"], np.nan)
    if tables.semantic is not None:
        counts = weighted(semantic_counts(tables.semantic), weights.astype(float))
        categories["mIoU_semantic"] = category_iou(counts)
    groups = {"all": isthing | True, "things": isthing, "stuff": ~isthing}
    found: Values = {(name, part): _means(v[:, of]) for name, v in categories.items() for part, of in groups.items()}
    for suffix, table in (("", tables.panoptic), ("_instances", tables.instances)):
        if table is not None:
            kinds: Sequence[Literal["mask", "box"]] = ("mask", "box") if table.has_masks else ("box",)
            for kind in kinds:
                name = f"AP_{kind}{suffix}"
                found |= _average_precision(table, kind, name, weights, edges, detections=bool(suffix))
    return found


def _average_precision(
    table: PairTable,
    kind: Literal["mask", "box"],
    name: str,
    weights: Int[np.ndarray, "w i"],
    edges: Float[np.ndarray, " e"],
    *,
    detections: bool,
) -> Values:
    from panoptic_eval.metrics import matching

    found = matches(table, kind, edges, stated=detections)
    padded = np.zeros((-(-len(weights) // LANES), LANES, len(table)), np.min_scalar_type(weights.max()))
    padded.reshape(-1, len(table))[: len(weights)] = weights
    blocks = np.ascontiguousarray(padded.transpose(0, 2, 1))
    starts = range(0, len(blocks), CHUNK)

    def one(job: tuple[int, int]) -> Float[np.ndarray, "b l c t"]:
        r, k = job
        return matching.resample(
            blocks[k : k + CHUNK],
            found.image,
            found.first,
            found.matched[r],
            found.skipped[r],
            found.instances[r],
            ap.RECALLS,
        )

    ranges = range(len(found.instances))
    with ThreadPoolExecutor(cpu_count()) as threads:
        done = list(threads.map(one, product(ranges, starts)))
    by_range = []
    for r in ranges:
        joined = np.concatenate(done[r * len(starts) : (r + 1) * len(starts)])
        by_range.append(joined.reshape(-1, *joined.shape[2:])[: len(weights)])
    values: Values = {(name, "AP"): _means(by_range[0].mean(2))}
    for key, threshold in (("AP50", 0.5), ("AP75", 0.75)):
        values[name, key] = _means(by_range[0][:, :, np.isclose(ap.IOU_THRESHOLDS, threshold)][:, :, 0])
    parts = ["APs", "APm", "APl", *(f"{low:.0f}–{high:.0f} px" for low, high in sizes.bins(edges))]
    return values | {(name, part): _means(v.mean(2)) for part, v in zip(parts, by_range[1:], strict=True)}


def _means(values: Float[np.ndarray, "w c"]) -> Float[np.ndarray, " w"]:
    """Mean over the categories that are defined."""
    return divide(np.nansum(values, 1), (~np.isnan(values)).sum(1))


def difference(key: tuple[str, str], a: Float[np.ndarray, " w"], b: Float[np.ndarray, " w"]) -> Difference:
    """b - a of one score.

    Args:
        key: its name and part.
        a, b: of each run, as `resample` gives them: the first on the images as they are.
    """
    d = (b - a)[1:]
    d = d[~np.isnan(d)]
    low, high, p = float("nan"), float("nan"), float("nan")
    if d.size:
        low, high = np.percentile(d, [2.5, 97.5]).tolist()
        tail = min((d <= 0).sum(), (d >= 0).sum())
        p = min(1.0, 2 * (float(tail) + 1) / (d.size + 1))  # never 0: what did not occur in so many may occur
    return Difference(*key, float(a[0]), float(b[0]), float(b[0] - a[0]), low, high, p)


def _in_the_order_of(a: Tables, b: Tables) -> Tables:
    """`b` with its images in the order of `a`'s.

    Raises:
        InputError: other images, categories or ground truth.
    """
    if a.panoptic.catalogue != b.panoptic.catalogue:
        raise InputError("the runs have different categories; expected two runs on one ground truth")
    ids = [set(t.panoptic.image_id) for t in (a, b)]
    if ids[0] != ids[1]:
        odd = sorted(map(repr, ids[0] ^ ids[1]))
        raise InputError(f"{len(odd)} images are in one run only (first: {odd[0]}); expected the same images in both")
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
