"""Things-and-stuff consistency: TASCNet (Li et al., "Learning to Fuse Things and Stuff", 2018, arXiv 1812.01192).

No code of it was published. What its text leaves open is our choice: which regions (positive proposals, with their true
category), the mean over pixels, its weight, and thresholds without gradient.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

THRESHOLD = 0.5
"""Probability from which a pixel counts, on both sides."""


def thing_map(semantic_logits: Float[Tensor, "c h w"], isthing: Bool[Tensor, " c"]) -> Float[Tensor, "h w"]:
    """Return where the semantic head sees things: the sum of their probabilities where it is above 1/2 and a thing is
    the most likely category; else 0.
    """
    probability = semantic_logits.softmax(0)
    things = probability[isthing].sum(0)
    seen = isthing[semantic_logits.max(0).indices] & (things > THRESHOLD)
    return torch.where(seen, things, 0)


def flattened(
    mask_logits: Float[Tensor, "r m m"], boxes: Float[Tensor, "r 4"], size: tuple[int, int]
) -> Float[Tensor, "h w"]:
    """Return where regions see their instances: on a blank map, the mean of the probabilities above 1/2 of all regions.

    Args:
        mask_logits: of each region, for its category.
        boxes: x0, y0, x1, y1 of each region, in cells of the map; a cell's center is at 0.5.
        size: height, width of the map.
    """
    total, count = mask_logits.new_zeros(size), mask_logits.new_zeros(size)
    for logits, box in zip(mask_logits, boxes.tolist(), strict=True):
        (left, right), (top, bottom) = (_cells(box[k], box[k + 2], size[1 - k]) for k in (0, 1))
        if right <= left or bottom <= top:
            continue
        y = (torch.arange(top, bottom, device=logits.device) + 0.5 - box[1]) / (box[3] - box[1])
        x = (torch.arange(left, right, device=logits.device) + 0.5 - box[0]) / (box[2] - box[0])
        grid = torch.stack(torch.meshgrid(2 * y - 1, 2 * x - 1, indexing="ij")[::-1], -1).to(logits)
        sampled = F.grid_sample(logits.sigmoid()[None, None], grid[None], padding_mode="border", align_corners=False)
        inside = sampled[0, 0]
        seen = inside > THRESHOLD
        total[top:bottom, left:right] += torch.where(seen, inside, 0)
        count[top:bottom, left:right] += seen
    return total / count.clamp(min=1)


def consistency_loss(
    semantic_logits: Float[Tensor, "c h w"],
    isthing: Bool[Tensor, " c"],
    mask_logits: Float[Tensor, "r m m"],
    boxes: Float[Tensor, "r 4"],
    *,
    known: Bool[Tensor, "h w"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean over pixels of the squared difference of the two maps; the gradient passes through their values.

    Args:
        semantic_logits: of all categories, on the map.
        isthing: whether each category is a thing.
        mask_logits, boxes: as for `flattened`.
        known: pixels that count; by default all. If there is none, the loss is 0.
    """
    size = semantic_logits.shape[1], semantic_logits.shape[2]
    squares = (thing_map(semantic_logits, isthing) - flattened(mask_logits, boxes, size)).square()
    return squares.mean() if known is None else (squares * known).sum() / known.sum().clamp(min=1)


def _cells(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the first cell whose center is inside, and one past the last."""
    return max(0, math.ceil(low - 0.5)), min(size, math.ceil(high - 0.5))
