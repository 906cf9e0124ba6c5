"""Every choice that changes a number, with the trusted tools' habits as defaults: see docs/metrics.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from panoptic_eval.errors import InputError

CategoryIds = Literal["auto", "id", "position", "label", "trainId"]
"""auto: by the names that the JSON gives, else as in the ground truth. id: the data set's ids. position: 0 to n - 1 in
the order of the ground truth's categories. label: one less than the id, as Mapillary's own files. trainId: Cityscapes'.
"""
PERCENTILES = (0.0, 25.0, 50.0, 75.0, 99.0, 100.0)
"""Assumed: the paper names the 99th percentile alone, and shows five bins."""
PANOPTICAPI_QUIRKS = (
    "of several crowds of one category in an image only the last one listed excuses predictions",
    "areas of gt segments are those that its JSON states, not those of the PNG",
    "gt segments that its JSON lists and that have no pixel are false negatives",
)


@dataclass(frozen=True)
class Rules:
    """Every choice that changes a number."""

    protocol: Literal["default", "panopticapi"] = "default"
    """Rules of PQ. panopticapi repeats that tool's quirks with crowds, stated areas and segments without pixels."""
    pc_weight: Literal["image", "pixels"] = "image"
    """Weight of a gt segment in PC: its share of its image (TensorFlow's default), or its pixels."""
    miou_over: Literal["either", "gt"] = "either"
    """Categories that count in mIoU: those with pixels on either side (Cityscapes), or those with gt pixels."""
    percentiles: tuple[float, ...] = PERCENTILES
    """Edges of the size bins: percentiles of the areas of all things in gt."""
    area_edges: tuple[float, ...] = ()
    """Edges of the size bins in pixels of area; if there are any, they take the place of the percentiles."""

    @property
    def quirks(self) -> bool:
        """Return whether panopticapi's quirks are repeated."""
        return self.protocol == "panopticapi"

    def check(self) -> None:
        """Say what is wrong with the edges of the size bins, before anything is counted.

        Raises:
            InputError: fewer than two, not ascending, not finite, below 0, or percentiles above 100.
        """
        percentiles, areas = self.percentiles, self.area_edges
        if not (_ascend(percentiles) and percentiles[0] >= 0 and percentiles[-1] <= 100 and len(set(percentiles)) > 1):
            expected = "two or more ascending numbers from 0 to 100, such as 0 50 100"
            raise InputError(f"--percentiles {_given(percentiles)}: expected {expected}")
        if areas and not (_ascend(areas) and areas[0] >= 0):
            expected = "two or more ascending areas in pixels, such as 0 1024 9216"
            raise InputError(f"--area-edges {_given(areas)}: expected {expected}")


DEFAULT = Rules()


def check_boundary(ratio: float) -> None:
    """Say what is wrong with the distance of boundaries, before anything is counted.

    Raises:
        InputError: below 0, above 1, or not finite.
    """
    if not 0 <= ratio <= 1:
        raise InputError(f"--boundary {ratio:g}: expected a share of the image's diagonal from 0 to 1, such as 0.02")


def _ascend(values: Sequence[float]) -> bool:
    """Tell whether there are two edges or more, in order; equal ones are allowed, as objects of one size make them."""
    return len(values) > 1 and all(map(math.isfinite, values)) and all(a <= b for a, b in pairwise(values))


def _given(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values) or "without a value"
