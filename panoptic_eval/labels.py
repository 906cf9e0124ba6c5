"""One side of an evaluation: a label PNG an image, and what the ids in it mean."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from panoptic_eval.categories import Catalogue
from panoptic_eval.errors import Fault, Faults
from panoptic_eval.shapes import Bool, Float, Int

ImageId = int | str
"""As the files give it: COCO's are integers, the others' strings; 7 and "7" are two images."""


@dataclass(frozen=True)
class LabelMap:
    """Files of one image: the PNG of its ids, the photograph."""

    image_id: ImageId
    png: Path
    size: tuple[int, int] | None = None
    """Height, width as declared beside the PNG (JSON); None where nothing declares it."""
    photograph: Path | None = None
    """The image itself, for training and pictures; None where it is not known. Not checked to exist."""
    content: Callable[[], bytes] | None = None
    """Makes the PNG where no file holds it; `png` is then the file that it is made from."""


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
    area: Float[np.ndarray, " n"]
    """As stated, for comparison with what the PNG holds; -1 where not stated."""
    box: Float[np.ndarray, "n 4"] | None = None
    """x, y, width, height in pixels as stated, NaN where not stated; None where nobody asked."""

    def take(self, rows: Int[np.ndarray, " m"]) -> Listed:
        """Select segments, in the order given."""
        given = {name: values[rows] for name, values in vars(self).items() if values is not None}
        return Listed(**given)


@dataclass(frozen=True)
class Encoded:
    """Ids that carry their category: `id // divisor` (if `bare` the id itself when below the divisor), or a channel."""

    layout: Literal["divided", "channels"]
    """divided: category * divisor + instance; channels: red is the category, green and blue are the instance."""
    divisor: int
    """256 for Mapillary Vistas, 1000 for Cityscapes and IDD; unused by channels."""
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
    """Name of what was recognized, for people: "Mapillary Vistas v1.2, validation, panoptic_2018.json"."""
    catalogue: Catalogue
    maps: tuple[LabelMap, ...]
    meaning: Listed | Encoded
    oddities: tuple[Fault, ...] = ()
    """What is odd about its files, and what was done with it."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Oddities, a line each."""
        return tuple(map(str, self.oddities))


VOID, UNLISTED = -1, -2
"""Rows of `resolve` for ids that are no segment: void; not in the JSON, of a ground truth."""
WHITE = 2**24 - 1
"""Id of white pixels: what -1 becomes when it is written as a color."""
MINUS_ONE = (2**8 - 1, 2**16 - 1, WHITE)
"""Ids that -1 becomes when it is written with 8, 16 or 24 bits."""


def resolve(
    maps: LabelMaps,
    image: Int[np.ndarray, " n"],
    ids: Int[np.ndarray, " n"],
    faults: Faults,
    *,
    predicted: bool = False,
) -> tuple[Listed, Int[np.ndarray, " n"]]:
    """Look up what the ids that were counted in the PNGs mean.

    Args:
        maps: the side.
        image: index into `maps.maps` of each id, in any order.
        ids: as stored in the PNG, each once an image; every id of these images that has a pixel.
        faults: gets ids without JSON entry, JSON entries without pixels (of an image that `image` names) and encoded
            categories that do not exist. In a ground truth the first two are warnings, as in panopticapi.
        predicted: whether it is a prediction.

    Returns:
        The segments of these images, and each id's row in them: VOID or UNLISTED where there is none.
    """
    image, ids = np.asarray(image, np.int64), np.asarray(ids, np.int64)
    if isinstance(maps.meaning, Encoded):
        return _resolve_encoded(maps, maps.meaning, image, ids, predicted, faults)
    listed = maps.meaning
    row = find_segments(listed.image, listed.id, image, ids)
    row = np.where(row >= 0, row, np.where(ids == 0, VOID, UNLISTED))
    if predicted:
        white = (row < 0) & (ids == WHITE)
        row[white] = VOID
        faults.warn(
            f"[image has|images have] white pixels (id {WHITE}), as -1 gives; taken as void",
            (_place(maps, i) for i in image[white].tolist()),
        )
    unlisted = row == UNLISTED
    seen = marked(row[row >= 0], len(listed.id))
    images = len(maps.maps)
    unseen = np.flatnonzero(marked(image, images)[listed.image] & ~seen)
    lists, is_seen = marked(listed.image, images), marked(listed.image[seen], images)
    strange = np.flatnonzero(marked(image[unlisted], images) & lists & ~is_seen)
    _report(maps, listed, image, ids, np.flatnonzero(unlisted), unseen, strange, predicted, faults)
    return listed, row


