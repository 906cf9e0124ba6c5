"""Lists of objects in a JSON file as columns, with the place of everything that is not as it should be."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from jaxtyping import Int

from panoptic_eval.errors import InputError

REPORTED = int(np.iinfo(np.int64).min)
"""Stands for an integer that was found missing or malformed, so that later checks pass it over."""


@dataclass(frozen=True)
class Kind:
    """What the values of a column must be."""

    types: tuple[type, ...]
    name: str
    """As a message says it."""


INTEGER = Kind((int,), "an integer")
NUMBER = Kind((int, float), "a finite number")
STRING = Kind((str,), "a string")
FLAG = Kind((int, bool), "0 or 1")
LIST = Kind((list,), "a list")
IMAGE_ID = Kind((int, str), "an integer or a string")

_MISSING = object()


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage arises while a JSON is read, and looking for it among a million new objects takes half the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def load(path: Path) -> Any:
    """A JSON file's content.

    Raises:
        InputError: it cannot be read, or is no JSON.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a JSON file") from error
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        try:
            # NaN and Infinity are not JSON, but Python writes them: read on, to name their place.
            return json.loads(raw, parse_int=lambda text: int(text) if len(text) < 20 else float(text))
        except (ValueError, RecursionError):
            place = f"{path}: line {error.lineno}, column {error.colno}"
            raise InputError(f"{place}: not JSON ({error.msg}); the file is truncated or damaged") from error


def objects(value: Any, place: str, faults: list[str]) -> list[dict[str, Any]]:
    """A list of JSON objects; what is not one is a fault, and left out."""
    if type(value) is not list:
        faults.append(f"{place} is {short(value)}; expected a list of objects")
        return []
    if set(map(type, value)) <= {dict}:
        return value
    faults += [f"{place}[{i}] is {short(v)}; expected an object" for i, v in enumerate(value) if type(v) is not dict]
    return [v for v in value if type(v) is dict]


def column(
    rows: Sequence[dict[str, Any]],
    key: str,
    kind: Kind,
    place: Callable[[int], str],
    faults: list[str],
    *,
    default: Any,
    optional: bool = False,
) -> list[Any]:
    """One key's value in each row; `default` where it is not of its kind (a fault) or missing (one unless optional).

    Args:
        place: where row i stands, for messages.
    """
    try:
        values = [row[key] for row in rows]
    except KeyError:
        values = [row.get(key, _MISSING) for row in rows]
    found = set(map(type, values))
    if found <= set(kind.types) and (float not in found or np.isfinite(np.array(values, np.float64)).all()):
        return values
    for i, value in enumerate(values):
        if value is _MISSING:
            values[i] = default
            if not optional:
                faults.append(f'{place(i)}: has no "{key}"; expected {kind.name}')
        elif type(value) not in kind.types or not _finite(value):
            values[i] = default
            faults.append(f'{place(i)}: "{key}" is {short(value)}; expected {kind.name}')
    return values


def integers(values: Sequence[int]) -> Int[np.ndarray, " n"]:
    """As int64; what does not fit is clipped, and still outside every range that is checked afterwards."""
    try:
        return np.array(values, np.int64)
    except OverflowError:
        return np.array([min(max(value, REPORTED + 1), -REPORTED - 1) for value in values], np.int64)


def repeated(values: Iterable[Hashable]) -> list[int]:
    """Indices of values that stood earlier in the list.

    >>> repeated(["a", "b", "a"])
    [2]
    """
    seen: set[Hashable] = set()
    return [i for i, value in enumerate(values) if value in seen or seen.add(value)]  # type: ignore[func-returns-value]


def short(value: Any) -> str:
    """A JSON value in a message: as JSON writes it, large ones only by their kind."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if len(value) > 4 else json.dumps(value)
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _finite(value: Any) -> bool:
    return type(value) is not float or math.isfinite(value)
