"""Anchors: the reference boxes of the region proposal head. Ren et al., NeurIPS 2015, arXiv 1506.01497."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


@functools.lru_cache(maxsize=4)  # a step of training asks for the same ones as the step before
def level_anchors(
    sizes: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
    *,
    scale: float,
    ratios: tuple[float, ...],
    device: torch.device,
) -> tuple[Float[Tensor, "m 4"], Int[Tensor, " m"]]:
    """Return the anchors of all levels together, and the level of each, on a device; arguments as of `anchors`."""
    with torch.inference_mode(False):  # what is made once while predicting must do for training as well
        by_level = anchors(sizes, strides, scale=scale, ratios=ratios)
        level = torch.cat([torch.full((len(boxes),), i) for i, boxes in enumerate(by_level)])
        return torch.cat(by_level).to(device), level.to(device)


def anchors(
    sizes: Sequence[tuple[int, int]], strides: Sequence[int], *, scale: float, ratios: Sequence[float]
) -> list[Float[Tensor, "_ 4"]]:
    """Return the anchors of each level, x0, y0, x1, y1 in pixels of the network's input, the image's borders ignored.

    Row (y * width + x) * len(ratios) + r belongs to cell x, y and ratio r; it is centered on its cell.

    Args:
        sizes: height, width of each level, cells.
        strides: pixels that a cell of each level covers.
        scale: side of an anchor of ratio 1, in strides of its level.
        ratios: height over width; the area does not depend on it.

    >>> anchors([(1, 2)], [8], scale=2, ratios=[4])[0].tolist()
    [[0.0, -12.0, 8.0, 20.0], [8.0, -12.0, 16.0, 20.0]]
    """
    ratio = torch.tensor(ratios, dtype=torch.float32)
    shape = torch.stack([ratio.rsqrt(), ratio.sqrt()], -1)  # width, height
    levels = []
    for (height, width), stride in zip(sizes, strides, strict=True):
        half = scale * stride / 2 * shape
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        center = (torch.stack([x, y], -1).view(-1, 1, 2) + 0.5) * stride
        levels.append(torch.cat([center - half, center + half], -1).view(-1, 4))
    return levels
