"""Lists of objects in a JSON file as columns, with the place of everything that is not as it should be."""

from __future__ import annotations

import gc
import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from panoptic_eval.errors import Faults, InputError
from panoptic_eval.files import read_regular
from panoptic_eval.shapes import Bool, Int
from panoptic_eval.text import abbreviated

MAX_BYTES = 1 << 32
"""Largest JSON that is read, bytes; COCO's largest has 400 MB. A small .gz can hold any number of them."""
EXACT = 1 << 53
"""Floats from here on stand for several integers each."""


@dataclass(frozen=True)
class Kind:
    """Type that the values of a column must have."""

    types: tuple[type, ...]
    name: str
    """As a message says it."""
    whole: bool = False
    """True if a float that is a whole number is taken for the integer, as Python's == takes it."""


INTEGER = Kind((int,), "an integer", whole=True)
NUMBER = Kind((int, float), "a finite number")
STRING = Kind((str,), "a string")
FLAG = Kind((int, bool), "0 or 1", whole=True)
LIST = Kind((list,), "a list")
IMAGE_ID = Kind((int, str), "an integer or a string", whole=True)

_MISSING = object()


@dataclass(frozen=True)
class Column:
    """One key's value in each of n rows."""

    values: list[Any]
    sound: Bool[np.ndarray, " n"]
    """False where the value is a stand-in for one that was missing or malformed, which was told already."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the search for garbage: reading a JSON makes none, and to search a million objects takes half the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def load(path: Path) -> Any:
    """Read a JSON file, which may be compressed (.gz).

    Raises:
        InputError: it cannot be read, is too large, or is no JSON.
    """
    raw = _contents(path).removeprefix(b"\xef\xbb\xbf")  # which programs on Windows put before UTF-8
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        # NaN and Infinity are not JSON, but Python writes them: read on, to name their place.
        constants: list[str] = []

        def constant(text: str) -> float:
            constants.append(text)
            return float(text)

        try:
            value = json.loads(
                raw,
                parse_int=lambda text: int(text) if len(text) < 20 else float(text),
                parse_constant=constant,
            )
            json.dumps(value, ensure_ascii=False).encode()  # halves of surrogate pairs cannot be stored or shown
        except (ValueError, RecursionError):
            constants = []
        if constants:
            return value
        place = f"{path}: line {error.lineno}, column {error.colno}"
        raise InputError(f"{place}: not valid JSON: {error.msg}") from error


def _contents(path: Path) -> bytes:
    try:
        raw = read_regular(path, MAX_BYTES)
        if path.suffix == ".gz":
            with gzip.open(io.BytesIO(raw)) as file:
                raw = file.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: cannot be decompressed ({error}); expected a JSON compressed by gzip") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); expected a JSON file") from error
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path}: holds more than {MAX_BYTES} bytes; expected a JSON file of at most as many")
    return raw


def objects(value: Any, place: str, faults: Faults) -> list[dict[str, Any]]:
    """Take a list of JSON objects; what is not one is a fault, and left out."""
    if type(value) is not list:
        faults.add(f"{place} is {short(value)}; expected a list of objects")
        return []
    if set(map(type, value)) <= {dict}:
        return value
    faults.add(
        "[entry is|entries are] no object; expected an object",
        (f"{place}[{i}] is {short(v)}" for i, v in enumerate(value) if type(v) is not dict),
    )
    return [v for v in value if type(v) is dict]


def column(
    rows: Sequence[dict[str, Any]],
    key: str,
    kind: Kind,
    place: Callable[[int], str],
    faults: Faults,
    *,
    default: Any,
    optional: bool = False,
    matters: bool = True,
) -> Column:
    """Take a key's value from each row; `default` if it is of another kind (a fault) or missing (one unless optional).

    Args:
        place: where row i stands, for messages.
        optional: null counts as missing, too.
        matters: whether a value of another kind is a fault; a warning, if no score needs it.
    """
    try:
        values = [row[key] for row in rows]
    except KeyError:
        values = [row.get(key, _MISSING) for row in rows]
    sound = np.ones(len(values), bool)
    types = set(map(type, values))
    if types <= set(kind.types) and (float not in types or np.isfinite(np.array(values, np.float64)).all()):
        return Column(values, sound)
    missing, floats, wrong = [], [], []
    for i, value in enumerate(values):
        if value is _MISSING or (value is None and optional):
            values[i] = default
            sound[i] = optional
            if not optional:
                missing.append(i)
        elif kind.whole and type(value) is float and value.is_integer() and abs(value) < EXACT:
            values[i] = int(value)
            floats.append(f'{place(i)}: "{key}" is {value}')
        elif type(value) not in kind.types or not _finite(value):
            values[i] = default
            sound[i] = False
            wrong.append(f'{place(i)}: "{key}" is {short(value)}')
    faults.add(f'[entry has|entries have] no "{key}"; expected {kind.name}', map(place, missing))
    other = f'[value of "{key}" is|values of "{key}" are] of another kind; expected {kind.name}'
    if matters:
        faults.add(other, wrong)
    else:
        faults.warn(f"{other}; ignored", wrong)
    faults.warn(f'[value of "{key}" is a float|values of "{key}" are floats]; taken for the integer', floats)
    return Column(values, sound)


def image_ids(rows: Sequence[dict[str, Any]], key: str, place: Callable[[int], str], faults: Faults) -> Column:
    """Return the image id in each row; an empty string is none."""
    ids = column(rows, key, IMAGE_ID, place, faults, default="")
    empty = ids.sound & np.array([value == "" for value in ids.values], bool)
    faults.add(f'"{key}" [is|are] empty; expected an integer or a name', map(place, np.flatnonzero(empty).tolist()))
    return Column(ids.values, ids.sound & ~empty)


def integers(values: Sequence[int]) -> Int[np.ndarray, " n"]:
    """Make an array of int64; what does not fit is clipped, and still outside any range that is checked afterwards."""
    try:
        return np.array(values, np.int64)
    except OverflowError:
        limits = np.iinfo(np.int64)
        return np.array([min(max(value, limits.min), limits.max) for value in values], np.int64)


def repeated(values: Iterable[Hashable]) -> dict[int, int]:
    """List the index of each value that stood earlier, with the index where it stood first.

    >>> repeated(["a", "b", "a"])
    {2: 0}
    """
    first: dict[Hashable, int] = {}
    return {i: at for i, value in enumerate(values) if (at := first.setdefault(value, i)) != i}


def same(a: Any, b: Any) -> bool:
    """Return whether two JSON values are equal; not if they are nested so deep that Python cannot tell."""
    try:
        return bool(a == b)
    except RecursionError:
        return False


def short(value: Any) -> str:
    """Write a JSON value for a message: as JSON writes it, large ones only by their kind."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        nested = any(isinstance(entry, dict | list) for entry in value)
        return f"a list of {len(value)}" if nested or len(value) > 4 else json.dumps(value)
    return abbreviated(json.dumps(value))


def _finite(value: Any) -> bool:
    return type(value) is not float or math.isfinite(value)
