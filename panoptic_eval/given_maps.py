"""Panoptic maps as other libraries hand them over: read to ids and segments, where their meaning is certain."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from panoptic_eval.arguments import integer
from panoptic_eval.categories import Catalogue
from panoptic_eval.labels import some
from panoptic_eval.shapes import Integer, Shaped

FORMS = (
    "(map, segments), a dictionary with segmentation and segments_info (Hugging Face) or panoptic_seg (detectron2), or "
    "integers (h, w, 2) of category and instance (torchmetrics)"
)
VOID = -1
"""Category of pixels that a prediction leaves void. Not 0: categories that are numbered from 0 would become void."""
Map = tuple[Integer[np.ndarray, "h w"], list[dict[str, Any]], list[int]]
"""Ids; their segments: id, category_id, perhaps score and iscrowd; and numbers that are void, as 0 is."""


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
    if isinstance(value, (tuple, list)) and len(value) == 2 and value[1] is None:
        raise ValueError("has no list of segments; expected (map, segments), segments as dictionaries")
    pairs = None if isinstance(value, (tuple, list)) else to_array(value)
    if pairs is None or pairs.ndim != 3 or pairs.shape[-1] != 2 or pairs.dtype.kind not in "iu":
        what = type(value).__name__ if pairs is None else f"an array {pairs.shape} of {pairs.dtype}"
        raise ValueError(f"is {what}; expected {FORMS}")
    return _of_pairs(pairs, catalogue, numbering, predicted)


def _is_map_and_segments(value: Any) -> bool:
    """Tell whether a value is (map, segments), where segments are a list of dictionaries."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or isinstance(value[0], (Mapping, tuple)):
        return False
    return isinstance(value[1], Sequence) and all(isinstance(entry, (dict, Mapping)) for entry in value[1])


def _with_segments(
    labels: Any, entries: Sequence[Mapping[str, Any]], catalogue: Catalogue, numbering: Mapping[int, int] | None,
    predicted: bool,
) -> Map:  # fmt: skip
    """Read a map of ids and its list of segments."""
    ids = to_array(labels)
    if ids.dtype.kind == "f" and not len(entries) and np.isin(ids, (-1, 0)).all():
        ids = np.zeros(ids.shape, np.int64)  # where nothing is found Hugging Face returns float32, -1 everywhere
    meaning = _meaning(catalogue, numbering)
    segments: list[dict[str, Any]] = []
    void = [-1]
    for entry in entries:
        key = "category_id" if "category_id" in entry else "label_id"
        if key not in entry or "id" not in entry:
            raise ValueError(f"has a segment with the keys {', '.join(map(str, entry))}; expected id and category_id")
        number, id_ = integer(entry, key), integer(entry, "id")
        if number in meaning:
            kept = {name: entry[name] for name in ("score", "iscrowd", "was_fused") if name in entry}
            segments.append({"id": id_, "category_id": meaning[number], **kept})
        elif predicted:
            raise _unknown(number, meaning)
        else:
            void.append(id_)
    if any("was_fused" in segment for segment in segments):
        ids, segments = _fused(ids, segments, set(catalogue.ids[catalogue.isthing].tolist()))
    return ids, segments, void


def _fused(
    ids: Integer[np.ndarray, "h w"], entries: Sequence[Mapping[str, Any]], things: Collection[int]
) -> tuple[Integer[np.ndarray, "h w"], list[dict[str, Any]]]:
    """Make one segment of what Hugging Face has fused, which it lists several times, and of all stuff of a category.

    Raises:
        ValueError: an id stands for two segments: with label_ids_to_fuse Hugging Face counts on from the id of what was
            fused, and gives the ids after it again (transformers 5.24).
    """
    segments: dict[int, dict[str, Any]] = {}
    id_of_stuff: dict[int, int] = {}
    others: dict[int, list[int]] = {}
    for entry in entries:
        id_, category = entry["id"], entry["category_id"]
        again = segments.get(id_)
        if again and (again["category_id"] != category or (category in things and not entry["was_fused"])):
            raise ValueError(
                f"has two segments of id {id_}, of the categories {again['category_id']} and {category}; expected one. "
                "Hugging Face gives ids twice with label_ids_to_fuse: call it with label_ids_to_fuse=set(), stuff is "
                "fused here"
            )
        score = max(entry.get("score", 0), again.get("score", 0) if again else 0)
        segments[id_] = {"id": id_, "category_id": category, "score": score}
        if category not in things and id_of_stuff.setdefault(category, id_) != id_:
            others.setdefault(id_of_stuff[category], []).append(id_)
    for first, same in others.items():
        ids = np.where(np.isin(ids, same), first, ids)
        best = max(segments[id_]["score"] for id_ in (first, *same))
        segments[first]["score"] = best
        for id_ in set(same):
            del segments[id_]
    return ids, list(segments.values())


def _of_pairs(
    pairs: Integer[np.ndarray, "h w 2"], catalogue: Catalogue, numbering: Mapping[int, int] | None, predicted: bool
) -> Map:
    """Read category and instance of each pixel; all stuff of a category is one segment, and category -1 is void."""
    flat = np.ascontiguousarray(pairs).reshape(-1)
    if not flat.size:
        raise ValueError("has no pixel; expected at least one")
    changes = (flat[2:] != flat[:-2]).view(np.uint16) != 0  # of both numbers from one pixel to the next
    start = np.append(0, np.flatnonzero(changes) + 1)
    categories, of_category = np.unique(flat[2 * start], return_inverse=True)
    instances, of_instance = np.unique(flat[2 * start + 1], return_inverse=True)
    both, of_both = np.unique(of_category * len(instances) + of_instance, return_inverse=True)
    unique = np.stack([categories[both // len(instances)], instances[both % len(instances)]], axis=1)
    of_unique = np.zeros(len(unique), np.uint32)
    found: dict[tuple[int, int], int] = {}
    segments = []
    meaning, things = _meaning(catalogue, numbering), set(catalogue.ids[catalogue.isthing].tolist())
    for k, (number, instance) in enumerate(unique.tolist()):
        if number not in meaning:
            if predicted and number != VOID:
                raise _unknown(number, meaning)
            continue
        id_ = meaning[number]
        key = id_, instance if id_ in things else 0
        if key not in found:
            found[key] = len(found) + 1
            segments.append({"id": found[key], "category_id": id_})
        of_unique[k] = found[key]
    ids = np.repeat(of_unique[of_both], np.diff(start, append=len(flat) // 2))
    return ids.reshape(pairs.shape[:2]), segments, []


def _meaning(catalogue: Catalogue, numbering: Mapping[int, int] | None) -> dict[int, int]:
    """Return the id of the category that each number stands for."""
    known = set(catalogue.ids.tolist())
    given = {id_: id_ for id_ in known} if numbering is None else numbering
    return {number: id_ for number, id_ in given.items() if id_ in known}


def _unknown(number: int, meaning: Mapping[int, int]) -> ValueError:
    return ValueError(
        f"has category {number}, which is none of the categories; expected one of {some(sorted(meaning))}"
    )
