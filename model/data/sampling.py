"""Which crops to train on: class-uniform (CUS) and instance scale-uniform (ISUS) sampling.

Porzi et al., "Improving Panoptic Segmentation at All Scales", CVPR 2021, arXiv 2012.07717, Sec. 2.1. Its Algorithm 1,
in the supplementary material, could not be found; what the text leaves open is marked "our choice".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from model.config import Levels, SampleConfig
from model.data.index import DataIndex
from panoptic_eval.errors import InputError

CROP_STREAM = 3
"""Tells what is drawn here from what else is drawn from the same seed."""


@dataclass(frozen=True)
class CropRequest:
    """Order for one training sample: all that is random about it, so that making it is a function."""

    number: int
    """Number of the sample in its stream."""
    image: int
    """Index into the data set's maps."""
    category: int
    """Catalogue index of the category drawn."""
    segment: int
    """Id of a segment of this category in the image's PNG; the crop shows a pixel of it."""
    level: int | None
    """Pyramid level that ISUS wants the segment on; None where the scale is drawn otherwise."""
    scale: float
    """Resize factor, from the image to what the crop is cut from."""
    flip: bool
    """Mirror the crop, left to right."""
    pixel: float
    """Position of a pixel among those of the segment, 0 to 1 in raster order."""
    place: tuple[float, float]
    """Position y, x of this pixel in the crop, 0 to 1, as far as the image's borders allow."""


@dataclass(frozen=True)
class Sampler:
    """Source of requests over a data set. Its sequence of categories and images depends on the seed alone.

    Raises:
        InputError: the data set holds nothing but void and crowds, or ISUS has no pyramid levels to aim at.
    """

    index: DataIndex
    config: SampleConfig
    levels: Levels | None
    """Pyramid levels of the network that learns: the rule by which it assigns instances to them; None if it has none,
    which is enough for class-uniform sampling."""
    seed: int

    def __post_init__(self) -> None:
        if not len(self._segments):
            raise InputError("the data set has no segment to sample; expected labels that are not void or crowd")
        if self.config.sampling == "isus" and self.levels is None:
            raise InputError("sample.sampling is 'isus', but the network has no pyramid levels; expected 'cus'")

    def request(self, number: int) -> CropRequest:
        """Draw the request of a number, 0, 1, …: a pure function of seed and number.

        1. a category, uniformly; 2. an image that has it, uniformly, rescaled to the shortest side; 3. a scale
        factor; 4. a place where the category is visible. Stuff, and under CUS everything, gets a factor uniform in
        `stuff_scales`, and its place is around any pixel of the category. Under ISUS a thing category gets a uniform
        level, a uniform instance (`SampleConfig.isus` says of which), and the factor that brings the instance to that
        level, clamped to `thing_scales` (our choice: to a size log-uniform within the level; and the crop is cut where
        this instance is visible).
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
        most = math.inf if self.config.longest is None else self.config.longest / max(height, width)
        smallest, largest = self.config.stuff_scales
        standard = min(scale * (smallest + (largest - smallest) * draw[4]), most)
        level = None
        if self.config.sampling == "isus" and self.index.catalogue.isthing[category]:
            levels = self.levels
            assert levels is not None  # as was checked
            scale = min(scale, most)
            level = int(draw[3] * levels.count)
            if self.config.isus == "level_first":
                rows = self._reaching(rows, levels, level, scale)
            row = int(rows[int(draw[2] * len(rows))])
            size = float(scale * self._sizes(np.array([row]))[0])
            if self.config.isus == "level_first" and _within(size, levels, level):
                scale = standard
            else:
                low, high = levels.octave(level)
                wanted = low * (high / low) ** draw[4] / size
                scale *= min(max(wanted, self.config.thing_scales[0]), self.config.thing_scales[1])
        else:
            ends = np.cumsum(self.index.area[rows])  # any pixel of the category: its segments by their area
            row = int(rows[np.searchsorted(ends, draw[2] * ends[-1], side="right")])
            scale = standard
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

    def _sizes(self, rows: Int[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
        """Return √(width * height) of the boxes of rows, pixels of the image."""
        x0, y0, x1, y1 = self.index.box[rows].astype(np.int64).T
        return np.sqrt((x1 - x0) * (y1 - y0))

    def _reaching(self, rows: Int[np.ndarray, " r"], levels: Levels, level: int, scale: float) -> Int[np.ndarray, " r"]:
        """Return the rows of instances that a factor within `thing_scales` brings to a level; all if none is."""
        smallest, largest = self.config.thing_scales
        low, high = _ends(levels, level)
        sizes = scale * self._sizes(rows)
        reaching = (sizes * largest >= low) & (sizes * smallest < high)
        return rows[reaching] if reaching.any() else rows

    @cached_property
    def _segments(self) -> Int[np.ndarray, " k"]:
        """Return the rows of the index that are no crowds, by category and then by image."""
        rows = np.flatnonzero(~self.index.crowd)
        return rows[np.argsort(self.index.category[rows], kind="stable")]

    @cached_property
    def _segment_category(self) -> Int[np.ndarray, " k"]:
        return self.index.category[self._segments]

    @cached_property
    def _categories(self) -> Int[np.ndarray, " c"]:
        """Return the categories that the data set has."""
        return np.unique(self._segment_category)

    @cached_property
    def _images(self) -> dict[int, Int[np.ndarray, " i"]]:
        """Return the images that have each category."""
        return {
            int(c): np.unique(self.index.image[self._rows(self._segments, self._segment_category, int(c))])
            for c in self._categories
        }

    @staticmethod
    def _rows(rows: Int[np.ndarray, " k"], key: Int[np.ndarray, " k"], value: int) -> Int[np.ndarray, " r"]:
        """Return the rows whose key, ascending, is the value."""
        first, last = np.searchsorted(key, (value, value + 1))
        return rows[first:last]


def _ends(levels: Levels, level: int) -> tuple[float, float]:
    """Return the smallest box size of a level and that of the next: the end levels take all smaller or larger boxes."""
    low, high = levels.octave(level)
    return low if level > 0 else 0.0, high if level < levels.count - 1 else math.inf


def _within(size: float, levels: Levels, level: int) -> bool:
    low, high = _ends(levels, level)
    return bool(low <= size < high)