def marked(index: Int[np.ndarray, " n"], size: int) -> Bool[np.ndarray, " size"]:
    """Tell which of the indices 0 to size - 1 occur.

    >>> marked(np.array([2, 0, 2]), 4).tolist()
    [True, False, True, False]
    """
    occurs = np.zeros(size, bool)
    occurs[index] = True
    return occurs


def find_segments(
    image: Int[np.ndarray, " s"],
    id_: Int[np.ndarray, " s"],
    wanted_image: Int[np.ndarray, " n"],
    wanted_id: Int[np.ndarray, " n"],
) -> Int[np.ndarray, " n"]:
    """Look ids of images up among segments, of which `image` and `id_` are given; -1 where there is no such segment."""
    key, wanted = (image << 33) + id_, (wanted_image << 33) + wanted_id  # integers that sort like the two
    order = np.argsort(key)
    position = np.searchsorted(key[order], wanted)
    return np.where(np.append(key[order], -1)[position] == wanted, np.append(order, -1)[position], -1)


def _report(
    maps: LabelMaps,
    listed: Listed,
    image: Int[np.ndarray, " n"],
    ids: Int[np.ndarray, " n"],
    unlisted: Int[np.ndarray, " u"],
    unseen: Int[np.ndarray, " v"],
    strange: Int[np.ndarray, " i"],
    predicted: bool,
    faults: Faults,
) -> None:
    """Report ids without entry, entries without pixels, and images all of whose entries are without pixels."""
    without_entry = (f"{_place(maps, image[k])}: id {ids[k]}" for k in unlisted.tolist())
    without_pixels = (f"{_place(maps, listed.image[k])}: id {listed.id[k]}" for k in unseen.tolist())
    faults.add(
        "[PNG has|PNGs have] none of the ids that the JSON lists, but others; expected the PNG of the same image",
        (_place(maps, i) for i in strange.tolist()),
        likely_cause=True,
    )
    if predicted:
        faults.add(
            "[id has|ids have] pixels, but the JSON does not list [it|them]; expected [it|them] in segments_info, or 0",
            without_entry,
        )
        faults.add(
            "[segment that the JSON lists has|segments that the JSON lists have] no pixel; expected at least one, or "
            "no such entry",
            without_pixels,
        )
    else:
        faults.warn(
            "[id has|ids have] pixels in the ground truth, but the JSON does not list [it|them]; neither void nor a "
            "segment, as in panopticapi",
            without_entry,
        )
        faults.warn(
            "[segment of the ground truth has|segments of the ground truth have] no pixel; left out (protocol "
            "panopticapi counts [a false negative|false negatives])",
            without_pixels,
        )


def _resolve_encoded(
    maps: LabelMaps,
    encoded: Encoded,
    image: Int[np.ndarray, " n"],
    ids: Int[np.ndarray, " n"],
    predicted: bool,
    faults: Faults,
) -> tuple[Listed, Int[np.ndarray, " n"]]:
    """Take each id apart into category and instance number; each is a segment, of stuff, too."""
    code, bare = split_ids(encoded, ids)
    table = np.append(encoded.category, -2)
    category = table[np.minimum(code, len(table) - 1)]
    unknown = category == -2
    minus_one = unknown & np.isin(ids, MINUS_ONE) & predicted
    faults.warn(
        "[id is|ids are] what -1 gives when it is written, and no category; taken as void",
        (f"{_place(maps, i)}: id {id_}" for i, id_ in zip(image[minus_one], ids[minus_one], strict=True)),
    )
    unknown &= ~minus_one
    known = some(np.flatnonzero(encoded.category >= 0).tolist())
    faults.add(
        f"[id says|ids say] a category that does not exist; expected one of {known}",
        (
            f"{_place(maps, i)}: id {id_} says category {c}"
            for i, id_, c in zip(image[unknown], ids[unknown], code[unknown], strict=True)
        ),
    )
    divided = encoded.layout == "divided" and encoded.divisor > 1  # semantic maps have no instances to divide off
    given = ~np.isin(ids, (0, *MINUS_ONE))
    mostly_void = 2 * (category[given] >= 0).sum() < given.sum()
    if predicted and divided and (unknown.any() or mostly_void) and (fits := _other_layout(maps.catalogue, ids[given])):
        if unknown.any():
            faults.add(f"most ids of the pixels would be categories with {fits}", likely_cause=True)
        else:
            faults.warn(f"most ids of the pixels say a category that is not scored, and would say one with {fits}")
    if unknown.any() and predicted and encoded.layout == "channels":
        faults.add(
            "colored PNGs without JSON are read as category in red, instance in green and blue; if colors are ids "
            "(R + 256 G + 65536 B), a panoptic JSON is missing that says what they mean",
            likely_cause=True,
        )
    solid = np.flatnonzero(category >= 0)
    solid = solid[np.lexsort((ids[solid], image[solid]))]
    row = np.full(len(ids), VOID)
    row[solid] = np.arange(len(solid))
    listed = Listed(
        image=image[solid],
        id=ids[solid],
        category=category[solid],
        crowd=maps.catalogue.isthing[category[solid]] & bare[solid] & encoded.crowd_groups,
        score=np.full(len(solid), np.nan),
        area=np.full(len(solid), -1.0),
    )
    return listed, row


