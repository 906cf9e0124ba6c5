"""The COCO panoptic format: a JSON that lists the segments of each image, and a folder of PNGs with their ids.

Kirillov et al., "Panoptic Segmentation", CVPR 2019; https://cocodataset.org/#format-data. Ground truths of COCO,
Mapillary Vistas and Cityscapes come in it, and so do predictions.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import json_rows
from panoptic_eval.datasets.json_rows import (
    FLAG,
    INTEGER,
    LIST,
    NUMBER,
    REPORTED,
    STRING,
    column,
    integers,
    short,
)
from panoptic_eval.errors import InputError
from panoptic_eval.labels import ImageId, LabelMap, LabelMaps, Listed, other_type, some

MAX_ID = 2**24 - 1
"""The largest id that three 8-bit channels hold."""


@dataclass(frozen=True)
class ImageEntry:
    """One entry of `images`."""

    size: tuple[int, int] | None
    """Height, width, pixels; None where not given."""
    file_name: str | None
    """Of the photograph."""


@dataclass(frozen=True)
class PanopticJson:
    """What such a JSON says, checked by itself only: m annotations (one an image) of n segments, in file order."""

    path: Path
    image_id: tuple[ImageId, ...]
    file_name: tuple[str, ...]
    """PNG of each annotation, relative to the folder."""
    annotation: Int[np.ndarray, " n"]
    """Index of each segment's annotation, ascending."""
    id: Int[np.ndarray, " n"]
    category_id: Int[np.ndarray, " n"]
    crowd: Bool[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    """NaN where none is given."""
    area: Int[np.ndarray, " n"]
    """-1 where none is given."""
    images: dict[ImageId, ImageEntry]
    """Empty where the file has none."""
    categories: tuple[Category, ...]
    """Each id once; empty where the file has none, or none that is sound."""

    def place(self, annotation: int) -> str:
        """Where an annotation stands, for messages."""
        return f"{self.path}: annotations[{annotation}] (image {short(self.image_id[annotation])})"

    def segment_place(self, row: int) -> str:
        """Where a segment stands, for messages."""
        return f"{self.place(int(self.annotation[row]))}: segment {self.id[row]}"


@json_rows.collector_paused()
def read(path: Path, faults: list[str]) -> PanopticJson:
    """Parses the file and checks all that can be seen in it alone; what is wrong is added to `faults`.

    Raises:
        InputError: not JSON, or not of this format at all.
    """
    content = json_rows.load(path)
    if type(content) is not dict or "annotations" not in content:
        keys = (
            f'has no "annotations" among its keys ({", ".join(content)})' if type(content) is dict else short(content)
        )
        raise InputError(f'{path}: {keys}; expected a COCO panoptic JSON, an object with "annotations"')

    before = len(faults)
    annotations = json_rows.objects(content["annotations"], f"{path}: annotations", faults)
    if not annotations and len(faults) == before:
        faults.append(f"{path}: annotations is empty; expected an entry for each image")

    def place(i: int) -> str:
        return f"{path}: annotations[{i}] (image {short(annotations[i].get('image_id'))})"

    image_id = column(annotations, "image_id", json_rows.IMAGE_ID, place, faults, default="")
    faults += [
        f"{place(i)}: the image has an annotation already; expected one an image"
        for i in json_rows.repeated(image_id)
        if "image_id" in annotations[i]
    ]
    file_name = column(annotations, "file_name", STRING, place, faults, default="")
    lists = column(annotations, "segments_info", LIST, place, faults, default=[])
    segments, annotation = _flatten(lists, place, faults)

    def segment(i: int) -> str:
        return f"{place(annotation[i])}: segment {short(segments[i].get('id'))}"

    ids = integers(column(segments, "id", INTEGER, segment, faults, default=REPORTED))
    faults += _id_faults(ids, annotation, segment)
    category_id = integers(column(segments, "category_id", INTEGER, segment, faults, default=REPORTED))
    crowd = integers(column(segments, "iscrowd", FLAG, segment, faults, default=0, optional=True))
    faults += [
        f'{segment(i)}: "iscrowd" is {crowd[i]}; expected 0 or 1' for i in np.flatnonzero((crowd | 1) != 1).tolist()
    ]
    area = np.array(column(segments, "area", NUMBER, segment, faults, default=-1, optional=True), np.float64)
    score = np.array(column(segments, "score", NUMBER, segment, faults, default=np.nan, optional=True), np.float64)
    return PanopticJson(
        path=path,
        image_id=tuple(image_id),
        file_name=tuple(file_name),
        annotation=annotation,
        id=ids,
        category_id=category_id,
        crowd=crowd == 1,
        score=score,
        area=np.rint(np.clip(area, -(2**53), 2**53)).astype(np.int64),
        images=_images(content.get("images", []), path, faults),
        categories=_categories(content.get("categories", []), path, faults),
    )


def _flatten(
    lists: Sequence[list[Any]], place: Callable[[int], str], faults: list[str]
) -> tuple[list[dict[str, Any]], Int[np.ndarray, " n"]]:
    """All segments, and the index of each one's annotation."""
    segments = list(itertools.chain.from_iterable(lists))
    annotation = np.repeat(np.arange(len(lists)), [len(entries) for entries in lists])
    if not set(map(type, segments)) <= {dict}:
        fit = np.array([type(entry) is dict for entry in segments])
        faults += [
            f"{place(annotation[i])}: segments_info holds {short(segments[i])}; expected objects"
            for i in np.flatnonzero(~fit).tolist()
        ]
        segments, annotation = [entry for entry in segments if type(entry) is dict], annotation[fit]
    return segments, annotation


def _id_faults(ids: Int[np.ndarray, " n"], annotation: Int[np.ndarray, " n"], place: Callable[[int], str]) -> list[str]:
    """Ids that are void's, do not fit a PNG, or occur twice in their image."""
    outside = (ids != REPORTED) & ((ids < 1) | (ids > MAX_ID))
    faults = [
        f"{place(i)}: id 0 means void, its pixels would be lost; expected 1 to {MAX_ID}"
        if ids[i] == 0
        else f"{place(i)}: the id does not fit three 8-bit channels; expected 1 to {MAX_ID}"
        for i in np.flatnonzero(outside).tolist()
    ]
    rows = np.flatnonzero((ids != REPORTED) & ~outside)
    _, first = np.unique(annotation[rows] * (MAX_ID + 1) + ids[rows], return_index=True)
    again = np.delete(rows, first).tolist()
    return faults + [
        f"{place(i)}: the id was given to a segment of this image already; expected another" for i in again
    ]


def _images(value: Any, path: Path, faults: list[str]) -> dict[ImageId, ImageEntry]:
    entries = json_rows.objects(value, f"{path}: images", faults)

    def place(i: int) -> str:
        return f"{path}: images[{i}] (id {short(entries[i].get('id'))})"

    ids = column(entries, "id", json_rows.IMAGE_ID, place, faults, default="")
    faults += [
        f"{place(i)}: the id was given to an image already; expected another"
        for i in json_rows.repeated(ids)
        if "id" in entries[i]
    ]
    names = column(entries, "file_name", STRING, place, faults, default=None, optional=True)
    height, width = (
        column(entries, side, INTEGER, place, faults, default=None, optional=True) for side in ("height", "width")
    )
    sizes = [None if h is None or w is None else (h, w) for h, w in zip(height, width, strict=True)]
    faults += [
        f"{place(i)}: declares {size[1]} x {size[0]} pixels; expected at least 1 x 1"
        for i, size in enumerate(sizes)
        if size is not None and min(size) < 1
    ]
    return {id_: ImageEntry(size, name) for id_, size, name in zip(ids, sizes, names, strict=True)}


def _categories(value: Any, path: Path, faults: list[str]) -> tuple[Category, ...]:
    entries = json_rows.objects(value, f"{path}: categories", faults)

    def place(i: int) -> str:
        return f"{path}: categories[{i}] (id {short(entries[i].get('id'))})"

    before = len(faults)
    ids = column(entries, "id", INTEGER, place, faults, default=REPORTED)
    names = column(entries, "name", STRING, place, faults, default="")
    isthing = column(entries, "isthing", FLAG, place, faults, default=0)
    colors = column(entries, "color", LIST, place, faults, default=None, optional=True)
    if len(faults) > before:
        return ()
    faults += [f"{place(i)}: the id is negative; expected 0 or more" for i, id_ in enumerate(ids) if id_ < 0]
    faults += [f"{place(i)}: the id was given to a category already; expected another" for i in json_rows.repeated(ids)]
    by_id = {
        id_: Category(id_, name, bool(thing), tuple(color) if color else None)
        for id_, name, thing, color in zip(ids, names, isthing, colors, strict=True)
    }
    return tuple(by_id.values())


def png_paths(json: PanopticJson, folder: Path, faults: list[str]) -> tuple[Path, ...]:
    """The PNG of each annotation; one that is missing, or lies outside the folder, is added to `faults`."""
    if not folder.is_dir():
        faults.append(f"{json.path}: its PNGs are not in {folder}; expected that folder")
        return tuple(folder / name for name in json.file_name)
    with os.scandir(folder) as entries:
        present = {entry.name for entry in entries}
    for i, name in enumerate(json.file_name):
        if name in present or name == "":  # without a name: reported already
            continue
        if not inside(folder, folder / name):
            faults.append(f"{json.place(i)}: file_name {short(name)} leaves the folder {folder}; expected a file in it")
        elif not (folder / name).is_file():
            faults.append(f"{json.place(i)}: {folder / name} does not exist; expected the PNG of this image")
    return tuple(folder / name for name in json.file_name)


def inside(folder: Path, path: Path) -> bool:
    """By the text of the paths: where a link inside the folder leads is the affair of whoever put it there."""
    return Path(os.path.relpath(path, folder)).parts[:1] != (os.pardir,)


def category_faults(json: PanopticJson, index: Int[np.ndarray, " n"], known: Sequence[int]) -> list[str]:
    """Segments whose category was not found (index -1)."""
    unknown = np.flatnonzero((index < 0) & (json.category_id != REPORTED)).tolist()
    expected = some(known)
    return [
        f"{json.segment_place(i)}: category_id {json.category_id[i]} is in no category; expected one of {expected}"
        for i in unknown
    ]


def ground_truth(
    path: Path,
    folder: Path,
    *,
    source: str,
    photograph: Callable[[ImageId, str | None], Path | None],
    catalogue: Catalogue | None = None,
) -> LabelMaps:
    """Such a JSON as a ground truth, its images in the order of `images` (of `annotations` where there are none).

    Args:
        photograph: from image id and `file_name` of the photograph to its path.
        catalogue: taken where the file has no `categories`.

    Raises:
        InputError: everything that is wrong with it.
    """
    faults: list[str] = []
    json = read(path, faults)
    if json.categories:
        catalogue = Catalogue(json.categories)
    if catalogue is None:
        faults.append(f'{path}: has no sound "categories"; expected id, name and isthing of each category')
        category = json.category_id
    else:
        category = catalogue.index(json.category_id)
        faults += category_faults(json, category, catalogue.ids.tolist())
    pngs = png_paths(json, folder, faults)
    annotation_of = {id_: i for i, id_ in enumerate(json.image_id)}
    images = json.images or {id_: ImageEntry(None, None) for id_ in json.image_id}
    faults += [
        f"{json.place(i)}: {other_type(id_, images) or 'the image is not in images'}; expected an image that is"
        for i, id_ in enumerate(json.image_id)
        if id_ not in images and id_ != ""
    ]
    faults += [
        f"{path}: image {short(id_)} has no annotation; expected one for each image"
        for id_ in images
        if id_ not in annotation_of and id_ != ""
    ]
    if faults or catalogue is None:
        raise InputError(faults)

    maps = tuple(
        LabelMap(id_, pngs[annotation_of[id_]], entry.size, photograph(id_, entry.file_name))
        for id_, entry in images.items()
    )
    position = np.empty(len(maps), np.int64)
    position[[annotation_of[id_] for id_ in images]] = np.arange(len(maps))
    image = position[json.annotation]
    order = np.argsort(image, kind="stable")
    listed = Listed(image, json.id, category, json.crowd, json.score, json.area)
    return LabelMaps(source, catalogue, maps, Listed(**{k: v[order] for k, v in vars(listed).items()}))
