"""What ids mean, as columns beside them; faults as lines, one an example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from panoptic_eval.errors import Fault, Faults
from panoptic_eval.labels import LabelMaps, resolve


@dataclass(frozen=True)
class Meaning:
    """Columns beside the ids that were asked for; -1, False and NaN where an id is no segment."""

    segment: np.ndarray
    category: np.ndarray
    crowd: np.ndarray
    score: np.ndarray
    stated_area: np.ndarray
    row: np.ndarray


def meaning_of(maps: LabelMaps, image: Any, ids: Any, **options: Any) -> tuple[Meaning, list[str]]:
    """The meaning, and what `lines` makes of the faults."""
    faults = Faults()
    listed, row = resolve(maps, image, ids, faults, **options)
    at = np.maximum(row, -1)  # the last entry serves ids that are no segment
    return Meaning(
        segment=np.where(row < 0, -1, np.asarray(ids, np.int64)),
        category=np.append(listed.category, -1)[at],
        crowd=np.append(listed.crowd, False)[at],
        score=np.append(listed.score, np.nan)[at],
        stated_area=np.append(listed.area, -1)[at],
        row=row,
    ), lines(faults)


def lines(faults: Any) -> list[str]:
    """A line for each example of each fault of an error or a collector."""
    return [
        str(Fault(fault.kind, (place,))) if place else str(fault)
        for fault in faults.faults
        for place in fault.places or ("",)
    ]
