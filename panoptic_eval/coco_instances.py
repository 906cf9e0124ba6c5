"""AP of COCO instance results against COCO instance annotations, for those who have no panoptic files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import json_rows
from panoptic_eval.datasets.json_rows import FLAG, INTEGER, NUMBER, STRING, column, short
from panoptic_eval.detections import boxes, masks
from panoptic_eval.errors import Faults, InputError
from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.pairs.counts import Pairs
from panoptic_eval.pairs.instances import detected, with_pairs
from panoptic_eval.pairs.table import PairTable, Segments
from panoptic_eval.png.container import MAX_PIXELS
from panoptic_eval.png.rle import Rle
from panoptic_eval.shapes import Float, Int

Rows = list[dict[str, Any]]


def coco_ap(
    gt: str | Path | Mapping[str, Any],
    results: str | Path | Sequence[Mapping[str, Any]],
    *,
    kind: Literal["mask", "box"] = "mask",
) -> dict[str, float]:
    """Compute COCO's AP, AP50, AP75, APs, APm and APl, 0 to 1, equal to pycocotools' `COCOeval(gt, dt).stats[:6]`.

    Lin et al., "Microsoft COCO", ECCV 2014, arXiv 1405.0312.

    Args:
        gt: instance annotations, a path or what `json.load` gives.
        results: list of detections with image_id, category_id, score, and segmentation or bbox, a path or the list.
        kind: what is compared.

    Returns:
        NaN, where pycocotools has -1, if no instance is in the range of sizes.

    Raises:
        InputError: one of the two is malformed, or `results` has images or categories that `gt` has not.

    >>> gt = {
    ...     "images": [{"id": 7, "height": 40, "width": 60}],
    ...     "categories": [{"id": 3, "name": "car"}],
    ...     "annotations": [
    ...         {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0}
    ...     ],
    ... }
    >>> result = {"image_id": 7, "category_id": 3, "bbox": [10, 10, 20, 16], "score": 0.9}  # IoU 0.8
    >>> {name: round(value, 2) for name, value in coco_ap(gt, [result], kind="box").items()}
    {'AP': 0.7, 'AP50': 1.0, 'AP75': 1.0, 'APs': 0.7, 'APm': nan, 'APl': nan}
    """
    if kind not in ("mask", "box"):
        raise ValueError(f'kind is {kind!r}; expected "mask" or "box"')
    table = instance_table(gt, results, kind=kind)
    precision = instance_precision(table, list(ap.COCO_RANGES.values()), kind=kind)
    whole = (precision.mean(0), precision.mean(0, threshold=0.5), precision.mean(0, threshold=0.75))
    return dict(zip(ap.PARTS, (*whole, *(precision.mean(k) for k in (1, 2, 3))), strict=True))


def instance_precision(
    table: PairTable, ranges: Sequence[tuple[float, float]], *, kind: Literal["mask", "box"]
) -> ap.AveragePrecision:
    """Compute precision in ranges of area, pixels: of gt as its JSON states it, of results as pycocotools takes it.

    Args:
        table: from `instance_table`.
        ranges: smallest and largest area, both included.
        kind: what is compared.
    """
    pred = table.pred
    area = pred.box[:, 2] * pred.box[:, 3]
    if kind == "mask":  # of the box where the file gives one
        area = np.where(np.isnan(pred.stated_area), pred.area, pred.stated_area)
    return ap.average_precision(
        ap.match(
            table,
            ap.mask_overlaps(table) if kind == "mask" else ap.box_overlaps(table),
            gt_outside=ap.outside(table.gt.stated_area, ranges),
            pred_outside=ap.outside(area, ranges),
        )
    )


def instance_table(
    gt: str | Path | Mapping[str, Any],
    results: str | Path | Sequence[Mapping[str, Any]],
    *,
    kind: Literal["mask", "box"],
) -> PairTable:
    """Make the table of COCO instance annotations and COCO results, for AP alone; arguments are those of `coco_ap`.

    Images go by ascending id, as pycocotools has them.

    Raises:
        InputError: see `coco_ap`.
    """
    faults = Faults()
    content, name = _content(gt, "gt")
    if not isinstance(content, Mapping):
        raise InputError(f"{name} is {short(content)}; expected COCO instances: images, annotations, categories")
    result_rows, results_name = _content(results, "results")
    catalogue = _catalogue(content, name, faults)
    size = _images(content, name, faults)
    faults.check()
    gt_side, gt_masks = _segments(
        content.get("annotations"), f"{name}: annotations", catalogue, size, kind, faults, gt=True
    )
    pred_side, pred_masks = _segments(result_rows, results_name, catalogue, size, kind, faults, gt=False)
    for warning in faults.warnings:
        warnings.warn(warning, stacklevel=3)
    none = np.empty(0, np.int64)
    sizes = np.array(list(size.values()), np.int64).reshape(-1, 2)
    digests = ("",) * len(size)
    table = PairTable(catalogue, tuple(size), sizes, digests, gt_side, pred_side, Pairs(none, none, none))
    masks_by_image = (_by_image(*side, len(size)) for side in ((gt_side, gt_masks), (pred_side, pred_masks)))
    return with_pairs(table, zip(*masks_by_image, strict=True))


def _by_image(segments: Segments, rles: Sequence[Rle], images: int) -> list[Sequence[Rle]]:
    ends = np.searchsorted(segments.image, np.arange(images + 1)).tolist()
    return [rles[first:last] for first, last in pairwise(ends)]


def _content(value: Any, name: str) -> tuple[Any, str]:
    """Return the content of a JSON, and its name for messages."""
    return (json_rows.load(Path(value)), str(value)) if isinstance(value, str | Path) else (value, name)


def _catalogue(content: Mapping[str, Any], name: str, faults: Faults) -> Catalogue:
    rows = json_rows.objects(content.get("categories"), f"{name}: categories", faults)

    def place(i: int) -> str:
        return f"{name}: categories[{i}]"

    ids = column(rows, "id", INTEGER, place, faults, default=0)
    names = column(rows, "name", STRING, place, faults, default="", optional=True)
    faults.add("[category id is|category ids are] written twice", map(place, json_rows.repeated(ids.values)))
    faults.add(
        "[category id is|category ids are] out of range; expected 0 to 2**31 - 1",
        (f"{place(i)}: {value}" for i, value in enumerate(ids.values) if not 0 <= value < 2**31),
    )
    if not rows:
        faults.add(f"{name}: has no category; expected one or more")
    faults.check()
    return Catalogue(tuple(Category(i, n or str(i), True) for i, n in zip(ids.values, names.values, strict=True)))


def _images(content: Mapping[str, Any], name: str, faults: Faults) -> dict[int | str, tuple[int, int]]:
    """Return height, width of each image by its id, ascending."""
    rows = json_rows.objects(content.get("images"), f"{name}: images", faults)

    def place(i: int) -> str:
        return f"{name}: images[{i}]"

    ids = json_rows.image_ids(rows, "id", place, faults).values
    heights, widths = (column(rows, key, INTEGER, place, faults, default=1).values for key in ("height", "width"))
    faults.add("[image id is|image ids are] written twice", map(place, json_rows.repeated(ids)))
    faults.add(
        f"[image has|images have] an impossible size; expected sides of at least 1, {MAX_PIXELS} pixels at most",
        (
            f"{place(i)}: height {h}, width {w}"
            for i, (h, w) in enumerate(zip(heights, widths, strict=True))
            if min(h, w) < 1 or h * w > MAX_PIXELS
        ),
    )
    sizes = zip(ids, zip(heights, widths, strict=True), strict=True)
    return dict(sorted(sizes, key=lambda entry: (isinstance(entry[0], str), entry[0])))


def _segments(
    value: Any,
    name: str,
    catalogue: Catalogue,
    size: Mapping[int | str, tuple[int, int]],
    kind: Literal["mask", "box"],
    faults: Faults,
    *,
    gt: bool,
) -> tuple[Segments, Sequence[Rle]]:
    """Return one side's segments, by image and within an image in the order of the file, and their masks."""
    rows = json_rows.objects(value, name, faults)

    def place(i: int) -> str:
        return f"{name}[{i}]"

    image, category = _members(rows, catalogue, size, place, faults)
    faults.check()
    order = np.argsort(image, kind="stable")
    rows, image, category = [rows[i] for i in order.tolist()], image[order], category[order]

    def ordered_place(i: int) -> str:
        return place(int(order[i]))

    number = column(rows, "area" if gt else "score", NUMBER, ordered_place, faults, default=0.0).values
    crowd = column(rows, "iscrowd", FLAG, ordered_place, faults, default=0, optional=True).values
    box = boxes(rows, ordered_place, faults)
    rles = _masks(rows, image, list(size.values()), box, kind, ordered_place, faults)
    faults.check()
    score = np.full(len(rows), np.nan) if gt else np.array(number, float)
    segments = detected(image, category, score, box, rles)
    if gt:
        segments = replace(segments, crowd=np.array(crowd, bool), stated_area=np.array(number, float))
    return segments, rles or ()


