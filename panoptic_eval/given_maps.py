"""Panoptic maps as other libraries hand them over: read to ids and segments, where their meaning is certain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from panoptic_eval.categories import Catalogue
from panoptic_eval.labels import some
from panoptic_eval.shapes import Integer, Shaped

FORMS = (
    "(map, segments), a dictionary with segmentation and segments_info (Hugging Face) or panoptic_seg (detectron2), or "
    "integers (h, w, 2) of category and instance (torchmetrics)"
)
Map = tuple[Integer[np.ndarray, "h w"], list[dict[str, Any]]]
"""Ids, 0 for void, and their segments: id, category_id, perhaps score and iscrowd."""


def to_array(value: Any) -> Shaped[np.ndarray, ...]:
    """Take an array, or a tensor of any library and device, without a copy where there is a way."""
    if hasattr(value, "detach"):  # torch; its tensors on a GPU make no array by themselves
        return np.asarray(value.detach().cpu())
    if hasattr(value, "__array__") or not hasattr(value, "__dlpack__"):
        return np.asarray(value)
    return np.asarray(np.from_dlpack(value))


def images_of(value: Any) -> Iterator[Any]:
    """Split a batch: a list of maps, or category and instance of shape (batch, h, w, 2). Anything else is one image."""
    if isinstance(value, list) and not _is_map_and_segments(value):
        yield from value
    elif not isinstance(value, (Mapping, tuple, list)) and (array := to_array(value)).ndim == 4:
        yield from array
    else:
        yield value


def read_map(value: Any, catalogue: Catalogue, *, numbering: Mapping[int, int] | None, predicted: bool) -> Map:
    """Read one panoptic map; -1 is void, and so is a category of a target that the catalogue does not have.

    Args:
        value: one of FORMS. Maps are arrays or tensors of integers.
        catalogue: categories.
        numbering: category id of each number that the map uses; None if it uses the ids.
        predicted: whether it is a prediction.

    Raises:
        ValueError: it is of another form, or a segment has no category.
    """
    if isinstance(value, Mapping):
        if "panoptic_seg" in value:
            return read_map(value["panoptic_seg"], catalogue, numbering=numbering, predicted=predicted)
        if not {"segmentation", "segments_info"} <= {*value}:
            raise ValueError(f"is a dictionary with the keys {', '.join(map(str, value))}; expected {FORMS}")
        return _with_segments(value["segmentation"], value["segments_info"], catalogue, numbering, predicted)
    if _is_map_and_segments(value):
        return _with_segments(value[0], value[1], catalogue, numbering, predicted)
    pairs = None if isinstance(value, (tuple, list)) else to_array(value)
    if pairs is None or pairs.ndim != 3 or pairs.shape[-1] != 2 or pairs.dtype.kind not in "iu":
        what = type(value).__name__ if pairs is None else f"an array {pairs.shape} of {pairs.dtype}"
        raise ValueError(f"is {what}; expected {FORMS}")
    return _of_pairs(pairs, catalogue, numbering, predicted)


def _is_map_and_segments(value: Any) -> bool:
    """Tell whether a value is (map, segments), where segments are a list of dictionaries."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or isinstance(value[0], (Mapping, tuple)):
        return False
    return isinstance(value[1], Sequence) and all(isinstance(entry, Mapping) for entry in value[1])


def _with_segments(
    labels: Any, entries: Sequence[Mapping[str, Any]], catalogue: Catalogue, numbering: Mapping[int, int] | None,
    predicted: bool,
) -> Map:  # fmt: skip
    """Read a map of ids and its list of segments."""
    ids = to_array(labels)
    if ids.dtype.kind == "i":
        ids = np.where(ids == -1, 0, ids)
    segments = []
    void = []
    for entry in entries:
        key = "category_id" if "category_id" in entry else "label_id"
        if key not in entry or "id" not in entry:
            raise ValueError(f"has a segment with the keys {', '.join(map(str, entry))}; expected id and category_id")
        category = _category(int(entry[key]), catalogue, numbering, predicted)
        if category is None:
            void.append(int(entry["id"]))
            continue
        kept = {name: entry[name] for name in ("score", "iscrowd") if name in entry}
        segments.append({"id": int(entry["id"]), "category_id": category, **kept})
    return (np.where(np.isin(ids, void), 0, ids) if void else ids), segments


def _of_pairs(
    pairs: Integer[np.ndarray, "h w 2"], catalogue: Catalogue, numbering: Mapping[int, int] | None, predicted: bool
) -> Map:
    """Read category and instance of each pixel; all stuff of a category is one segment."""
    category = pairs[..., 0].astype(np.int64).reshape(-1)
    instance = pairs[..., 1].astype(np.int64).reshape(-1)
    if not category.size:
        raise ValueError("has no pixel; expected at least one")
    start = np.flatnonzero((np.diff(category, prepend=-1) != 0) | (np.diff(instance, prepend=-1) != 0))
    start = start if start[:1].tolist() == [0] else np.append(0, start)
    runs = np.stack([category[start], instance[start]], axis=1)
    found: dict[tuple[int, int], int] = {}
    segments = []
    ids = np.zeros(len(runs), np.uint32)
    unique, inverse = np.unique(runs, axis=0, return_inverse=True)
    of_unique = np.zeros(len(unique), np.uint32)
    for k, (number, of_category) in enumerate(unique.tolist()):
        id_ = _category(number, catalogue, numbering, predicted)
        if id_ is None:
            continue
        thing = bool(catalogue.isthing[catalogue.index([id_])[0]])
        key = id_, of_category if thing else 0
        if key not in found:
            found[key] = len(found) + 1
            segments.append({"id": found[key], "category_id": id_})
        of_unique[k] = found[key]
    ids = of_unique[inverse.reshape(-1)]
    lengths = np.diff(start, append=len(category))
    return np.repeat(ids, lengths).reshape(pairs.shape[:2]), segments


def _category(number: int, catalogue: Catalogue, numbering: Mapping[int, int] | None, predicted: bool) -> int | None:
    """Return the id of a category; None for a target's that the catalogue does not have, which is void.

    Raises:
        ValueError: a prediction's category is not in the catalogue.
    """
    id_ = number if numbering is None else numbering.get(number, -1)
    if catalogue.index([id_])[0] >= 0:
        return id_
    if not predicted:
        return None
    allowed = catalogue.ids.tolist() if numbering is None else sorted(numbering)
    raise ValueError(f"has category {number}, which is none of the categories; expected one of {some(allowed)}")
