"""Arrays and entries that callers hand over, such as what networks return: read where their meaning is certain.

What is refused raises a ValueError that says what was given and what is expected; whoever knows the image adds its
name. Nothing is cast before it is checked: -1 would become a large id, 0.9 no pixel at all.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets.json_rows import repeated
from panoptic_eval.labels import ImageId, some
from panoptic_eval.png.ids import Ids
from panoptic_eval.shapes import Bool, Integer
from panoptic_eval.text import abbreviated

INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class GivenSegments:
    """Entries of one image's segments that fit its label map, in the order given."""

    id: list[int]
    category_id: list[int]
    score: list[float | None]
    crowd: list[bool]


def array(value: Any, expected: str) -> np.ndarray:
    """Take an array, a list, a tensor on the CPU, or whatever else np.asarray takes.

    Raises:
        ValueError: it makes no array of numbers.
    """
    try:
        taken = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # of another device, with a gradient, ragged
        raise ValueError(f"{_kind(value)} makes no array ({error}); expected an array of {expected}") from error
    if taken.dtype.kind not in "biufc":
        raise ValueError(f"{_kind(value)} makes an array of {taken.dtype}; expected an array of {expected}")
    return taken[0] if taken.ndim == 3 and len(taken) == 1 else taken  # networks keep the dimension of the batch


def label_map(value: Any, most: int) -> Integer[np.ndarray, "h w"]:
    """Take a map of segment ids.

    Raises:
        ValueError: it is not one of integers 0 to `most`, (h, w) or (1, h, w).
    """
    labels = integer_map(value)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > most:
        raise ValueError(f"labels hold {low} to {high}; expected 0 to {most}, 0 where there is no segment")
    return labels


def integer_map(value: Any) -> Integer[np.ndarray, "h w"]:
    """Take a map of integers, whichever they are.

    Raises:
        ValueError: it is not one of integers, (h, w) or (1, h, w).
    """
    labels = array(value, "integers (h, w)")
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or not labels.size:
        raise ValueError(
            f"labels have shape {labels.shape}, dtype {labels.dtype}; expected an array of integers (h, w), not empty"
        )
    return labels


def mask(value: Any, shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    """Take the mask of one instance.

    Raises:
        ValueError: it is not of that shape (or that with 1 in front), or holds other values than 0 and 1, or 0 and 255.
    """
    pixels = array(value, f"bool {shape}")
    if pixels.shape != shape:
        raise ValueError(f"has shape {pixels.shape}, dtype {pixels.dtype}; expected a bool array (h, w), here {shape}")
    if pixels.dtype.kind == "b":
        return pixels
    unit = 255 if pixels.dtype == np.uint8 and pixels.max() == 255 else 1
    inside = pixels == unit
    if not (inside | (pixels == 0)).all():
        raise ValueError(
            f"holds {pixels.min()} to {pixels.max()} of dtype {pixels.dtype}; expected a bool array (h, w): "
            "compare probabilities or logits with a threshold first"
        )
    return inside


def entries(value: Any, what: str) -> list[Mapping[str, Any]]:
    """Take a list of dictionaries.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, Iterable) or isinstance(value, (Mapping, str, bytes)):
        raise ValueError(f"{what} are {_kind(value)}; expected a list of dictionaries")
    taken = list(value)
    for i, entry in enumerate(taken):
        if not isinstance(entry, (dict, Mapping)):  # nearly all are a dict, which is told at once
            raise ValueError(f"{what}[{i}] is {_kind(entry)}; expected a dictionary")
    return taken


def integer(entry: Mapping[str, Any], key: str) -> int:
    """Take an integer: Python's, NumPy's, a tensor of one, or a float that is one.

    Raises:
        ValueError: it is missing, or none of 64 bits.
    """
    if key not in entry:
        raise ValueError(f'has no "{key}" (its keys: {", ".join(map(str, entry)) or "none"}); expected an integer')
    value = entry[key]
    if type(value) is int and value in INT64:  # as nearly all are
        return value
    try:
        taken = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        taken = int(value) if isinstance(value, (float, np.floating)) and float(value).is_integer() else None
    if taken is None or taken not in INT64:
        raise ValueError(f'has "{key}" {_shown(value)}; expected an integer')
    return taken


def image_id(value: Any) -> ImageId:
    """Take the id of an image that tables and JSON can hold: a string that is not empty, or an integer of 64 bits.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str) and value:
        return value
    try:
        return integer({"image_id": value}, "image_id")
    except ValueError as error:
        raise ValueError(f"the image {error} of 64 bits, or a string that is not empty") from error


