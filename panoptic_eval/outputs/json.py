"""Reports as report.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from panoptic_eval.errors import InputError
from panoptic_eval.files import read_regular, write_atomically
from panoptic_eval.report import Report

FORMAT = 3
LIMIT = 4 << 30
"""Bytes of the largest report that is read."""
WITH_SCORES = (
    "scores", "account", "if_fixed", "ap_account", "intervals", "categories", "size_percentiles", "per_image",
    "precision_recall", "groups", "slices", "reliability",
)  # fmt: skip
"""Parts of a report in which null is a score that is undefined."""


def encode(report: Report) -> bytes:
    """Return the contents of report.json: undefined scores are null."""
    return f"{dumps({'format': FORMAT, **vars(report)})}\n".encode()


def dumps(value: Any) -> str:
    """Encode a value as JSON, indented; NaN is null, and what cannot be printed is an escape.

    >>> print(dumps("\\x9b2J"))
    "\\u009b2J"
    """
    text = json.dumps(_nulls(value), indent=2, ensure_ascii=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escape(c) for c in text)


def _escape(c: str) -> str:
    return "\\u007f" if c == "\x7f" else json.dumps(c)[1:-1]  # DEL is ASCII, which json leaves as it is


def write(report: Report, path: Path) -> None:
    """Write report.json."""
    write_atomically(path, encode(report))


def read(path: Path) -> Report:
    """Read a report.json, or the one in a folder that --out wrote.

    Raises:
        InputError: there is none, or it is of another format.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        data = json.loads(read_regular(file, LIMIT))
        if not isinstance(data, dict):
            raise ValueError(f"it holds a {type(data).__name__}, not an object")
        version = data.pop("format")
        if version == FORMAT:
            return Report(**{key: _nans(value) if key in WITH_SCORES else value for key, value in data.items()})
    except FileNotFoundError as error:
        raise InputError(
            f"{file}: is not there; expected a report.json that panoptic-eval wrote, or the folder that --out named"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{file}: is no report ({error}); expected a report.json that panoptic-eval wrote") from error
    raise InputError(f"{file}: is a report of format {version!r}; expected format {FORMAT}: score the run again")


def _nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _nulls(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_nulls(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nans(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nans(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_nans(v) for v in value]
    return math.nan if value is None else value
