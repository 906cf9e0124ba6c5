"""Which level of the feature pyramid a box belongs to: used by the network's heads, and by ISUS, which aims at it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Levels:
    """The levels that regions are pooled from; level 0 is P2, the finest.

    Lin et al., "Feature Pyramid Networks", CVPR 2017, Eq. 1: a box of size s = √(width * height) goes to level
    floor(2 + log2(s / canonical_size)), clamped to those that there are. By default levels switch at 112, 224, 448.
    """

    count: int = 4
    canonical_size: float = 224.0
    """Pixels of the network's input: where level 2 begins. Small crops want a smaller one."""

    def octave(self, level: int) -> tuple[float, float]:
        """Smallest box size of a level, and where the next begins; the end levels count as one octave wide, too."""
        return self.canonical_size * 2.0 ** (level - 2), self.canonical_size * 2.0 ** (level - 1)


def box_levels(boxes: Float[Tensor, "*n 4"], levels: Levels) -> Int[Tensor, "*n"]:
    """Level of each box x0, y0, x1, y1 (pixels of the network's input), int64.

    >>> box_levels(torch.tensor([[0.0, 0.0, 20.0, 10.0], [0.0, 0.0, 224.0, 224.0]]), Levels()).tolist()
    [0, 2]
    """
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    level = torch.zeros_like(area, dtype=torch.int64)
    for coarser in range(1, levels.count):  # comparisons, not a logarithm: exact at the switches, and 0 has no log
        level += area >= levels.octave(coarser)[0] ** 2
    return level