def _other_layout(catalogue: Catalogue, ids: Int[np.ndarray, " n"]) -> str:
    """Name the options that read ids so that nearly all say a category; empty if none does."""
    fit = [
        options
        for options, category in readings(catalogue, ids).items()
        if len(np.unique(category)) > 1 and (category >= 0).mean() >= 0.9  # not if all ids are below the divisor
    ]
    return " or ".join(fit)


def readings(catalogue: Catalogue, ids: Int[np.ndarray, " n"]) -> dict[str, Int[np.ndarray, " n"]]:
    """Read ids in the usual ways: catalogue index of the category that each says, by the options; -1 for none."""
    code = np.where(ids < 1000, ids, ids // 1000)
    return {
        "--divisor 256 --category-ids label": catalogue.index(ids // 256 + 1),  # Mapillary's own files
        "--divisor 256": catalogue.index(ids // 256),
        "--divisor 1000": catalogue.index(code),
        "--divisor 1000 --category-ids position": np.where(code < len(catalogue), code, -1),
    }


def code_table(catalogue: Catalogue, void: Iterable[int]) -> Int[np.ndarray, " k"]:
    """Make `Encoded.category` for categories that are encoded by their ids, up to 65535; a category is never void.

    Args:
        catalogue: the categories.
        void: further numbers, which mean void.

    >>> from panoptic_eval.categories import Category
    >>> code_table(Catalogue((Category(3, "car", True), Category(1, "road", False))), [0, 4]).tolist()
    [-1, 1, -2, 0, -1]
    """
    fits = (catalogue.ids >= 0) & (catalogue.ids < 1 << 16)
    void = list(void)
    table = np.full(max(*catalogue.ids[fits].tolist(), *void) + 1, -2)
    table[void] = -1
    table[catalogue.ids[fits]] = np.flatnonzero(fits)
    return table


def split_ids(encoded: Encoded, ids: Int[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return the category number that each id carries, and whether it carries no instance number.

    >>> cityscapes = Encoded("divided", 1000, True, np.arange(34), True)
    >>> [part.tolist() for part in split_ids(cityscapes, np.array([23, 26, 26004]))]
    [[23, 26, 26], [True, True, False]]
    """
    if encoded.layout == "channels":
        return ids & 0xFF, ids < 256
    quotient = ids // encoded.divisor
    bare = (quotient == 0) & encoded.bare
    return np.where(bare, ids, quotient), bare


def some(values: Sequence[int]) -> str:
    """List numbers in a message: a few of them where there are many.

    >>> some([7, 4, 9]), some(range(1, 134))
    ('7, 4, 9', '1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …, 133')
    """
    return ", ".join(map(str, values if len(values) < 20 else [*values[:10], "…", values[-1]]))


def _place(maps: LabelMaps, image: int) -> str:
    where = maps.maps[image]
    return f"{where.png}: image {where.image_id!r}"


def other_type(image_id: ImageId, known: Container[ImageId]) -> str:
    """Say that an image id exists with the other type; empty if it does not.

    >>> other_type("7", {7})
    'the image id is the string "7", which elsewhere is the integer 7'
    """
    if isinstance(image_id, str) and image_id.isdecimal() and len(image_id) < 20 and int(image_id) in known:
        return f'the image id is the string "{image_id}", which elsewhere is the integer {int(image_id)}'
    if isinstance(image_id, int) and str(image_id) in known:
        return f'the image id is the integer {image_id}, which elsewhere is the string "{image_id}"'
    return ""
