"""Levels of the feature pyramid that boxes belong to. The network's heads pool from them, and ISUS aims at them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.config import Levels


def box_levels(boxes: Float[Tensor, "*n 4"], levels: Levels) -> Int[Tensor, "*n"]:
    """Return the level of each box x0, y0, x1, y1 (pixels of the network's input), int64, by the rule of `Levels`.

    >>> box_levels(torch.tensor([[0.0, 0.0, 20.0, 10.0], [0.0, 0.0, 224.0, 224.0]]), Levels()).tolist()
    [0, 2]
    """
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    level = torch.zeros_like(area, dtype=torch.int64)
    for coarser in range(1, levels.count):  # comparisons, not a logarithm: exact at the switches, and 0 has no log
        level += area >= levels.octave(coarser)[0] ** 2
    return level
