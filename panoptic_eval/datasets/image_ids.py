"""Which image of a ground truth an image id or a file name of a prediction means."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from panoptic_eval.datasets import FORMATS
from panoptic_eval.datasets.json_rows import short
from panoptic_eval.errors import Faults
from panoptic_eval.labels import ImageId, LabelMap
from panoptic_eval.shapes import Int


def match(
    given: Sequence[ImageId], maps: Sequence[LabelMap], place: Callable[[int], str], faults: Faults
) -> Int[np.ndarray, " n"]:
    """Find the image that each id means, -1 where there is none.

    An id is meant as it stands. Where none is an image's, another form of it is looked for: the data set's name of a
    file without what says the kind of file; the number for digits, and digits for the number; the name of the
    photograph or of the label PNG. A form counts only where it is unique on both sides.

    Args:
        given: ids, each once or several times (detections).
        maps: images of the ground truth.
        place: where id i stands, for messages.
        faults: gets a warning if ids were meant in another form, and one or a fault if some or all are of no image.
    """
    ids = list(dict.fromkeys(given))
    position = {id_: i for i, id_ in enumerate(ids)}
    first = {id_: i for i, id_ in reversed(list(enumerate(given)))}
    exact = {m.image_id: k for k, m in enumerate(maps)}
    index = np.array([exact.get(id_, -1) for id_ in ids], np.int64)
    if (index < 0).any():
        index = np.where(index >= 0, index, _match(ids, maps, _without_kind, _own))
    if (index < 0).any():
        plain = index >= 0
        index = _fill(index, ids, _match(ids, maps, _numbers, _own))
        if (index < 0).all():
            index = _fill(index, ids, _match(ids, maps, _numbers, _names))
        other = np.flatnonzero((index >= 0) & ~plain).tolist()
        faults.warn(
            "image [id is|ids are] in another form than in the ground truth, and taken for the same",
            (f"{place(first[ids[i]])}: {short(maps[index[i]].image_id)} there" for i in other),
        )
    index = index[[position[id_] for id_ in given]] if given else index
    _report(index, given, maps, place, faults)
    return index


def _fill(
    index: Int[np.ndarray, " n"], given: Sequence[ImageId], guess: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """Take guesses where there is no index yet, of images that only one id means."""
    means: dict[int, set[ImageId]] = defaultdict(set)
    for id_, k, other in zip(given, index.tolist(), guess.tolist(), strict=True):
        means[k if k >= 0 else other].add(id_)
    unique = np.array([len(means[k]) == 1 for k in guess.tolist()], bool)
    return np.where((index < 0) & unique, guess, index)


def _report(
    index: Int[np.ndarray, " n"],
    given: Sequence[ImageId],
    maps: Sequence[LabelMap],
    place: Callable[[int], str],
    faults: Faults,
) -> None:
    extra = np.flatnonzero(index < 0).tolist()
    if extra and len(extra) == len(given):
        here, there = (", ".join(map(short, dict.fromkeys(ids[:3]))) for ids in (given, [m.image_id for m in maps]))
        more = "…" if len(maps) > 3 else ""
        faults.add(
            f"none of the images is in the ground truth, whose ids are {there}{more}; expected such ids, not {here}",
            place(0),
            likely_cause=True,
        )
    else:
        faults.warn("[entry is|entries are] of no image of the ground truth; left out", map(place, extra))


def _match(
    given: Sequence[ImageId],
    maps: Sequence[LabelMap],
    forms: Callable[[ImageId], Iterable[ImageId]],
    ids: Callable[[LabelMap], Iterable[ImageId]],
) -> Int[np.ndarray, " n"]:
    """Return the image that shares a form with each id; -1 where there is none, or several."""
    images: dict[ImageId, set[int]] = defaultdict(set)
    for k, label_map in enumerate(maps):
        for id_ in ids(label_map):
            for form in forms(id_):
                images[form].add(k)
    fits = [{k for form in forms(id_) for k in images.get(form, ())} for id_ in given]
    return np.array([next(iter(fit)) if len(fit) == 1 else -1 for fit in fits], np.int64)


def _own(label_map: LabelMap) -> list[ImageId]:
    return [label_map.image_id]


def _names(label_map: LabelMap) -> list[ImageId]:
    return [label_map.png.stem, *([] if label_map.photograph is None else [label_map.photograph.stem])]


def _without_kind(id_: ImageId) -> list[ImageId]:
    return [id_, *(f.image_name(id_) for f in FORMATS)] if isinstance(id_, str) else [id_]


def _numbers(id_: ImageId) -> list[ImageId]:
    """Return the number, or the stem of the file's name where it is none.

    >>> _numbers("000012"), _numbers(12), _numbers("val/a12.jpg")
    ([12], [12], ['a12'])
    """
    if isinstance(id_, int):
        return [id_]
    name = unicodedata.normalize("NFC", id_).replace("\\", "/").rsplit("/", 1)[-1]
    stem = name.rsplit(".", 1)[0] if name.lower().endswith((".png", ".jpg", ".jpeg")) else name
    return [int(stem)] if stem.isdecimal() and stem.isascii() and len(stem) < 20 else [stem]
