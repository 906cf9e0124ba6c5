"""From pair tables to scores, and to a report: every metric, its means, and why it is undefined where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from panoptic_eval import analyses, metrics
from panoptic_eval.errors import Faults, InputError
from panoptic_eval.metrics import accounting, ap_accounting, sizes
from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.metrics import panoptic_quality as pq
from panoptic_eval.metrics.accounting import account_counts, image_costs
from panoptic_eval.metrics.cost_by_size import lost_by_size
from panoptic_eval.metrics.metric import mean, summed
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.report import Report
from panoptic_eval.resampling import draw, interval
from panoptic_eval.rules import DEFAULT, PANOPTICAPI_QUIRKS, Rules
from panoptic_eval.shapes import Bool, Float, Int

if TYPE_CHECKING:
    from panoptic_eval.groups import Groups

GROUPS = ("all", "things", "stuff")
Key = tuple[str, str | int]
"""Name and part of a score: ("PQ", "things"), ("AP_mask", "AP50"); ("AP_mask", 2) is the third bin of size."""
Bins = Sequence[tuple[float, float]]
"""Smallest and largest area of each size bin, pixels, both included."""


@dataclass(frozen=True)
class Tables:
    """Pair tables of one run."""

    panoptic: PairTable
    instances: PairTable | None = None
    """Table of instances.json: masks and boxes before fusion."""
    semantic: PairTable | None = None
    """Table of semantic/*.png: a category for each pixel."""


@dataclass(frozen=True)
class Scores:
    """Every score of one run, NaN where undefined. Row 0 is the images as they are; further rows are resamples."""

    parts: Mapping[Key, Float[np.ndarray, " w"]]
    categories: Mapping[str, Float[np.ndarray, "w c"]]
    """Scores of each category."""
    images: Mapping[str, Float[np.ndarray, "i c"]]
    """Scores of each image and category, of the metrics that one image has."""
    costs: Float[np.ndarray, " i"]
    """Share of each image in 1 - PQ, with the areas of the PNGs; they add up to it."""
    counts: pq.PQCounts
    """Matches of each image and category."""
    instances: Int[np.ndarray, "b c"]
    """Gt instances of each size bin and category."""
    precision: Mapping[str, Float[np.ndarray, "10 101"]]
    """Precision at 10 thresholds of IoU and 101 of recall, of each AP: mean over the categories with instances."""
    ap_by_size: Mapping[str, Float[np.ndarray, "b1 c"]]
    """Each AP of each category, of the images as they are: of all sizes, then of each bin."""


def size_edges(table: PairTable, rules: Rules) -> Float[np.ndarray, " e"]:
    """Return the edges of the size bins in pixels of area; NaN where gt has no thing."""
    return np.asarray(rules.area_edges or sizes.area_edges(table, rules.percentiles), float)


def scores(
    tables: Tables,
    rules: Rules = DEFAULT,
    *,
    weights: Int[np.ndarray, "w i"] | None = None,
    bins: Bins | None = None,
) -> Scores:
    """Compute every metric of a run.

    Args:
        tables: of the run.
        rules: every choice that changes a number.
        weights: how often each image counts, one row for each resample.
        bins: of size; those that the rules make of the run's gt if not given.

    Raises:
        InputError: panopticapi's areas are asked for, and a stated one is impossible; or the rules have no meaning.
    """
    rules.check()
    table, isthing = tables.panoptic, tables.panoptic.catalogue.isthing
    if rules.quirks and (fault := pq.impossible_areas(table)):
        raise InputError([fault])
    if bins is None:
        bins = sizes.bins(size_edges(table, rules))
    causes = () if rules.quirks else metrics.CAUSES  # an account of areas that are stated may have negative parts
    boundary = metrics.BOUNDARY_METRICS if table.origin.boundary else ()
    measured = [(metric, table) for metric in (*metrics.METRICS, *boundary, *causes)]
    if tables.semantic is not None:
        measured += [(metric, tables.semantic) for metric in metrics.SEMANTIC_METRICS]
    wanted = [(metric.count, of) for metric, of in measured] + [(pq.pq_counts, table), (account_counts, table)]
    once = {(count, id(of)): (count, of) for count, of in wanted}  # metrics that share a function share its counts
    counts = {key: count(of, rules) for key, (count, of) in once.items()}
    repeats = None if weights is None else weights.astype(float)
    sums = {key: summed(value, repeats) for key, value in counts.items()}
    categories = {metric.name: metric.score(sums[metric.count, id(of)]) for metric, of in measured}
    parts = _means(categories, isthing)
    precision, ap_by_size = {}, {}
    by_ap = _matches(tables, bins)
    for name, matches in by_ap.items():
        by_part, precision[name] = ap.ap_by_category(matches, weights)
        categories[name] = by_part["AP"]
        ap_by_size[name] = np.stack([by_part[part][0] for part in ("AP", *range(len(bins)))])
        means = mean(np.stack(list(by_part.values())))
        parts |= {(name, part): values for part, values in zip(by_part, means, strict=True)}
    return Scores(
        parts,
        categories,
        images={
            metric.name: metric.score(counts[metric.count, id(of)])
            for metric, of in measured
            if metric.count is not account_counts
        },
        costs=image_costs(counts[account_counts, id(table)]),
        counts=counts[pq.pq_counts, id(table)],
        instances=by_ap["AP_mask"].instances[len(ap.COCO_RANGES) :].sum(1),
        precision=precision,
        ap_by_size=ap_by_size,
    )


def _means(
    by_name: Mapping[str, Float[np.ndarray, "*b c"]], isthing: Bool[np.ndarray, " c"]
) -> dict[Key, Float[np.ndarray, " *b"]]:
    """Average scores of one shape over all categories, things and stuff: by name and group."""
    every = np.stack(list(by_name.values()))
    means = [mean(every), *(mean(every.take(np.flatnonzero(members), axis=-1)) for members in (isthing, ~isthing))]
    return {
        (name, group): of_group[k]
        for k, name in enumerate(by_name)
        for group, of_group in zip(GROUPS, means, strict=True)
    }


def _matches(tables: Tables, bins: Bins) -> dict[str, ap.Matches]:
    """Match masks and boxes of the panoptic map, and of the detections where there are any."""
    kinds: tuple[ap.Kind, ...] = ("mask", "boundary", "box") if tables.panoptic.origin.boundary else ("mask", "box")
    of_map = ap.match_ranges(tables.panoptic, kinds, bins, stated=False)
    matches = {f"AP_{kind}": found for kind, found in of_map.items()}
    if (table := tables.instances) is not None:
        of_instances = ap.match_ranges(table, kinds if table.has_masks else ("box",), bins, stated=True)
        matches |= {f"AP_{kind}_instances": found for kind, found in of_instances.items()}
    return matches


def score(
    tables: Tables,
    rules: Rules = DEFAULT,
    *,
    resamples: int = 0,
    seed: int = 0,
    provenance: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
    groups: Groups | None = None,
) -> Report:
    """Report every score of a run; needs no image.

    Args:
        tables: of the run.
        rules: every choice that changes a number.
        resamples: sets of images drawn for the 95 % intervals of the scores; no intervals if 0, or of a single image.
        seed: of the draw.
        provenance: stored with the report.
        warnings: stored with the report, before those of the scores.
        groups: of categories, whose means are reported, too.

    Raises:
        InputError: as for `scores`.
    """
    rules.check()
    table = tables.panoptic
    weights = draw(np.random.default_rng(seed), len(table), resamples) if resamples and len(table) > 1 else None
    edges = size_edges(table, rules)
    run_scores = scores(tables, rules, weights=weights, bins=sizes.bins(edges))
    losses = accounting.segment_losses(table)
    by_name: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, tuple[float, float]]] = {}
    for (name, part), values in run_scores.parts.items():
        if isinstance(part, str):
            by_name.setdefault(name, {})[part] = float(values[0])
            if weights is not None:
                intervals.setdefault(name, {})[part] = interval(values)
    lost = {metric.name: by_name.pop(metric.name) for metric in metrics.CAUSES if metric.name in by_name}
    account = {group: {name: values[group] for name, values in lost.items()} for group in GROUPS if lost}
    return Report(
        images=len(table),
        scores=by_name,
        account=account,
        if_fixed=_if_fixed(table, losses) if account else {},
        pixel_flow=_pixel_flow(table, losses) if account else (),
        categories=_categories(table, run_scores),
        size_percentiles=_size_rows(
            run_scores, edges, rules, None if rules.quirks else lost_by_size(table, edges, losses)
        ),
        undefined=_undefined(by_name),
        warnings=[*warnings, *input_warnings(table), *_warnings(edges)],
        protocol={
            **vars(rules),
            "quirks": list(PANOPTICAPI_QUIRKS) if rules.quirks else [],
            "boundary": table.origin.boundary,
            "missing": table.origin.missing,
            "missing_images": table.origin.missing_images,
        },
        provenance=provenance or {},
        intervals=intervals,
        ap_account=_ap_account(tables, sizes.bins(edges), run_scores),
        per_image=_images(table, run_scores),
        precision_recall=analyses.curves(run_scores.precision),
        groups=analyses.groups(run_scores.categories, groups or {}),
        reliability=analyses.calibration(table, weights),
        label_errors=analyses.label_errors(table),
    )


def _categories(table: PairTable, run_scores: Scores) -> list[dict[str, Any]]:
    """Make a row for each category: who it is, its scores, the 95 % interval of PQ, and the counts it is made of."""
    total = summed(run_scores.counts)
    columns = {name: values[0] for name, values in run_scores.categories.items()}
    resampled = run_scores.categories["PQ"]
    if len(resampled) > 1:
        columns["PQ_low"], columns["PQ_high"] = np.transpose([interval(values) for values in resampled.T])
    lost = {name: columns.pop(name) for name in accounting.TITLES if name in columns}
    columns |= {"TP": total.tp[0], "FP": total.fp[0], "FN": total.fn[0], "iou_sum": total.iou[0]}
    rows: list[dict[str, Any]] = [
        {"id": c.id, "name": c.name, "isthing": c.isthing, **scored}
        for c, scored in zip(table.catalogue.categories, _rows(columns), strict=True)
    ]
    if lost:
        rows = [{**row, "account": account} for row, account in zip(rows, _rows(lost), strict=True)]
    return rows


def _rows(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Make a dictionary for each row of columns, which are arrays or tuples."""
    values = zip(*(v if isinstance(v, tuple) else v.tolist() for v in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _if_fixed(table: PairTable, losses: accounting.SegmentLosses) -> dict[str, dict[str, float]]:
    """Tell what PQ would gain if one cause alone were gone, by group and cause."""
    gains = _means({"PQ": accounting.if_fixed(table, losses)}, table.catalogue.isthing)
    return {group: dict(zip(accounting.TITLES, gains["PQ", group].tolist(), strict=True)) for group in GROUPS}


def _pixel_flow(table: PairTable, losses: accounting.SegmentLosses) -> list[dict[str, Any]]:
    """Make a row for each true and predicted category that cost something, the dearest first."""
    flow = accounting.pixel_flow(table, losses)
    names = [*(category.name for category in table.catalogue.categories), None]
    true, predicted = np.nonzero(flow)
    order = np.argsort(-flow[true, predicted], kind="stable")
    return [
        {"true": names[t], "predicted": names[p], "cost": float(flow[t, p])}
        for t, p in zip(true[order].tolist(), predicted[order].tolist(), strict=True)
    ]


def _ap_account(tables: Tables, bins: Bins, run_scores: Scores) -> dict[str, list[dict[str, float]]]:
    """Return the parts of 1 - AP of masks, for all sizes and then for each bin, by the name of AP."""
    of = {"AP_mask": tables.panoptic, "AP_mask_instances": tables.instances}
    accounts = {
        name: ap_accounting.ap_account(table, bins, run_scores.ap_by_size[name])
        for name, table in of.items()
        if table is not None and name in run_scores.ap_by_size
    }
    return {
        name: [dict(zip(ap_accounting.TITLES, parts, strict=True)) for parts in mean(account.swapaxes(1, 2)).tolist()]
        for name, account in accounts.items()
    }


def _images(table: PairTable, run_scores: Scores) -> list[dict[str, Any]]:
    """Make a row for each image: its size, its scores, and the counts that PQ is made of."""
    columns: dict[str, Any] = {"image_id": table.image_id, "height": table.size[:, 0], "width": table.size[:, 1]}
    for (name, group), means in _means(run_scores.images, table.catalogue.isthing).items():
        columns[name if group == "all" else f"{name}_{group}"] = means
    columns |= {
        "cost": run_scores.costs,
        "TP": run_scores.counts.tp.sum(1),
        "FP": run_scores.counts.fp.sum(1),
        "FN": run_scores.counts.fn.sum(1),
    }
    return _rows(columns)


def _size_rows(
    run_scores: Scores, edges: Float[np.ndarray, " e"], rules: Rules, lost: Float[np.ndarray, "b 8"] | None
) -> list[dict[str, Any]]:
    """Make a row for each size bin: its edges, how many gt instances it holds, AP within it, and what it costs."""
    percent: Sequence[float] = [float("nan")] * len(edges) if rules.area_edges else rules.percentiles
    names = [name for name, part in run_scores.parts if part == 0]
    return [
        {
            "from_percent": percent[k],
            "to_percent": percent[k + 1],
            "from_area": float(edges[k]),
            "to_area": float(edges[k + 1]),
            "instances": int(run_scores.instances[k].sum()),
            "categories": int((run_scores.instances[k] > 0).sum()),
            **{name: float(run_scores.parts[name, k][0]) for name in names},
            **({} if lost is None else {"account": dict(zip(accounting.TITLES, lost[k].tolist(), strict=True))}),
        }
        for k in range(len(edges) - 1)
    ]


def _undefined(by_name: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Tell why each NaN is one: all reasons say that something does not occur."""
    group = {"all": "no category", "things": "no thing category", "stuff": "no stuff category"}
    sized = {"APs": "small ", "APm": "medium-sized ", "APl": "large "}
    why = {name: metric.undefined for name, metric in metrics.by_name().items()}
    return {
        f"{name}.{part}": f"{group[part]} {why[name]}"
        if name in why
        else f"gt has no {sized.get(part, '')}thing instance"
        for name, values in by_name.items()
        for part, value in values.items()
        if np.isnan(value)
    }


def input_warnings(table: PairTable) -> tuple[str, ...]:
    """Tell what `input_oddities` finds, a line a kind."""
    return input_oddities(table).warnings


def input_oddities(table: PairTable) -> Faults:
    """Find what is odd about the segments of label maps: no scores, several segments of one stuff category."""
    oddities, pred = Faults(), table.pred
    unscored = np.flatnonzero(np.isnan(pred.score) & table.catalogue.isthing[pred.category])
    oddities.warn(
        "predicted thing [segment has|segments have] no score and [counts|count] with 1: AP then depends on the order "
        "of the segments in the JSON",
        [f"image {table.image_id[pred.image[k]]!r}, segment {pred.id[k]}" for k in unscored.tolist()],
    )
    oddities.warn(
        "[image has|images have] several segments of one stuff category; PQ† takes them as one",
        [f"image {table.image_id[k]!r}" for k in pq.split_stuff(table).tolist()],
    )
    return oddities


def _warnings(edges: Float[np.ndarray, " e"]) -> list[str]:
    if (edges[1:] == edges[:-1]).any():  # not where gt has no thing: all are NaN
        return [f"some edges of the size bins are equal: {edges.tolist()} pixels; the bins between them hold one size"]
    return []
