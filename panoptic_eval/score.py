"""From pair tables to a report: every metric, its means, and why it is undefined where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from panoptic_eval.errors import InputError
from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.metrics import panoptic_quality as pq
from panoptic_eval.metrics import sizes
from panoptic_eval.metrics.counts import Counts, by_category, count_images, weighted
from panoptic_eval.metrics.semantic import SemanticCounts, category_iou, semantic_counts
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.report import Report

GROUPS = ("all", "things", "stuff")
PANOPTICAPI_QUIRKS = (
    "of several crowds of one category in an image only the last one listed excuses predictions",
    "areas of gt segments are those that its JSON states, not those of the PNG",
)


@dataclass(frozen=True)
class Protocol:
    """Every choice that changes a number; the defaults are the trusted tools', see docs/metrics.md."""

    protocol: Literal["default", "panopticapi"] = "default"
    """panopticapi repeats that tool's quirks."""
    pc_weight: Literal["image", "pixels"] = "image"
    """Parsing covering weighs a segment by its share of its image (TensorFlow's default) or by its pixels."""
    miou_over: Literal["either", "gt"] = "either"
    """Mean IoU is over the categories of either side, as Cityscapes has it, or over those that gt has."""
    percentiles: tuple[float, ...] = sizes.PERCENT
    """Edges of the size bins, in per cent of the thing instances."""
    area_edges: tuple[float, ...] | None = None
    """Edges of the size bins in pixels, instead of percentiles: those of another run make both comparable."""

    def check(self) -> None:
        """Say what is wrong with the edges of the size bins, before anything is counted.

        Raises:
            InputError: fewer than two, not ascending, not finite, below 0, or percentiles above 100.
        """
        percentiles, areas = self.percentiles, self.area_edges
        if not (_ascend(percentiles) and percentiles[0] >= 0 and percentiles[-1] <= 100 and len(set(percentiles)) > 1):
            expected = "two or more ascending numbers from 0 to 100, such as 0 50 100"
            raise InputError(f"--percentiles {_given(percentiles)}: expected {expected}")
        if areas is not None and not (_ascend(areas) and areas[0] >= 0):
            expected = "two or more ascending areas in pixels, such as 0 1024 9216"
            raise InputError(f"--area-edges {_given(areas)}: expected {expected}")


def _ascend(values: Sequence[float]) -> bool:
    """Whether there are two edges or more, in order; equal ones are allowed, as objects of one size make them."""
    return len(values) > 1 and bool(np.isfinite(values).all() and (np.diff(values) >= 0).all())


def _given(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values) or "without a value"


@dataclass(frozen=True)
class Tables:
    """What one run counted."""

    panoptic: PairTable
    instances: PairTable | None = None
    """Of instances.json, masks and boxes before fusion."""
    semantic: PairTable | None = None
    """Of semantic/*.png, a category a pixel."""