def _members(
    rows: Rows,
    catalogue: Catalogue,
    size: Mapping[int | str, tuple[int, int]],
    place: Callable[[int], str],
    faults: Faults,
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return the index of each row's image and that of its category."""
    index = {image_id: k for k, image_id in enumerate(size)}
    image_ids = json_rows.image_ids(rows, "image_id", place, faults)
    image = np.array([index.get(i, -1) for i in image_ids.values], np.int64)
    category_ids = column(rows, "category_id", INTEGER, place, faults, default=0)
    category = catalogue.index(json_rows.integers(category_ids.values))
    for key, ids, wrong in (("image_id", image_ids, image < 0), ("category_id", category_ids, category < 0)):
        faults.add(
            f'[entry has|entries have] a "{key}" that is none of the annotation\'s; expected one that it lists',
            (f"{place(i)}: {key} {short(ids.values[i])}" for i in np.flatnonzero(wrong & ids.sound).tolist()),
        )
    return image, category


def _masks(
    rows: Rows,
    image: Int[np.ndarray, " n"],
    sizes: Sequence[tuple[int, int]],
    box: Float[np.ndarray, "n 4"],
    kind: Literal["mask", "box"],
    place: Callable[[int], str],
    faults: Faults,
) -> tuple[dict[str, Any], ...] | None:
    """Return the masks, if they are compared or if boxes are missing."""
    if kind == "box" and not np.isnan(box).any():
        return None
    rles = masks(rows, image, sizes.__getitem__, place, faults)
    if rles is None and kind == "mask":
        bare = [i for i, row in enumerate(rows) if not row.get("segmentation")]
        faults.add('[entry has|entries have] no "segmentation"; expected one, or kind="box"', map(place, bare))
    return rles
