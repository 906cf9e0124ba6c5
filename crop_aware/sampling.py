"""Instance scale-uniform sampling (ISUS) over plain arrays: Porzi et al., CVPR 2021, arXiv 2012.07717, Sec. 2.1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler


@dataclass(frozen=True)
class Crop:
    """What to train on: rescale an image, then cut a window."""

    image: int
    """Index of the image."""
    box: int
    """Index of the box for which the crop was drawn; it is at least partly in the window."""
    level: int
    """Pyramid level that the box was to be brought to, 0 the finest."""
    scale: float
    """Factor by which the image is resized."""
    window: tuple[int, int, int, int]
    """x0, y0, x1, y1 in the resized image, pixels. It ends beyond an image that is smaller than a crop."""


class ScaleUniformSampler(Sampler[Crop]):
    """A torch sampler of crops whose objects are spread evenly over pyramid levels.

    1. a category, uniformly; 2. an image that has it, uniformly; 3. a level, uniformly; 4. one of its boxes in the
    image that a factor within `scales` brings to the level, or any if there is none; 5. the factor that brings its
    √(width * height) to a size log-uniform within the level, clamped to `scales`; 6. a window that shows a random point
    of the box at a random place. What the paper leaves open, steps 4 to 6, is our choice.

    A crop depends on seed, epoch and its number alone. Ranks that share an epoch take each their part of one sampler's
    crops, as by torch's DistributedSampler.

    Args:
        boxes: x0, y0, x1, y1 of all boxes, pixels of their images; of positive size.
        image_of: index of the image of each box.
        categories: of each box.
        image_sizes: height, width of each image.
        crop: side of the square window, pixels.
        samples: number of crops in an epoch.
        levels: sizes √(width * height) at which the next level begins, pixels, ascending.
        scales: smallest and largest factor, after the image was brought to `shortest`.
        shortest: shorter side that every image is brought to first, pixels; None: as it is.
        seed: of all crops.

    Raises:
        ValueError: arrays of different lengths, a box without area or of an image that is not there, or levels or
            scales that do not ascend from above 0.
    """

    def __init__(
        self,
        boxes: ArrayLike,
        image_of: ArrayLike,
        categories: ArrayLike,
        image_sizes: ArrayLike,
        *,
        crop: int,
        samples: int,
        levels: Sequence[float] = (112.0, 224.0, 448.0),
        scales: tuple[float, float] = (0.25, 4.0),
        shortest: int | None = None,
        seed: int = 0,
    ) -> None:
        self.boxes = np.asarray(boxes, float).reshape(-1, 4)
        self.image_of, self.categories = np.asarray(image_of, np.int64), np.asarray(categories)
        self.image_sizes = np.asarray(image_sizes, np.int64).reshape(-1, 2)
        self.crop, self.samples, self.levels, self.scales = crop, samples, tuple(levels), scales
        self.shortest, self.seed, self.epoch = shortest, seed, 0
        self._check()
        self._names = np.unique(self.categories)
        self._images = {name: np.unique(self.image_of[self.categories == name]) for name in self._names.tolist()}

    def _check(self) -> None:
        if not len(self.boxes) == len(self.image_of) == len(self.categories) > 0:
            raise ValueError(
                f"there are {len(self.boxes)} boxes, {len(self.image_of)} images of boxes and {len(self.categories)} "
                "categories; expected as many of each, at least one"
            )
        if (self.boxes[:, 2:] <= self.boxes[:, :2]).any():
            row = int((self.boxes[:, 2:] <= self.boxes[:, :2]).any(1).argmax())
            raise ValueError(f"box {row} is {self.boxes[row].tolist()}; expected x0, y0, x1, y1 with a positive size")
        if self.image_of.min() < 0 or self.image_of.max() >= len(self.image_sizes):
            raise ValueError(f"a box is of an image that is not there; expected 0 to {len(self.image_sizes) - 1}")
        for name, values in (("levels", self.levels), ("scales", self.scales)):
            if not values or values[0] <= 0 or any(a > b for a, b in pairwise(values)):
                raise ValueError(f"{name} are {values}; expected numbers above 0 that ascend")

    def __len__(self) -> int:
        return self.samples

    def __iter__(self) -> Iterator[Crop]:
        return map(self.draw, range(self.samples))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch: each has other crops."""
        self.epoch = epoch

    def draw(self, number: int) -> Crop:
        """Draw the crop of a number, 0 to `samples` - 1."""
        draw = np.random.default_rng((self.seed, self.epoch, number)).random(9).tolist()
        name = self._names[int(draw[0] * len(self._names))].item()
        images = self._images[name]
        image = int(images[int(draw[1] * len(images))])
        rows = np.flatnonzero((self.image_of == image) & (self.categories == name))
        height, width = self.image_sizes[image].tolist()
        base = 1.0 if self.shortest is None else self.shortest / min(height, width)
        level = int(draw[2] * (len(self.levels) + 1))
        sides = self.boxes[rows, 2:] - self.boxes[rows, :2]
        sizes = base * np.sqrt(sides.prod(1))
        low = self.levels[level - 1] if level else 0.0
        high = self.levels[level] if level < len(self.levels) else math.inf
        reaching = np.flatnonzero((sizes * self.scales[1] >= low) & (sizes * self.scales[0] < high))
        chosen = int((reaching if len(reaching) else np.arange(len(rows)))[int(draw[3] * (len(reaching) or len(rows)))])
        low, high = (low, 2 * low) if math.isinf(high) else (low or high / 2, high)  # the end levels are an octave, too
        wanted = low * (high / low) ** draw[4] / sizes[chosen]
        scale = base * min(max(wanted, self.scales[0]), self.scales[1])
        box = self.boxes[rows[chosen]] * scale
        start = []
        for k, extent in enumerate((width, height)):
            point = box[k] + draw[5 + k] * (box[k + 2] - box[k])
            most = max(0, round(extent * scale) - self.crop)
            start.append(min(max(0, int(point - draw[7 + k] * self.crop)), most))
        window = (start[0], start[1], start[0] + self.crop, start[1] + self.crop)
        return Crop(image, int(rows[chosen]), level, scale, window)
