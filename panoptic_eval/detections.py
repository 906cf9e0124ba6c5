"""Detections before fusion, which may overlap: COCO results with masks, boxes and scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import image_ids, json_rows
from panoptic_eval.datasets.json_rows import INTEGER, LIST, NUMBER, Kind, column, integers, short
from panoptic_eval.errors import Faults, InputError, PngError
from panoptic_eval.files import open_regular
from panoptic_eval.labels import LabelMap, LabelMaps, some
from panoptic_eval.png import rle
from panoptic_eval.png.container import HEAD, png_size
from panoptic_eval.shapes import Float, Int

SEGMENTATION = Kind((dict, list), "run lengths (size and counts) or a list of polygons")
Size = tuple[int, int]
MAX_COORDINATE = 2**27
"""Largest coordinate of a polygon, pixels: pycocotools multiplies it by five and keeps it in 32 bits."""
MAX_BOX = 2.0**53
"""Largest number in a box, pixels: the area of such a box is finite."""
MAX_DRAWN = 3 * 2**24
"""Pixels of the largest image in which polygons are drawn: in larger ones pycocotools writes beyond its memory."""
MAX_OUTLINE = 2**21
"""Longest outline of all polygons of a mask, pixels: pycocotools takes about 100 bytes for each."""


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
def read(path: Path, gt: LabelMaps, catalogue: Catalogue, faults: Faults) -> Detections:
    """Read COCO results: a list of objects with image_id, category_id, score, and segmentation or bbox or both.

    Args:
        catalogue: gt's, numbered as the file is.
        faults: gets what is wrong with the file; what is returned is of use only if nothing was.

    Raises:
        InputError: not JSON.
    """
    content = json_rows.load(path)
    if type(content) is dict:
        keys = ", ".join(content) or "no keys"
        raise InputError(f"{path}: is an object with {keys}; expected COCO results, a list of detections")
    rows = json_rows.objects(content, str(path), faults)

    number = np.arange(len(rows))

    def place(i: int) -> str:
        return f"{path}: detection {number[i]} (image {short(rows[i].get('image_id'))})"

    image_id = json_rows.image_ids(rows, "image_id", place, faults)
    number = np.flatnonzero(image_id.sound)
    rows = [rows[i] for i in number.tolist()]
    image = image_ids.match([image_id.values[i] for i in number.tolist()], gt.maps, place, faults)
    of_gt = np.flatnonzero(image >= 0)
    number, image = number[of_gt], image[of_gt]
    rows = [rows[i] for i in of_gt.tolist()]

    category_ids = column(rows, "category_id", INTEGER, place, faults, default=0)
    category_id = integers(category_ids.values)
    category = catalogue.index(category_id)
    other = category_ids.sound & ((category < 0) | ~catalogue.isthing[category])
    places = [f"{place(i)}: category_id {category_id[i]}" for i in np.flatnonzero(other).tolist()]
    things = some(catalogue.ids[catalogue.isthing].tolist())
    expected = f"expected a thing category, one of {things}"
    if places and other.all():
        faults.add(f"no detection has the category of a thing; {expected}", places)
    else:
        faults.warn(
            f"[detection has|detections have] no category of things; left out, as by pycocotools; {expected}", places
        )
    kept = np.flatnonzero(~other)
    number, image, category = number[kept], image[kept], category[kept]
    rows = [rows[i] for i in kept.tolist()]

    score = np.array(column(rows, "score", NUMBER, place, faults, default=0).values, np.float64)
    faults.warn(
        "[detection is|detections are] written twice, the same in every field, and [counts|count] twice, as in "
        "pycocotools: AP is lower",
        map(place, _repeated(rows, image, category, score)),
    )
    return Detections(
        image=image,
        category=category,
        score=score,
        box=boxes(rows, place, faults),
        rle=masks(rows, image, lambda k: image_size(gt.maps[k], faults), place, faults),
    )


def _repeated(
    rows: list[dict[str, Any]],
    image: Int[np.ndarray, " n"],
    category: Int[np.ndarray, " n"],
    score: Float[np.ndarray, " n"],
) -> list[int]:
    """List the rows that stood earlier in the file, the same in every field but `id`."""
    order = np.lexsort((score, category, image))
    as_before = np.zeros(len(rows) + 1, bool)
    as_before[1:-1] = np.all([values[order][1:] == values[order][:-1] for values in (image, category, score)], axis=0)
    alike = np.sort(order[as_before[:-1] | as_before[1:]]).tolist()
    texts = [json.dumps({k: v for k, v in rows[i].items() if k != "id"}, sort_keys=True) for i in alike]
    return [alike[i] for i in json_rows.repeated(texts)]


def boxes(rows: list[dict[str, Any]], place: Callable[[int], str], faults: Faults) -> Float[np.ndarray, "n 4"]:
    """Return every bbox: x, y, width, height in pixels; NaN where a row has none."""
    values = column(rows, "bbox", LIST, place, faults, default=None, optional=True).values
    values = [value or None for value in values]  # pycocotools takes an empty list for no box
    given = [value for value in values if value is not None]
    if set(map(len, given)) <= {4} and set(map(type, chain.from_iterable(given))) <= {int, float}:
        box = np.array([[np.nan] * 4 if value is None else value for value in values], np.float64).reshape(-1, 4)
        right = (np.abs(box) <= MAX_BOX).all(axis=1) & (box[:, 2:] >= 0).all(axis=1)
    else:
        box, right = np.empty((len(rows), 4)), np.array([_is_box(value) for value in values])
    faults.add(
        '[detection has|detections have] a malformed "bbox"; expected finite x, y, width, height, no side below 0',
        (f'{place(i)}: "bbox" is {short(values[i])}' for i in np.flatnonzero(~right).tolist() if values[i] is not None),
    )
    return box


def _is_box(value: list[Any] | None) -> bool:
    return (
        value is not None
        and len(value) == 4
        and all(type(v) in (int, float) and abs(v) <= MAX_BOX for v in value)
        and min(value[2:]) >= 0
    )


def masks(
    rows: list[dict[str, Any]],
    image: Int[np.ndarray, " n"],
    size_of: Callable[[int], Size | None],
    place: Callable[[int], str],
    faults: Faults,
) -> tuple[dict[str, Any], ...] | None:
    """Return every segmentation as compressed run lengths of its image's size; None where no row has one.

    Args:
        rows: annotations or results.
        image: index of each row's image.
        size_of: height, width of the image with that index; None where it is unknown, which was told already.
        place: where row i stands, for messages.
        faults: gets what is malformed.
    """
    values = column(rows, "segmentation", SEGMENTATION, place, faults, default=None, optional=True).values
    if rows and not any(values):
        bare = [i for i, row in enumerate(rows) if not row.get("segmentation") and not row.get("bbox")]
        faults.add('[detection has|detections have] neither "segmentation" nor "bbox"; expected one', map(place, bare))
        return None
    sizes = {k: size_of(k) for k in set(image.tolist()) if k >= 0}
    rles: list[dict[str, Any]] = []
    at: list[int] = []  # row of each mask
    for i, (value, k) in enumerate(zip(values, image.tolist(), strict=True)):
        size = sizes.get(k)
        if value is None:
            if rows[i].get("segmentation") is None:
                faults.add(
                    '[detection has|detections have] no "segmentation" while others have; expected one in all or none',
                    place(i),
                )
        elif size is not None:
            if _nowhere(value):
                faults.warn(
                    "[detection has|detections have] a mask of no runs or polygons; taken as empty, as by pycocotools",
                    place(i),
                )
                value = {"size": [*size], "counts": [size[0] * size[1]]}
            try:
                rles.append(compressed(value, size))
                at.append(i)
            except ValueError as error:
                faults.add(
                    '[detection has|detections have] a malformed "segmentation"; expected COCO\'s',
                    f'{place(i)}: "segmentation" {error}',
                )

    for i, mask, sum_ in zip(at, rles, rle.pixels([mask["counts"] for mask in rles]).tolist(), strict=True):
        height, width = mask["size"]
        if sum_ != height * width:
            what = "are malformed" if sum_ < 0 else f"add up to {sum_} pixels"
            faults.add(
                "[mask has|masks have] run lengths that do not fit the image; expected height * width in all",
                f"{place(i)}: run lengths {what}; expected {height} * {width} = {height * width}",
            )
    return tuple(rles)


def _nowhere(value: dict[str, Any] | list[Any]) -> bool:
    return not value if isinstance(value, list) else value.get("counts") in ("", [])


def image_size(label_map: LabelMap, faults: Faults) -> Size | None:
    """Return height and width of an image, from the head of its PNG: what a JSON declares does not count."""
    try:
        with open_regular(label_map.png) as file:
            return png_size(file.read(HEAD))
    except OSError as error:
        faults.add(f"{label_map.png}: cannot be read ({error.strerror or error}); expected the PNG of an image")
    except PngError as error:
        faults.add(f"{label_map.png}: {error}")
    return None


def compressed(value: Mapping[str, Any] | list[Any], size: Size) -> dict[str, Any]:
    """Return the compressed run lengths of what COCO allows as a segmentation: run lengths of both kinds, polygons.

    All that makes pycocotools read beyond its memory, or fill it, is refused; whether compressed run lengths add up to
    the image is for `panoptic_eval.png.rle.pixels` to say.

    Args:
        size: height, width of the image, at most `MAX_PIXELS` in all.

    Raises:
        ValueError: it is malformed, or of another size.
    """
    if isinstance(value, Mapping):
        given = value.get("size")
        if not isinstance(given, (list, tuple)) or list(given) != [*size]:
            raise ValueError(f"has size {short(given)}; expected {[*size]}, the image's height and width")
        counts = value.get("counts")
        if isinstance(counts, (str, bytes)):
            return {"size": [*size], "counts": counts.encode() if isinstance(counts, str) else counts}
        whole = _whole(counts) if isinstance(counts, list) else None
        if whole is None or not all(0 <= run <= size[0] * size[1] for run in whole):
            raise ValueError(f"has counts {short(counts)}; expected a string, or run lengths")
        return rle.compressed(np.array(whole, np.int64), size)
    limit = min(2 * max(size), MAX_COORDINATE)  # far beyond the image, drawing a polygon takes for ever
    around = 0.0
    for polygon in value:
        if type(polygon) is not list or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"has polygon {short(polygon)}; expected a list of x, y, x, y, … of three points or more")
        if not all(type(v) in (int, float) and abs(v) <= limit for v in polygon):
            raise ValueError("has a polygon that leaves the image by far; expected pixels of the image")
        corners = np.array(polygon, float).reshape(-1, 2)
        around += np.abs(corners - np.roll(corners, 1, 0)).max(1).sum()
    if size[0] * size[1] > MAX_DRAWN:
        raise ValueError(f"has polygons in an image of more than {MAX_DRAWN} pixels; expected run lengths")
    if around > MAX_OUTLINE:
        raise ValueError(f"has polygons of {around:.0f} pixels around; expected at most {MAX_OUTLINE}")
    from pycocotools import mask as mask_utils

    return mask_utils.merge(mask_utils.frPyObjects(value, *size))  # type: ignore[no-any-return]


def _whole(values: list[Any]) -> list[int] | None:
    """Return the integers, also where floats are used for them; None if there is anything else."""
    if set(map(type, values)) <= {int}:
        return values
    if not all(type(v) is int or (type(v) is float and v.is_integer()) for v in values):
        return None
    return [int(v) for v in values]
