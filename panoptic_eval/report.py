"""All scores of a run, as data: what report.json holds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """Scores are fractions, 0 to 1; an undefined one is NaN here and null in JSON, with its reason in `undefined`."""

    images: int
    """Number of images."""
    scores: Mapping[str, Mapping[str, float]]
    """PQ, SQ, RQ, PQ_dagger, PC, mIoU: all, things, stuff; AP_mask, AP_box: AP, AP50, AP75, APs, APm, APl."""
    categories: Sequence[Row]
    """One row for each category, in the catalogue's order. A score is undefined where gt, or either side, lacks it."""
    size_percentiles: Sequence[Row]
    """One row for each size bin: from_percent, to_percent, from_area, to_area (pixels), instances, categories, and the
    scores within it."""
    undefined: Mapping[str, str]
    """Why a score of `scores` is undefined, by name: "PQ.stuff"."""
    warnings: Sequence[str]
    """Oddities of the input, and what was done about them."""
    protocol: Mapping[str, Any]
    """Every choice that changes a number."""
    provenance: Mapping[str, Any]
    """Versions, sources, command, time."""
    account: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What each cause takes from PQ: all, things, stuff. The causes add up to 1 - PQ. Empty under --protocol
    panopticapi, whose stated areas allow no such account."""
    intervals: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    """95 % interval of each of `scores` and `account` over resampled images; empty if none were drawn."""
    per_image: Sequence[Row] = ()
    """One row for each image."""


def anonymous(report: Report) -> Report:
    """Leave the command and all folders out of a report, so that it can be shown to anybody."""
    kept = {key: _without_folders(value) for key, value in report.provenance.items() if key != "command"}
    return replace(report, provenance=kept, warnings=[_without_folders(w) for w in report.warnings])


def _without_folders(value: Any) -> Any:
    """Replace absolute paths by their last name. Folders of the user are known by name, others by their slashes."""
    if not isinstance(value, str):
        return value
    for folder in {str(Path.cwd()), str(Path.home())}:
        value = value.replace(f"{folder}/", "/")
    return re.sub(r"(?:[A-Za-z]:)?[/\\](?:[^\s/\\'\",;:]+[/\\])*(?=[^\s/\\])", "", value)
