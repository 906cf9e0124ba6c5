"""What a network of centers learns: a heat map of centers, and at each pixel of a thing the way to its center.

Cheng et al., "Panoptic-DeepLab", CVPR 2020, arXiv 1911.10194, Sec. 3.3; numbers as in its first author's PyTorch code.
Positions are row and column in whole pixels: the center of the first pixel is 0, 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from model.targets import Targets

OpenOffsets = Literal["counted", "left_out"]


@dataclass(frozen=True)
class CenterTargets:
    """Targets of one image of h x w pixels, and how much each pixel counts."""

    centers: Float[Tensor, "n 2"]
    """Mean row and column of the visible pixels of each instance."""
    heat: Float[Tensor, "h w"]
    """1 at the pixel of a center, falling as a Gaussian; the largest of all instances."""
    offset: Float[Tensor, "2 h w"]
    """Rows and columns from a pixel to the center of its instance; 0 where there is none."""
    semantic_weight: Float[Tensor, "h w"]
    """Larger on small instances, else 1."""
    heat_weight: Float[Tensor, "h w"]
    """1, but 0 where nothing is known."""
    offset_weight: Float[Tensor, "h w"]
    """1 on pixels of instances that count, else 0."""


def center_targets(
    targets: Targets, *, sigma: float, small_area: int, small_weight: float, open_offsets: OpenOffsets = "counted"
) -> CenterTargets:
    """Draw the targets of an image. An object that the crop cuts has the center of its visible part.

    Args:
        targets: of the image; crowds are none of its instances.
        sigma: width of a Gaussian, pixels.
        small_area: pixels below which an instance is small.
        small_weight: weight of its pixels in the semantic loss.
        open_offsets: whether offsets count where an instance has an open side.
    """
    height, width = targets.instances.shape
    device, n = targets.instances.device, len(targets.categories)
    y, x = (torch.arange(k, device=device, dtype=torch.float64) for k in (height, width))
    row = targets.instances.long()
    solid = row >= 0
    at = row[solid]
    area = torch.bincount(at, minlength=n)
    positions = [grid[solid] for grid in torch.meshgrid(y, x, indexing="ij")]
    sums = torch.stack([torch.bincount(at, position, n) for position in positions], 1)
    centers = sums / area.clamp(min=1)[:, None]

    heat = torch.zeros(height, width, device=device)
    reach = 3 * sigma + 1
    for top, left in centers[area > 0].trunc().tolist():
        down, across = (
            torch.where((axis - middle).abs() <= reach, torch.exp(-((axis - middle) ** 2) / (2 * sigma**2)), 0)
            for axis, middle in ((y, top), (x, left))
        )
        heat = torch.maximum(heat, torch.outer(down, across).float())

    offset = torch.zeros(2, height, width, device=device)
    for k in (0, 1):
        offset[k][solid] = (centers[at, k] - positions[k]).float()
    learned = solid
    if open_offsets == "left_out":
        learned = torch.zeros_like(solid).masked_scatter(solid, ~targets.open_sides.any(1)[at])
    weight = torch.ones(height, width, device=device)
    weight[solid] = torch.where(area < small_area, small_weight, 1.0)[at].float()
    return CenterTargets(centers, heat, offset, weight, (~targets.ignore).float(), learned.float())
