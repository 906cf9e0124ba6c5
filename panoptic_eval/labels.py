"""One side of an evaluation: a label PNG an image, and what the ids in it mean."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from panoptic_eval.categories import Catalogue

ImageId = int | str
"""As the files give it: COCO's are integers, the others' strings; 7 and "7" are two images."""


@dataclass(frozen=True)
class LabelMap:
    """Where one image's ids are."""

    image_id: ImageId
    png: Path
    size: tuple[int, int] | None = None
    """Height, width as declared beside the PNG (JSON); None where nothing declares it."""
    photograph: Path | None = None
    """The image itself, for training and pictures; None where it is not known. Not checked to exist."""


@dataclass(frozen=True)
class Listed:
    """Segments that a JSON lists, in its order (which decides ties between equal scores)."""

    image: Int[np.ndarray, " n"]
    """Index into the maps, ascending."""
    id: Int[np.ndarray, " n"]
    """As in the PNG; unique within an image, never 0."""
    category: Int[np.ndarray, " n"]
    """Index into the catalogue."""
    crowd: Bool[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    """Finite, larger is surer; NaN where none is given."""
    area: Int[np.ndarray, " n"]
    """As stated, for comparison with what the PNG holds; -1 where not stated."""


@dataclass(frozen=True)
class Encoded:
    """Ids that carry their category: `id // divisor` (if `bare` the id itself when below the divisor), or a channel."""

    layout: Literal["divided", "two_channel"]
    """divided: category * divisor + instance; two_channel: red is the category, green the instance, blue 0."""
    divisor: int
    """256 for Mapillary Vistas, 1000 for Cityscapes and IDD; unused by two_channel."""
    bare: bool
    """An id below the divisor is a category without instance number (Cityscapes, IDD, predictions), not category 0."""
    category: Int[np.ndarray, " k"]
    """Catalogue index of each encoded category 0..k-1; -1 void, -2 not to be found here. Beyond k: not to be found."""
    crowd_groups: bool
    """A thing category without instance number is a crowd (Cityscapes and IDD ground truth)."""


@dataclass(frozen=True)
class LabelMaps:
    """All images of one side, in the order of their file, and what ids mean in them."""

    source: str
    """What was recognized, for people: "Mapillary Vistas v1.2, validation, panoptic_2018.json"."""
    catalogue: Catalogue
    maps: tuple[LabelMap, ...]
    meaning: Listed | Encoded


@dataclass(frozen=True)
class Meaning:
    """What ids mean, one row an id: the arrays run along the ids that were asked for."""

    segment: Int[np.ndarray, " n"]
    """int64, the id itself; -1 void."""
    category: Int[np.ndarray, " n"]
    """int32 index into the catalogue; -1 void."""
    crowd: Bool[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    """NaN where none is given."""
    stated_area: Int[np.ndarray, " n"]
    """-1 where not stated."""
    rank: Int[np.ndarray, " n"]
    """Orders the segments of an image: the position in the JSON, else the id; -1 void."""


def resolve(
    maps: LabelMaps, image: Int[np.ndarray, " n"], ids: Int[np.ndarray, " n"]
) -> tuple[Meaning, tuple[str, ...]]:
    """What the ids that were counted in the PNGs mean, and what is wrong with them.

    Args:
        maps: the side.
        image: index into `maps.maps` of each id, ascending.
        ids: as stored in the PNG, each once an image; every id of these images that has a pixel.

    Returns:
        The meaning, and the faults: an id without JSON entry, a JSON entry without pixels (of an image that `image`
        names), an encoded category that does not exist; each names the file, the image and the id.
    """
    image, ids = np.asarray(image, np.int64), np.asarray(ids, np.int64)
    if isinstance(maps.meaning, Listed):
        return _resolve_listed(maps, maps.meaning, image, ids)
    return _resolve_encoded(maps, maps.meaning, image, ids)


def _resolve_listed(
    maps: LabelMaps, listed: Listed, image: Int[np.ndarray, " n"], ids: Int[np.ndarray, " n"]
) -> tuple[Meaning, tuple[str, ...]]:
    """Looks each (image, id) up in the JSON's entries, both as one integer that sorts like the two."""
    rows = np.flatnonzero(np.isin(listed.image, image))
    key, wanted = _key(listed.image[rows], listed.id[rows]), _key(image, ids)
    order = np.argsort(key)
    at = np.searchsorted(key[order], wanted)
    found = np.append(key[order], -1)[at] == wanted
    row = np.where(found, np.append(rows[order], -1)[at], -1)

    unlisted = ~found & (ids != 0)
    seen = np.zeros(len(listed.id), bool)
    seen[row[found]] = True
    unseen = rows[~seen[rows]]
    faults = [
        _fault(maps, i, f"has pixels of id {id_}, which the JSON does not list; expected it in segments_info, or 0")
        for i, id_ in zip(image[unlisted], ids[unlisted], strict=True)
    ] + [
        _fault(maps, i, f"has no pixel of id {id_}, which the JSON lists; expected at least one, or no such entry")
        for i, id_ in zip(listed.image[unseen], listed.id[unseen], strict=True)
    ]
    meaning = Meaning(  # row -1 is the value appended for void
        segment=np.where(found, ids, -1),
        category=np.append(listed.category, -1)[row].astype(np.int32),
        crowd=np.append(listed.crowd, False)[row],
        score=np.append(listed.score, np.nan)[row],
        stated_area=np.append(listed.area, -1)[row],
        rank=np.where(found, row - np.searchsorted(listed.image, image), -1),
    )
    return meaning, tuple(faults)


def _resolve_encoded(
    maps: LabelMaps, encoded: Encoded, image: Int[np.ndarray, " n"], ids: Int[np.ndarray, " n"]
) -> tuple[Meaning, tuple[str, ...]]:
    """Takes each id apart into category and instance number."""
    code, bare = split_ids(encoded, ids)
    table = np.append(encoded.category, -2)
    category = table[np.minimum(code, len(table) - 1)]
    if encoded.layout == "two_channel":
        category = np.where(ids >= 1 << 16, -2, category)
    unknown = category == -2
    known = some(np.flatnonzero(encoded.category >= 0).tolist())
    faults = tuple(
        _fault(maps, i, f"has pixels of id {id_}, which says category {c}; expected one of {known}")
        for i, id_, c in zip(image[unknown], ids[unknown], code[unknown], strict=True)
    )
    category = np.maximum(category, -1)

    isthing = np.append(maps.catalogue.isthing, False)[category]
    segment = np.where(category < 0, -1, ids)  # each id is a segment, of stuff too: as if it had been converted to COCO
    meaning = Meaning(
        segment=segment,
        category=category.astype(np.int32),
        crowd=isthing & bare & encoded.crowd_groups,
        score=np.full(len(ids), np.nan),
        stated_area=np.full(len(ids), -1),
        rank=segment,
    )
    return meaning, faults


def split_ids(encoded: Encoded, ids: Int[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """The category number that each id carries, and whether it carries no instance number.

    >>> cityscapes = Encoded("divided", 1000, True, np.arange(34), True)
    >>> [part.tolist() for part in split_ids(cityscapes, np.array([23, 26, 26004]))]
    [[23, 26, 26], [True, True, False]]
    """
    if encoded.layout == "two_channel":
        return ids & 0xFF, ids < 256
    quotient = ids // encoded.divisor
    bare = (quotient == 0) & encoded.bare
    return np.where(bare, ids, quotient), bare


def _key(image: Int[np.ndarray, " n"], value: Int[np.ndarray, " n"] | int) -> Int[np.ndarray, " n"]:
    """Image and value (0 to 2**32) as one integer that sorts like the two."""
    return (image.astype(np.int64) << 33) + value


def some(values: Sequence[int]) -> str:
    """Numbers in a message: a few of them where there are many.

    >>> some([7, 4, 9]), some(range(1, 134))
    ('7, 4, 9', '1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …, 133')
    """
    return ", ".join(map(str, values if len(values) < 20 else [*values[:10], "…", values[-1]]))


def _fault(maps: LabelMaps, image: int, what: str) -> str:
    where = maps.maps[image]
    return f"{where.png}: image {where.image_id!r} {what}"


def other_type(image_id: ImageId, known: Container[ImageId]) -> str:
    """Says so if an unknown image id is known with the other type; else empty.

    >>> other_type("7", {7})
    'the image id is the string "7", which elsewhere is the integer 7'
    """
    if isinstance(image_id, str) and image_id.isdecimal() and int(image_id) in known:
        return f'the image id is the string "{image_id}", which elsewhere is the integer {int(image_id)}'
    if isinstance(image_id, int) and str(image_id) in known:
        return f'the image id is the integer {image_id}, which elsewhere is the string "{image_id}"'
    return ""
