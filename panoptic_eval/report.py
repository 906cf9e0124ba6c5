"""All scores of a run, as data: what report.json holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically

FORMAT = 1
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """Scores are fractions, 0 to 1; undefined ones are NaN here and null in JSON, with the reason in `undefined`."""

    images: int
    scores: Mapping[str, Mapping[str, float]]
    """PQ, SQ, RQ, PQ_dagger, PC, mIoU: all, things, stuff; AP_mask, AP_box: AP, AP50, AP75, APs, APm, APl."""
    categories: Sequence[Row]
    """One row a category, in the catalogue's order."""
    size_percentiles: Mapping[str, Sequence[float]]
    """percent and area: the edges; instances, categories, AP_mask, AP_box: of each bin between them."""
    undefined: Mapping[str, str]
    """Why a score is undefined, by name: "PQ.stuff"."""
    warnings: Sequence[str]
    protocol: Mapping[str, Any]
    """Every choice that changes a number."""
    provenance: Mapping[str, Any]
    per_image: Sequence[Row] = ()
    """One row an image; stored in per_image.csv, not in report.json."""

    def to_json(self) -> bytes:
        """The contents of report.json."""
        named = {name: value for name, value in vars(self).items() if name != "per_image"}
        return orjson.dumps({"format": FORMAT, **_nulls(named)}, option=orjson.OPT_INDENT_2) + b"\n"


def write(report: Report, path: Path) -> None:
    """Write report.json."""
    write_atomically(path, report.to_json())


def read(path: Path) -> Report:
    """Read a report.json, or the one in a folder that --out wrote.

    Raises:
        InputError: there is none, or it is of another format.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        data = orjson.loads(file.read_bytes())
        if data.pop("format") != FORMAT:
            raise InputError(f"{file}: is a report of another format; expected format {FORMAT}")
        return Report(**_nans(data))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: is no report ({error}); expected a report.json that panoptic-eval wrote") from error


def _nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _nulls(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_nulls(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_SCORES = {"scores", "categories", "size_percentiles"}


def _nans(data: dict[str, Any]) -> dict[str, Any]:
    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(v) for key, v in value.items()}
        if isinstance(value, list):
            return [fill(v) for v in value]
        return math.nan if value is None else value

    return {key: fill(v) if key in _SCORES else v for key, v in data.items()}
