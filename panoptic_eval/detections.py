"""Detections before fusion, which may overlap: COCO results with masks, boxes and scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from pycocotools import mask as mask_utils

from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import json_rows
from panoptic_eval.datasets.json_rows import INTEGER, LIST, NUMBER, REPORTED, Kind, column, integers, short
from panoptic_eval.errors import InputError, PngError
from panoptic_eval.labels import LabelMap, LabelMaps, other_type, some
from panoptic_eval.pairs.png import png_size

SEGMENTATION = Kind((dict, list), "run lengths (size and counts) or a list of polygons")
Size = tuple[int, int]


@dataclass(frozen=True)
class Detections:
    """n detections in the order of their file, which decides ties between equal scores."""

    image: Int[np.ndarray, " n"]
    """Index into the maps of the ground truth."""
    category: Int[np.ndarray, " n"]
    """Index into the catalogue; a thing."""
    score: Float[np.ndarray, " n"]
    box: Float[np.ndarray, "n 4"]
    """x, y, width, height in pixels of the image, as given; NaN where there is none."""
    rle: tuple[dict[str, Any], ...] | None
    """A mask each, COCO's compressed run lengths (`size` is height, width; `counts` bytes); None: boxes only."""


@json_rows.collector_paused()
def read(path: Path, gt: LabelMaps, catalogue: Catalogue, faults: list[str]) -> Detections:
    """COCO results: a list of objects with image_id, category_id, score, and segmentation or bbox or both.

    Args:
        catalogue: gt's, numbered as the file is.
        faults: gets what is wrong with the file; what is returned is of use only if nothing was.

    Raises:
        InputError: not JSON.
    """
    content = json_rows.load(path)
    if type(content) is dict:
        keys = ", ".join(content)
        raise InputError(f"{path}: is an object with {keys}; expected COCO results, a list of detections")
    rows = json_rows.objects(content, str(path), faults)

    def place(i: int) -> str:
        return f"{path}: detection {i} (image {short(rows[i].get('image_id'))})"

    image_id = column(rows, "image_id", json_rows.IMAGE_ID, place, faults, default=None)
    position = {m.image_id: i for i, m in enumerate(gt.maps)}
    image = np.array([position.get(id_, -1) for id_ in image_id], np.int64)
    for i in np.flatnonzero(image < 0).tolist():
        if image_id[i] is not None:
            what = other_type(image_id[i], position) or "the ground truth has no such image"
            faults.append(f"{place(i)}: {what}; expected one of its images")

    category_id = integers(column(rows, "category_id", INTEGER, place, faults, default=REPORTED))
    category = catalogue.index(category_id)
    unknown = (category < 0) & (category_id != REPORTED)
    stuff = ~catalogue.isthing[category] & (category >= 0)
    things = some(catalogue.ids[catalogue.isthing].tolist())
    for i in np.flatnonzero(unknown | stuff).tolist():
        what = "is stuff" if stuff[i] else "is in no category"
        faults.append(f"{place(i)}: category_id {category_id[i]} {what}; expected a thing category, one of {things}")

    return Detections(
        image=image,
        category=category,
        score=np.array(column(rows, "score", NUMBER, place, faults, default=0), np.float64),
        box=_boxes(rows, place, faults),
        rle=_masks(rows, image, gt, place, faults),
    )


def _boxes(rows: list[dict[str, Any]], place: Callable[[int], str], faults: list[str]) -> Float[np.ndarray, "n 4"]:
    values = column(rows, "bbox", LIST, place, faults, default=None, optional=True)
    given = [value for value in values if value is not None]
    if set(map(len, given)) <= {4} and set(map(type, chain.from_iterable(given))) <= {int, float}:
        box = np.array([[np.nan] * 4 if value is None else value for value in values], np.float64).reshape(-1, 4)
        right = np.isfinite(box).all(axis=1) & (box[:, 2:] >= 0).all(axis=1)
    else:
        box, right = np.empty((len(rows), 4)), np.array([_is_box(value) for value in values])
    faults += [
        f'{place(i)}: "bbox" is {short(values[i])}; expected x, y, width, height: finite, the last two not negative'
        for i in np.flatnonzero(~right).tolist()
        if values[i] is not None
    ]
    return box


