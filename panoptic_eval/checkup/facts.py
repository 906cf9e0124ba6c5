"""Numbers about one side of an input: images, segments, categories, void."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panoptic_eval.metrics.sums import histogram
from panoptic_eval.pairs.table import PairTable, Segments
from panoptic_eval.shapes import Float, Int

UNKNOWN = -1
"""Id of the category that stands for those that segments have and the ground truth lacks, which is an error."""


@dataclass(frozen=True)
class Facts:
    """Counts of one side; those of different images add."""

    sizes: Counter[tuple[int, int]]
    """Images of each height and width, pixels."""
    kinds: Counter[str]
    """PNGs of each mode."""
    segments: Int[np.ndarray, " c"]
    """Segments of each category, crowds included."""
    crowds: Int[np.ndarray, " c"]
    images_with: Int[np.ndarray, " c"]
    """Images that have the category."""
    pixels: Int[np.ndarray, " c"]
    crowd_pixels: Int[np.ndarray, " c"]
    most: Int[np.ndarray, " c"]
    """Largest number of segments of the category in an image."""
    area: Int[np.ndarray, " n"]
    """Pixels of each segment."""
    score: Float[np.ndarray, " t"]
    """Score of each thing segment; NaN where there is none."""
    per_image: Int[np.ndarray, " i"]
    """Segments of each image."""
    void: Float[np.ndarray, " i"]
    """Share of each image that belongs to no segment."""

    @property
    def images(self) -> int:
        """Number of images whose PNG could be read."""
        return len(self.per_image)


def facts_of(table: PairTable, side: Segments, images: Int[np.ndarray, " i"], kinds: Sequence[str]) -> Facts:
    """Count one side of some images.

    Args:
        table: that has them.
        side: its gt or its pred.
        images: rows of the table; its other images have no segment on this side.
        kinds: modes of the PNGs.
    """
    of = histogram(table, side.image, side.category)[images].astype(np.int64)
    c = len(table.catalogue)
    area = np.bincount(side.image, side.area, len(table))[images]
    total = table.size[images].prod(1)
    return Facts(
        sizes=Counter((int(h), int(w)) for h, w in table.size[images]),
        kinds=Counter(kinds),
        segments=of.sum(0),
        crowds=np.bincount(side.category[side.crowd], minlength=c),
        images_with=(of > 0).sum(0),
        pixels=np.bincount(side.category, side.area, c).astype(np.int64),
        crowd_pixels=np.bincount(side.category[side.crowd], side.area[side.crowd], c).astype(np.int64),
        most=of.max(0, initial=0),
        area=side.area,
        score=side.score[table.catalogue.isthing[side.category]],
        per_image=of.sum(1),
        void=1 - area / total,
    )


def joined(parts: Sequence[Facts]) -> Facts:
    """Add the counts of different images; there must be some."""

    def of(name: str) -> list[np.ndarray]:
        return [getattr(part, name) for part in parts]

    return Facts(
        sizes=sum((part.sizes for part in parts), Counter()),
        kinds=sum((part.kinds for part in parts), Counter()),
        most=np.max(of("most"), axis=0),
        **{name: np.sum(of(name), axis=0) for name in ("segments", "crowds", "images_with", "pixels", "crowd_pixels")},
        **{name: np.concatenate(of(name)) for name in ("area", "score", "per_image", "void")},
    )
