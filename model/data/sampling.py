"""Which crops to train on: class-uniform (CUS) and instance scale-uniform (ISUS) sampling.

Porzi et al., "Improving Panoptic Segmentation at All Scales", CVPR 2021, Sec. 2.1. Its Algorithm 1, in the
supplementary material, could not be found; what the text leaves open is marked "assumed".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from model.config import Levels, SampleConfig
from model.data.index import DataIndex
from panoptic_eval.errors import InputError

CROP_STREAM = 3
"""Tells what is drawn here from what else is drawn from the same seed."""


@dataclass(frozen=True)
class CropRequest:
    """One training sample to be made: all that is random about it, so that making it is a function."""

    number: int
    """Of the sample in its stream."""
    image: int
    """Index into the data set's maps."""
    category: int
    """The category drawn, an index into the catalogue."""
    segment: int
    """Id of one of its segments in the image's PNG, of which the crop shows a pixel."""
    level: int | None
    """The pyramid level that ISUS wants the segment on; None where the scale is drawn otherwise."""
    scale: float
    """Resize factor, from the image to what the crop is cut from."""
    flip: bool
    """Mirror the crop, left to right."""
    pixel: float
    """Which pixel of the segment, 0 to 1 in raster order."""
    place: tuple[float, float]
    """Where in the crop this pixel comes to lie, if the image's borders allow: y, x, 0 to 1."""


@dataclass(frozen=True)
class Sampler:
    """Draws requests over a data set. Which categories and images follow each other depends on the seed alone.

    Raises:
        InputError: the data set holds nothing but void and crowds.
    """

    index: DataIndex
    config: SampleConfig
    levels: Levels
    """Of the network that learns (`config.roi.levels`): the rule by which it assigns instances to levels."""
    seed: int

    def __post_init__(self) -> None:
        if not len(self._segments):
            raise InputError("the data set has no segment to sample; expected labels that are not void or crowd")

    def request(self, number: int) -> CropRequest:
        """The request of a number, 0, 1, …: a pure function of seed and number.

        1. a category, uniformly; 2. an image that has it, uniformly, rescaled to the shortest side; 3. a scale
        factor; 4. a place where the category is visible. Stuff, and under CUS everything, gets a factor uniform in
        `stuff_scales`, and its place is around any pixel of the category. Under ISUS a thing category gets a uniform
        instance, a uniform level, and the factor that brings the instance to that level, clamped to `thing_scales`
        (assumed: to a size log-uniform within the level; and the crop is cut where this instance is visible).
        """
        # A fixed number of draws, each with one use, so that all kinds of sampling see the same images.
        draw = np.random.default_rng((self.seed, CROP_STREAM, number)).random(9).tolist()
        category = int(self._categories[int(draw[0] * len(self._categories))])
        of_category = self._rows(self._segments, self._segment_category, category)
        image_of = self.index.image[of_category]
        images = self._images[category]
        image = int(images[int(draw[1] * len(images))])
        rows = self._rows(of_category, image_of, image)

        height, width = self.index.size[image].tolist()
        scale = self.config.shortest / min(height, width)
        level = None
        if self.config.sampling == "isus" and self.index.catalogue.isthing[category]:
            row = int(rows[int(draw[2] * len(rows))])
            level = int(draw[3] * self.levels.count)
            x0, y0, x1, y1 = self.index.box[row].tolist()
            low, high = self.levels.octave(level)
            wanted = low * (high / low) ** draw[4] / (scale * math.sqrt((x1 - x0) * (y1 - y0)))
            scale *= min(max(wanted, self.config.thing_scales[0]), self.config.thing_scales[1])
        else:
            ends = np.cumsum(self.index.area[rows])  # any pixel of the category: its segments by their area
            row = int(rows[np.searchsorted(ends, draw[2] * ends[-1], side="right")])
            smallest, largest = self.config.stuff_scales
            scale *= smallest + (largest - smallest) * draw[4]
        return CropRequest(
            number=number,
            image=image,
            category=category,
            segment=int(self.index.id[row]),
            level=level,
            scale=scale,
            flip=draw[5] < 0.5,
            pixel=draw[6],
            place=(draw[7], draw[8]),
        )

    @cached_property
    def _segments(self) -> Int[np.ndarray, " k"]:
        """Rows of the index that are no crowds, by category and then by image."""
        rows = np.flatnonzero(~self.index.crowd)
        return rows[np.argsort(self.index.category[rows], kind="stable")]

    @cached_property
    def _segment_category(self) -> Int[np.ndarray, " k"]:
        return self.index.category[self._segments]

    @cached_property
    def _categories(self) -> Int[np.ndarray, " c"]:
        """Those that the data set has."""
        return np.unique(self._segment_category)

    @cached_property
    def _images(self) -> dict[int, Int[np.ndarray, " i"]]:
        """Images that have each category."""
        return {
            int(c): np.unique(self.index.image[self._rows(self._segments, self._segment_category, int(c))])
            for c in self._categories
        }

    @staticmethod
    def _rows(rows: Int[np.ndarray, " k"], key: Int[np.ndarray, " k"], value: int) -> Int[np.ndarray, " r"]:
        """Those rows whose key, ascending, is the value."""
        first, last = np.searchsorted(key, (value, value + 1))
        return rows[first:last]