def score(
    tables: Tables,
    protocol: Protocol = Protocol(),
    *,
    provenance: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> Report:
    """Every metric of the tables; needs no image.

    Raises:
        InputError: panopticapi's areas are asked for, and a stated one is impossible; or the protocol is.
    """
    protocol.check()
    table = tables.panoptic
    catalogue = table.catalogue
    quirks = protocol.protocol == "panopticapi"
    if quirks and (faults := pq.impossible_areas(table)):
        raise InputError(faults)
    by_image = count_images(table, panopticapi_quirks=quirks, pc_by_image_size=protocol.pc_weight == "image")
    total: Counts = weighted(by_image)
    per_category = by_category(total, isthing=catalogue.isthing)
    per_category["IoU"] = _iou(total.semantic, protocol)
    names = {"PQ": "PQ", "SQ": "SQ", "RQ": "RQ", "PQ_dagger": "PQ_dagger", "PC": "PC", "mIoU": "IoU"}
    scores = {name: _groups(per_category[column], catalogue.isthing) for name, column in names.items()}
    if tables.semantic is not None:
        scores["mIoU_semantic"] = _groups(_iou(weighted(semantic_counts(tables.semantic)), protocol), catalogue.isthing)

    edges = np.asarray(protocol.area_edges or sizes.area_edges(table, protocol.percentiles), float)
    percent = [float("nan")] * len(edges) if protocol.area_edges else list(protocol.percentiles)
    percentiles: dict[str, Sequence[float]] = {"percent": percent, "area": edges.tolist()}
    for suffix, of in (("", table), ("_instances", tables.instances)):
        if of is None:
            continue
        kinds: tuple[Literal["mask", "box"], ...] = ("mask", "box")
        for kind in kinds:
            if kind == "mask" and not of.has_masks:
                continue
            result = ap.average_precision(matches(of, kind, edges, stated=of is tables.instances))
            name = f"AP_{kind}{suffix}"
            scores[name] = {
                "AP": result.mean(0),
                "AP50": result.mean(0, threshold=0.5),
                "AP75": result.mean(0, threshold=0.75),
                "APs": result.mean(1),
                "APm": result.mean(2),
                "APl": result.mean(3),
            }
            bins = range(len(ap.COCO_RANGES), result.instances.shape[0])
            if not suffix:
                per_category[name] = result.by_category(0)
                percentiles.setdefault("instances", result.instances[bins].sum(1).tolist())
                percentiles.setdefault("categories", (result.instances[bins] > 0).sum(1).tolist())
            percentiles[name] = [result.mean(b) for b in bins]

    counts = total.pq
    columns = {**{k: per_category[k] for k in ("PQ", "SQ", "RQ")}, "TP": counts.tp, "FP": counts.fp, "FN": counts.fn}
    columns |= {"iou_sum": counts.iou} | {k: v for k, v in per_category.items() if k not in columns}
    categories = [
        {"id": c.id, "name": c.name, "isthing": c.isthing, **{k: v[i].item() for k, v in columns.items()}}
        for i, c in enumerate(catalogue.categories)
    ]
    return Report(
        images=len(table),
        scores=scores,
        categories=categories,
        size_percentiles=percentiles,
        undefined=_undefined(scores),
        warnings=[*warnings, *_warnings(tables, edges)],
        protocol={
            **asdict(protocol),
            "quirks": list(PANOPTICAPI_QUIRKS) if quirks else [],
            "missing": table.origin.missing,
            "missing_images": table.origin.missing_images,
        },
        provenance=provenance or {},
        per_image=_per_image(table, by_image),
    )


def _iou(counts: SemanticCounts, protocol: Protocol) -> Float[np.ndarray, " c"]:
    iou = category_iou(counts)
    return np.where(counts.gt > 0, iou, np.nan) if protocol.miou_over == "gt" else iou


def _mean(values: Float[np.ndarray, " n"]) -> float:
    """Mean of the defined values; NaN where there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _groups(values: Float[np.ndarray, " c"], isthing: Bool[np.ndarray, " c"]) -> dict[str, float]:
    return dict(zip(GROUPS, (_mean(values), _mean(values[isthing]), _mean(values[~isthing])), strict=True))


def matches(
    table: PairTable, kind: Literal["mask", "box"], edges: Float[np.ndarray, " e"], *, stated: bool = False
) -> ap.Matches:
    """Match in COCO's four ranges, then in the bins of size.

    The bins take pixels on both sides, so that an exact copy of an instance is in the instance's bin.

    Args:
        table: of label maps or of detections.
        kind: what overlaps.
        edges: of the size bins, pixels.
        stated: whether `stated_area`, where there is one, decides the COCO range of a mask: of detections with boxes,
            as in pycocotools. Of label maps the counted pixels decide: a JSON that states another area changes nothing.
    """
    gt, pred = table.gt, table.pred
    box_area = pred.box[:, 2] * pred.box[:, 3]
    ranged = box_area if kind == "box" else pred.area.astype(float)
    if kind == "mask" and stated:
        ranged = np.where(np.isnan(pred.stated_area), ranged, pred.stated_area)
    coco, bins = list(ap.COCO_RANGES.values()), sizes.bins(edges)
    return ap.match(
        table,
        ap.mask_overlaps(table) if kind == "mask" else ap.box_overlaps(table),
        gt_outside=ap.outside(gt.area, [*coco, *bins]),
        pred_outside=np.concatenate([ap.outside(ranged, coco), ap.outside(pred.area, bins)]),
    )


def _undefined(scores: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """The reason why each NaN is one: all of them say that something does not occur."""
    group = {"all": "no category", "things": "no thing category", "stuff": "no stuff category"}
    sized = {"APs": "small ", "APm": "medium-sized ", "APl": "large "}
    reasons = {}
    for name, values in scores.items():
        for key, value in values.items():
            if not np.isnan(value):
                continue
            if name.startswith("AP"):
                why = f"gt has no {sized.get(key, '')}thing instance"
            elif name in ("PQ", "SQ", "RQ", "mIoU", "mIoU_semantic"):
                why = f"{group[key]} has a segment in gt or in the predictions"
            else:
                why = f"{group[key]} has a segment in gt"
            reasons[f"{name}.{key}"] = why
    return reasons


def _warnings(tables: Tables, edges: Float[np.ndarray, " e"]) -> list[str]:
    table = tables.panoptic
    found = []
    thing_scores = table.pred.score[table.catalogue.isthing[table.pred.category]]
    if np.isnan(thing_scores).any():
        found.append(
            f"{int(np.isnan(thing_scores).sum())} of {len(thing_scores)} predicted thing segments have no score and "
            "count with 1: AP then depends on the order of the segments in the JSON"
        )
    split = pq.split_stuff(table)
    if len(split):
        found.append(
            f"{len(split)} images have several segments of one stuff category (first: {table.image_id[split[0]]!r}); "
            "PQ† takes them as one"
        )
    if len(np.unique(edges)) < len(edges):
        found.append(
            f"some edges of the size bins are equal: {edges.tolist()} pixels; the bins between them hold one size"
        )
    return found


def _per_image(table: PairTable, by_image: Counts) -> list[dict[str, Any]]:
    isthing, counts = table.catalogue.isthing, by_image.pq
    scores = by_category(by_image, isthing=isthing)
    quality = {name: scores[name] for name in ("PQ", "SQ", "RQ", "PC")}
    columns: dict[str, Any] = {"image_id": table.image_id, "height": table.size[:, 0], "width": table.size[:, 1]}
    for name, values in quality.items():
        columns[name] = _means(values)
        if name in ("PQ", "PC"):
            columns |= {f"{name}_things": _means(values[:, isthing]), f"{name}_stuff": _means(values[:, ~isthing])}
    columns |= {"TP": counts.tp.sum(1), "FP": counts.fp.sum(1), "FN": counts.fn.sum(1)}
    rows = zip(*(v if isinstance(v, tuple) else v.tolist() for v in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _means(values: Float[np.ndarray, "i c"]) -> Float[np.ndarray, " i"]:
    return pq.divide(np.nansum(values, 1), (~np.isnan(values)).sum(1))
