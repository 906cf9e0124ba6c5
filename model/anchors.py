"""Anchors: the reference boxes of the region proposal head. Ren et al., "Faster R-CNN", NeurIPS 2015."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def anchors(
    sizes: Sequence[tuple[int, int]], strides: Sequence[int], *, scale: float, ratios: Sequence[float]
) -> list[Float[Tensor, "_ 4"]]:
    """Anchors of each level, x0, y0, x1, y1 in pixels of the network's input; those beyond the image included.

    Row (y * width + x) * len(ratios) + r belongs to cell x, y and ratio r; it is centred on its cell.

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
        centre = (torch.stack([x, y], -1).view(-1, 1, 2) + 0.5) * stride
        levels.append(torch.cat([centre - half, centre + half], -1).view(-1, 4))
    return levels