def number(entry: Mapping[str, Any], key: str) -> float | None:
    """Take a finite number; None where the key is missing or None.

    Raises:
        ValueError: it is none.
    """
    value = entry.get(key)
    if value is None:
        return None
    try:
        taken = math.nan if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        taken = math.nan
    if not math.isfinite(taken):
        raise ValueError(f'has "{key}" {_shown(value)}, which is not finite; expected a finite number')
    return taken


def category(entry: Mapping[str, Any], allowed: Sequence[int], what: str) -> int:
    """Take the id of a category.

    Raises:
        ValueError: it is missing, or none of those.
    """
    id_ = integer(entry, "category_id")
    if id_ not in allowed:
        raise ValueError(f"has category_id {id_}, which is no {what}; expected one of {some(allowed)}")
    return id_


def segments(found: Ids, value: Any, catalogue: Catalogue) -> GivenSegments:
    """Take the segments of a label map: `id` and `category_id` of each, and `score` and `iscrowd` where they have them.

    The same segment again, equal in all of these, is taken once.

    Args:
        found: what the label map holds.
        value: a list of dictionaries.
        catalogue: categories that there are.

    Raises:
        ValueError: all that is wrong with them: keys, values, ids without pixels, pixels without entry.
    """
    given = entries(value, "segments")
    faults: list[str] = []
    known = catalogue.ids.tolist()

    def column(take: Any, *arguments: Any) -> list[Any]:
        try:
            return [take(entry, *arguments) for entry in given]
        except ValueError:
            pass  # find all that are wrong
        taken, wrong = [], []
        for i, entry in enumerate(given):
            try:
                taken.append(take(entry, *arguments))
            except ValueError as error:
                wrong.append(f"segments[{i}] {error}")
                taken.append(None)
        faults.extend(wrong[:1] if len(wrong) < 2 else [f"{wrong[0]} (and {len(wrong) - 1} more like it)"])
        return taken

    ids = column(integer, "id")
    result = GivenSegments(ids, column(category, known, "category"), column(number, "score"), column(_crowd))
    rows = list(zip(*vars(result).values(), strict=True))
    if None not in ids:
        again = repeated(ids)
        drawn, listed = set(found.id.tolist()) - {0}, set(ids)
        faults += [f"segment id {ids[i]} is given twice, with other values" for i in again if rows[i] != rows[again[i]]]
        faults += [f"segment {id_} has no pixel" for id_ in sorted(listed - drawn)]
        faults += [f"pixels of id {id_} have no segment" for id_ in sorted(drawn - listed)]
    if faults:
        raise ValueError("; ".join(faults))
    if not again:
        return result
    return GivenSegments(*map(list, zip(*(row for i, row in enumerate(rows) if i not in again), strict=True)))


def _crowd(entry: Mapping[str, Any]) -> bool:
    value = entry.get("iscrowd")
    if value is None or isinstance(value, (bool, np.bool_)):
        return bool(value)
    if (crowd := integer(entry, "iscrowd")) not in (0, 1):
        raise ValueError(f'has "iscrowd" {crowd}; expected 0 or 1')
    return crowd == 1


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _shown(value: Any) -> str:
    return abbreviated(" ".join(repr(value).split()))