def _is_box(value: list[Any] | None) -> bool:
    return (
        value is not None
        and len(value) == 4
        and all(type(v) in (int, float) and abs(v) < np.inf for v in value)
        and min(value[2:]) >= 0
    )


def _masks(
    rows: list[dict[str, Any]],
    image: Int[np.ndarray, " n"],
    gt: LabelMaps,
    place: Callable[[int], str],
    faults: list[str],
) -> tuple[dict[str, Any], ...] | None:
    """Every segmentation as compressed run lengths of its image's size; None where no row has one."""
    values = column(rows, "segmentation", SEGMENTATION, place, faults, default=None, optional=True)
    if rows and not any(values):
        bare = [i for i, row in enumerate(rows) if not row.get("segmentation") and row.get("bbox") is None]
        faults += [f'{place(i)}: has neither "segmentation" nor "bbox"; expected one of them' for i in bare]
        return None
    sizes = {k: _size(gt.maps[k], faults) for k in set(image.tolist()) if k >= 0}
    masks: list[dict[str, Any]] = []
    at: list[int] = []  # row of each mask
    for i, (value, k) in enumerate(zip(values, image.tolist(), strict=True)):
        size = sizes.get(k)
        if not value:
            if not rows[i].get("segmentation"):
                faults.append(f'{place(i)}: has no "segmentation" while others have; expected one in all or none')
        elif size is not None:
            try:
                masks.append(_compressed(value, size))
                at.append(i)
            except ValueError as error:
                faults.append(f'{place(i)}: "segmentation" {error}')

    from panoptic_eval.rle import pixels  # here, as a kernel's module

    for i, mask, sum_ in zip(at, masks, pixels([mask["counts"] for mask in masks]).tolist(), strict=True):
        height, width = mask["size"]
        if sum_ != height * width:
            what = "are malformed" if sum_ < 0 else f"add up to {sum_} pixels"
            faults.append(f"{place(i)}: run lengths {what}; expected {height} * {width} = {height * width} in all")
    return tuple(masks)


def _size(label_map: LabelMap, faults: list[str]) -> Size | None:
    """Height and width of an image: as declared, else from the head of its PNG."""
    if label_map.size is not None:
        return label_map.size
    try:
        with label_map.png.open("rb") as file:
            return png_size(file.read(33))
    except OSError as error:
        faults.append(f"{label_map.png}: cannot be read ({error.strerror}); expected the PNG of an image")
    except PngError as error:
        faults.append(f"{label_map.png}: {error}")
    return None


def _compressed(value: dict[str, Any] | list[Any], size: Size) -> dict[str, Any]:
    """Compressed run lengths of what COCO allows as a segmentation.

    Raises:
        ValueError: it is malformed, or of another size.
    """
    if isinstance(value, dict):
        if value.get("size") != [*size]:
            raise ValueError(f"has size {short(value.get('size'))}; expected {[*size]}, the image's height and width")
        counts = value.get("counts")
        if type(counts) is str:
            return {"size": [*size], "counts": counts.encode()}
        if type(counts) is not list or not all(type(run) is int and 0 <= run <= size[0] * size[1] for run in counts):
            raise ValueError(f"has counts {short(counts)}; expected a string, or run lengths")
        return mask_utils.frPyObjects({"size": [*size], "counts": counts}, *size)  # type: ignore[no-any-return]
    limit = 2 * max(size)  # far beyond the image, drawing a polygon takes for ever
    for polygon in value:
        if type(polygon) is not list or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"has polygon {short(polygon)}; expected a list of x, y, x, y, … of three points or more")
        if not all(type(v) in (int, float) and abs(v) <= limit for v in polygon):
            raise ValueError("has a polygon that leaves the image by far; expected pixels of the image")
    return mask_utils.merge(mask_utils.frPyObjects(value, *size))  # type: ignore[no-any-return]
