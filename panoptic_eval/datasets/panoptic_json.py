"""The COCO panoptic format: a JSON that lists the segments of each image, and a folder of PNGs with their ids.

Kirillov et al., "Panoptic Segmentation", CVPR 2019, arXiv 1801.00868; https://cocodataset.org/#format-data. Ground
truths of COCO, Mapillary Vistas and Cityscapes come in it, and so do predictions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from panoptic_eval.categories import Catalogue, Category, rgb, supercategory
from panoptic_eval.datasets import json_rows
from panoptic_eval.datasets.folders import files
from panoptic_eval.datasets.json_rows import FLAG, INTEGER, LIST, NUMBER, STRING, column, integers, short
from panoptic_eval.datasets.png_names import png_paths
from panoptic_eval.errors import Faults, InputError
from panoptic_eval.labels import ImageId, LabelMap, LabelMaps, Listed, some
from panoptic_eval.png.container import MAX_PIXELS
from panoptic_eval.shapes import Bool, Float, Int

MAX_ID = 2**24 - 1
"""The largest id that three 8-bit channels hold."""
MAX_CATEGORY = 2**53
"""The largest category id: every program that reads JSON holds it exactly."""
IsThing = Literal["needed", "optional"]


@dataclass(frozen=True)
class ImageEntry:
    """One entry of `images`."""

    size: tuple[int, int] | None
    """Height, width, pixels; None where not given."""
    file_name: str | None
    """Name of the photograph."""


@dataclass(frozen=True)
class PanopticJson:
    """Content of a COCO panoptic JSON, checked by itself: m annotations (one an image) of n segments, in file order."""

    path: Path
    image_id: tuple[ImageId, ...]
    file_name: tuple[str, ...]
    """PNG of each annotation, relative to the folder."""
    number: tuple[int, ...]
    """Position of each annotation in the file."""
    all_file_names: frozenset[str]
    """PNGs of these annotations and of those that were left out."""
    annotation: Int[np.ndarray, " n"]
    """Index of each segment's annotation, ascending."""
    id: Int[np.ndarray, " n"]
    category_id: Int[np.ndarray, " n"]
    category_sound: Bool[np.ndarray, " n"]
    """False where the category was missing or malformed, which is a fault already."""
    crowd: Bool[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    """NaN where none is given."""
    area: Float[np.ndarray, " n"]
    """-1 where none is given."""
    box: Float[np.ndarray, "n 4"] | None
    """x, y, width, height, pixels; NaN where none is given, or one of another form: no score needs it. None of
    predictions."""
    images: dict[ImageId, ImageEntry]
    """Empty where the file has none."""
    categories: tuple[Category, ...]
    """Each id once; empty where the file has none, or none that is sound."""

    def place(self, annotation: int) -> str:
        """Return where an annotation stands, for messages."""
        return f"{self.path}: annotations[{self.number[annotation]}] (image {short(self.image_id[annotation])})"

    def segment_place(self, row: int) -> str:
        """Return where a segment stands, for messages."""
        return f"{self.place(int(self.annotation[row]))}: segment {self.id[row]}"


Select = Callable[[Sequence[ImageId], Callable[[int], str]], Bool[np.ndarray, " m"]]
"""Which annotations to read, given their image ids and where each one stands."""


@json_rows.collector_paused()
def read(
    path: Path,
    faults: Faults,
    *,
    select: Select | None = None,
    isthing: IsThing = "needed",
    prediction: bool = False,
    category_keys: Sequence[str] = ("category_id",),
) -> PanopticJson:
    """Parse the file and check all that can be seen in it alone.

    Args:
        path: the JSON; or a folder of such files, one an image, as EfficientPS' code writes them.
        faults: gets what is wrong.
        select: which annotations to read; the others may hold anything.
        isthing: whether categories must say what is a thing.
        prediction: whether it is one. Its categories serve as names only, and no tool looks at its iscrowd, area and
            bbox: what is wrong with these is a warning.
        category_keys: names for a segment's category, the first that occurs counts.

    Raises:
        InputError: not JSON, or not of this format at all.
    """
    content = _joined(path) if path.is_dir() else json_rows.load(path)
    if type(content) is not dict or "annotations" not in content:
        keys = (
            f'has no "annotations" among its keys ({", ".join(content)})' if type(content) is dict else short(content)
        )
        raise InputError(f'{path}: {keys}; expected a COCO panoptic JSON, an object with "annotations"')

    rows = json_rows.objects(content["annotations"], f"{path}: annotations", faults)
    if content["annotations"] == []:
        faults.add(f"{path}: annotations is empty; expected an entry for each image")

    def at(i: int) -> str:
        return f"{path}: annotations[{i}] (image {short(rows[i].get('image_id'))})"

    ids = json_rows.image_ids(rows, "image_id", at, faults)
    names = {row["file_name"] for row in rows if type(row.get("file_name")) is str}
    number = _once(rows, ids, at, "annotation of an image|annotations of an image", faults)
    file_name = column([rows[i] for i in number], "file_name", STRING, lambda k: at(number[k]), faults, default="")
    number = [i for i, sound in zip(number, file_name.sound.tolist(), strict=True) if sound]
    if select is not None and number:
        chosen = select([ids.values[i] for i in number], lambda k: at(number[k]))
        number = [i for i, wanted in zip(number, chosen.tolist(), strict=True) if wanted]
    annotations = [rows[i] for i in number]

    def place(k: int) -> str:
        return at(number[k])

    lists = column(annotations, "segments_info", LIST, place, faults, default=[])
    segments, annotation = _flatten(lists.values, place, faults)

    def segment(i: int) -> str:
        return f"{place(int(annotation[i]))}: segment {short(segments[i].get('id'))}"

    id_column = column(segments, "id", INTEGER, segment, faults, default=0)
    segment_ids = integers(id_column.values)
    if again := _again(segments, segment_ids, annotation):
        faults.warn(
            "[segment is|segments are] written twice, the same in every field; taken once", list(map(segment, again))
        )
        first = np.delete(np.arange(len(segments)), again)
        segments, annotation, segment_ids = [segments[i] for i in first], annotation[first], segment_ids[first]
        id_column = json_rows.Column([id_column.values[i] for i in first], id_column.sound[first])
    _check_ids(segment_ids, id_column.sound, annotation, segment, faults, zero_counts=prediction)
    key = next((k for k in category_keys if any(k in s for s in segments)), category_keys[0])
    category = column(segments, key, INTEGER, segment, faults, default=0)
    if not category.sound.all() and any("label_id" in s and key not in s for s in segments):
        faults.add(
            'segments have "label_id" instead of "category_id"; --category-ids says what these count, such as position',
            likely_cause=True,
        )
    crowd, area = _crowd_and_area(segments, segment, faults, matter=not prediction)
    boxes: list[Any] = [s.get("bbox") for s in segments]
    if prediction and not set(map(type, boxes)) <= {list, type(None)}:
        faults.warn(
            '[value of "bbox" is|values of "bbox" are] of another kind; expected a list; ignored',
            (f'{segment(i)}: "bbox" is {short(v)}' for i, v in enumerate(boxes) if not isinstance(v, list | None)),
        )
    score = column(segments, "score", NUMBER, segment, faults, default=np.nan, optional=True).values
    return PanopticJson(
        path=path,
        image_id=tuple(ids.values[i] for i in number),
        file_name=tuple(row["file_name"] for row in annotations),
        number=tuple(number),
        all_file_names=frozenset(names),
        annotation=annotation,
        id=segment_ids,
        category_id=integers(category.values),
        category_sound=category.sound,
        crowd=crowd,
        score=np.array(score, np.float64),
        area=area,
        box=None if prediction else _boxes(boxes),
        images=_images(_list(content, "images"), path, faults),
        categories=_categories(_list(content, "categories"), path, faults, isthing, not prediction),
    )


def _joined(folder: Path) -> dict[str, Any]:
    """Return the annotations and images of all JSONs in a folder as if they stood in one, and the first categories."""
    joined: dict[str, Any] = {"annotations": [], "images": [], "categories": []}
    for path in files(folder, "*.json"):
        content = json_rows.load(path)
        if type(content) is not dict or type(content.get("annotations")) is not list:
            raise InputError(f'{path}: expected a COCO panoptic JSON, an object with a list of "annotations"')
        joined["annotations"] += content["annotations"]
        joined["images"] += content["images"] if type(content.get("images")) is list else []
        joined["categories"] = joined["categories"] or content.get("categories") or []
    return joined


def _crowd_and_area(
    segments: Sequence[dict[str, Any]], place: Callable[[int], str], faults: Faults, *, matter: bool
) -> tuple[Bool[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return whether segments are crowds, and their stated areas, pixels; -1 where none is given.

    Args:
        segments: entries of segments_info.
        place: where segment i stands, for messages.
        faults: gets what is malformed.
        matter: whether it is a fault; else it is a warning, and the value is ignored.
    """
    values = column(segments, "iscrowd", FLAG, place, faults, default=0, optional=True, matters=matter).values
    crowd = integers(values)
    kind = '[segment has|segments have] an "iscrowd" that is neither 0 nor 1; expected 0 or 1'
    places = (f'{place(i)}: "iscrowd" is {crowd[i]}' for i in np.flatnonzero((crowd | 1) != 1).tolist())
    if matter:
        faults.add(kind, places)
    else:
        faults.warn(f"{kind}; ignored", places)
    values = column(segments, "area", NUMBER, place, faults, default=np.nan, optional=True, matters=matter).values
    area = np.array(values, np.float64)
    faults.warn(
        '[segment has|segments have] a negative "area"; ignored, the PNG counts',
        (f'{place(i)}: "area" is {values[i]}' for i in np.flatnonzero(area < 0).tolist()),
    )
    return crowd == 1, np.where(area >= 0, area, -1.0)


def _boxes(values: Sequence[Any]) -> Float[np.ndarray, "n 4"]:
    """Return every bbox that is a list of four numbers; NaN for the others."""
    if not any(values):
        return np.full((len(values), 4), np.nan)
    if set(map(type, values)) == {list} and set(map(len, values)) == {4}:
        numbers = list(itertools.chain.from_iterable(values))
        if set(map(type, numbers)) <= {int, float}:  # as in nearly all files
            return np.array(numbers, np.float64).reshape(-1, 4)
    none = [np.nan] * 4
    numbers = [v if type(v) is list and len(v) == 4 and {*map(type, v)} <= {int, float} else none for v in values]
    return np.array(numbers, np.float64).reshape(-1, 4)


def _list(content: Mapping[str, Any], key: str) -> Any:
    value = content.get(key)
    return [] if value is None else value


def _once(
    rows: Sequence[Mapping[str, Any]],
    ids: json_rows.Column,
    place: Callable[[int], str],
    what: str,
    faults: Faults,
    *,
    first_counts: bool = False,
) -> list[int]:
    """List the rows to read: those with a sound id, each id once. The same row again is a warning.

    Args:
        rows: objects of a list.
        ids: of the rows.
        place: where row i stands, for messages.
        what: names one and several of the rows, for messages.
        faults: gets rows with an id that stood earlier.
        first_counts: whether a row that differs from the first one of its id is a warning, as no score needs it; else a
            fault.
    """
    again = {i: first for i, first in json_rows.repeated(ids.values).items() if ids.sound[i] and ids.sound[first]}
    same = {i for i, first in again.items() if json_rows.same(rows[i], rows[first])}
    faults.warn(f"[{what}] [is|are] written twice, the same in every field; taken once", map(place, sorted(same)))
    other = [f"{place(i)}: there is another already" for i in again if i not in same]
    if first_counts:
        faults.warn(f"[{what}] [differs|differ] from one that the file has already; the first counts", other)
    else:
        faults.add(f"[{what}] [differs|differ] from one that the file has already; expected one", other)
    return [i for i in range(len(rows)) if ids.sound[i] and i not in again]


def _flatten(
    lists: Sequence[list[Any]], place: Callable[[int], str], faults: Faults
) -> tuple[list[dict[str, Any]], Int[np.ndarray, " n"]]:
    """Return all segments, and the index of each one's annotation."""
    segments = list(itertools.chain.from_iterable(lists))
    annotation = np.repeat(np.arange(len(lists)), [len(entries) for entries in lists])
    if not set(map(type, segments)) <= {dict}:
        fit = np.array([type(entry) is dict for entry in segments])
        faults.add(
            "[entry of segments_info is|entries of segments_info are] no object; expected objects",
            (f"{place(int(annotation[i]))}: {short(segments[i])}" for i in np.flatnonzero(~fit).tolist()),
        )
        segments, annotation = [entry for entry in segments if type(entry) is dict], annotation[fit]
    return segments, annotation


def _again(
    segments: Sequence[dict[str, Any]], ids: Int[np.ndarray, " n"], annotation: Int[np.ndarray, " n"]
) -> list[int]:
    """List the segments that stand earlier in their annotation, the same in every field."""
    rows = np.flatnonzero((ids >= 0) & (ids <= MAX_ID))
    _, first, of = np.unique(annotation[rows] * (MAX_ID + 1) + ids[rows], return_index=True, return_inverse=True)
    if len(first) == len(rows):
        return []
    pairs = zip(rows.tolist(), rows[first[of]].tolist(), strict=True)
    return [i for i, earlier in pairs if i != earlier and json_rows.same(segments[i], segments[earlier])]


def _check_ids(
    ids: Int[np.ndarray, " n"],
    sound: Bool[np.ndarray, " n"],
    annotation: Int[np.ndarray, " n"],
    place: Callable[[int], str],
    faults: Faults,
    *,
    zero_counts: bool,
) -> None:
    """Report ids that are void's, do not fit a PNG, or occur twice in their image.

    With `zero_counts`, void's id is a segment's where it is listed, as panopticapi scores predictions: the published
    code of Panoptic-DeepLab gives it to the road of Cityscapes.
    """
    zeros = map(place, np.flatnonzero(sound & (ids == 0)).tolist())
    if zero_counts:
        faults.warn(
            "[segment has|segments have] id 0, which means void where it is not listed; scored as listed", zeros
        )
    else:
        faults.add(f"segment [id|ids] 0 [means|mean] void, the pixels would be lost; expected 1 to {MAX_ID}", zeros)
    outside = (ids < 0) | (ids > MAX_ID)
    faults.add(
        f"segment [id does|ids do] not fit three 8-bit channels; expected 1 to {MAX_ID}",
        map(place, np.flatnonzero(sound & outside).tolist()),
    )
    rows = np.flatnonzero(sound & ~outside & ((ids != 0) | zero_counts))
    _, first = np.unique(annotation[rows] * (MAX_ID + 1) + ids[rows], return_index=True)
    faults.add(
        "segment [id is|ids are] given to a segment of the image already; expected another",
        map(place, np.delete(rows, first).tolist()),
    )


def _images(value: Any, path: Path, faults: Faults) -> dict[ImageId, ImageEntry]:
    entries = json_rows.objects(value, f"{path}: images", faults)

    def place(i: int) -> str:
        return f"{path}: images[{i}] (id {short(entries[i].get('id'))})"

    ids = json_rows.image_ids(entries, "id", place, faults)
    rows = _once(entries, ids, place, "entry of an image|entries of an image", faults, first_counts=True)
    names = column(entries, "file_name", STRING, place, faults, default=None, optional=True).values
    height, width = (
        column(entries, side, INTEGER, place, faults, default=None, optional=True).values
        for side in ("height", "width")
    )
    sizes = [None if h is None or w is None else (h, w) for h, w in zip(height, width, strict=True)]
    faults.add(
        f"image [declares|declare] a size that no PNG has; expected 1 x 1 to {MAX_PIXELS} pixels in all",
        (
            f"{place(i)}: declares {size[1]} x {size[0]} pixels"
            for i, size in enumerate(sizes)
            if size is not None and (min(size) < 1 or size[0] * size[1] > MAX_PIXELS)
        ),
    )
    return {ids.values[i]: ImageEntry(sizes[i], names[i]) for i in rows}


def _categories(value: Any, path: Path, faults: Faults, isthing: IsThing, matter: bool) -> tuple[Category, ...]:
    said = Faults()
    entries = json_rows.objects(value, f"{path}: categories", said)

    def place(i: int) -> str:
        return f"{path}: categories[{i}] (id {short(entries[i].get('id'))})"

    ids = column(entries, "id", INTEGER, place, said, default=0)
    rows = _once(entries, ids, place, "category|categories", said)
    names = column(entries, "name", STRING, place, said, default=None, optional=True).values
    said.warn(
        "[category has|categories have] no name; its id stands for it", (place(i) for i in rows if names[i] is None)
    )
    optional = isthing == "optional" or not matter
    flags = column(entries, "isthing", FLAG, place, said, default=0, optional=optional)
    if not optional:
        said.add(
            '[category has|categories have] an "isthing" that is neither 0 nor 1; expected 0 or 1',
            (f'{place(i)}: "isthing" is {flags.values[i]}' for i in rows if flags.values[i] not in (0, 1)),
        )
    colors = column(entries, "color", LIST, place, said, default=None, optional=True).values
    said.add(
        f"category [id|ids] out of range; expected 0 to {MAX_CATEGORY}",
        (place(i) for i in rows if not 0 <= ids.values[i] <= MAX_CATEGORY),
    )
    if not flags.sound.all():
        said.add('--things says which categories are things where a ground truth has no "isthing"', likely_cause=True)
    if not matter:
        faults.warn(
            f"{path}: its categories are not read",
            (str(fault) for fault in said.faults),
        )
    else:
        faults.extend(said)
    if said:
        return ()
    return tuple(
        Category(
            ids.values[i],
            str(ids.values[i]) if names[i] is None else names[i],
            bool(flags.values[i]),
            rgb(colors[i]),
            supercategory(entries[i].get("supercategory")),
        )
        for i in rows
    )


def check_categories(json: PanopticJson, index: Int[np.ndarray, " n"], known: Sequence[int], faults: Faults) -> None:
    """Add a fault for segments whose category was not found (index -1)."""
    unknown = np.flatnonzero((index < 0) & json.category_sound).tolist()
    faults.add(
        f"[segment has|segments have] a category_id that is in no category; expected one of {some(known)}",
        (f"{json.segment_place(i)}: category_id {json.category_id[i]}" for i in unknown),
    )


def locate_pngs(json: PanopticJson, folder: Path, option: str, faults: Faults) -> tuple[Path, ...]:
    """Return the PNG of each annotation.

    Args:
        option: of the command line that gives the folder, for messages.
        faults: gets those that are missing or lie outside the folder.
    """
    if folder.is_dir():
        return png_paths(json.file_name, folder, json.place, faults)
    faults.add(f"{json.path}: its PNGs are not in {folder}; expected that folder, or {option} to give another")
    return tuple(folder / name for name in json.file_name)


def ground_truth(
    path: Path,
    folder: Path,
    *,
    source: str,
    photograph: Callable[[ImageId, str | None], Path | None],
    catalogue: Catalogue | None = None,
    isthing: IsThing = "needed",
) -> LabelMaps:
    """Read a panoptic JSON as a ground truth, its images in the order of `images`, or else of `annotations`.

    Args:
        path: the JSON.
        folder: holds its PNGs.
        source: for people.
        photograph: from image id and `file_name` of the photograph to its path.
        catalogue: taken where the file has no `categories`.
        isthing: whether categories must say what is a thing.

    Raises:
        InputError: everything that is wrong with it.
    """
    faults = Faults()
    json = read(path, faults, isthing=isthing)
    if json.categories:
        catalogue = Catalogue(json.categories)
    if catalogue is None:
        faults.add(f'{path}: has no sound "categories"; expected id, name and isthing of each category')
        category = json.category_id
    else:
        category = catalogue.index(json.category_id)
        check_categories(json, category, catalogue.ids.tolist(), faults)
    pngs = locate_pngs(json, folder, "--gt-folder", faults)
    annotation_of = {id_: i for i, id_ in enumerate(json.image_id)}
    faults.warn(
        "[image has|images have] no annotation; left out, as nothing is known about [it|them]",
        (f"{path}: image {short(id_)}" for id_ in json.images if id_ not in annotation_of),
    )
    if json.images:
        faults.warn(
            '[annotation is|annotations are] of an image that "images" does not list; scored all the same',
            (json.place(i) for i, id_ in enumerate(json.image_id) if id_ not in json.images),
        )
    if catalogue is None:
        faults.check()
    assert catalogue is not None  # else there is a fault

    ids = [*(id_ for id_ in json.images if id_ in annotation_of), *(i for i in json.image_id if i not in json.images)]
    entries = [json.images.get(id_, ImageEntry(None, None)) for id_ in ids]
    maps = tuple(
        LabelMap(id_, pngs[annotation_of[id_]], entry.size, photograph(id_, entry.file_name))
        for id_, entry in zip(ids, entries, strict=True)
    )
    position = np.empty(len(maps), np.int64)
    position[[annotation_of[id_] for id_ in ids]] = np.arange(len(maps))
    image = position[json.annotation]
    order = np.argsort(image, kind="stable")
    listed = Listed(image, json.id, category, json.crowd, json.score, json.area, json.box).take(order)
    read_maps = LabelMaps(source, catalogue, maps, listed, faults.oddities)
    faults.check(read=read_maps)
    return read_maps
