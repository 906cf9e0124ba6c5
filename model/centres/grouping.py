"""From semantics, a heat map of centers and offsets to instances: each pixel of a thing goes to the nearest center.

Cheng et al., "Panoptic-DeepLab", CVPR 2020, arXiv 1911.10194, Sec. 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

VOID = 255
STRIP = 1 << 19
"""Distances that are computed at a time: an image of 12 megapixels with 200 centers has 2.4e9."""


@dataclass(frozen=True)
class Grouped:
    """Instances of an image, best first."""

    centers: Int[Tensor, "n 2"]
    """Row and column of each center, by falling heat; equal ones by position."""
    category: Int[Tensor, " n"]
    """That of most pixels of each instance; VOID for one without pixels."""
    instances: Int[Tensor, "h w"]
    """Instance of each pixel; -1 on stuff, and where there is no center."""
    semantic: Int[Tensor, "h w"]
    """Category of each pixel, that of its instance for things; VOID on small stuff, and on things without center."""


def find_centers(heat: Float[Tensor, "h w"], *, threshold: float, window: int, most: int) -> Int[Tensor, "n 2"]:
    """Find the cells that are the highest of their window and above a threshold: the best ones, by falling heat.

    Args:
        heat: of centers.
        threshold: heat that a center exceeds.
        window: odd side of the square in which it is the highest; equal neighbors are centers, both.
        most: number of centers.
    """
    highest = F.max_pool2d(heat[None, None], window, stride=1, padding=window // 2)[0, 0]
    rows, columns = torch.nonzero((heat == highest) & (heat > threshold), as_tuple=True)
    order = heat[rows, columns].argsort(descending=True, stable=True)[:most]
    return torch.stack([rows[order], columns[order]], 1)


def nearest_center(
    points: Float[Tensor, "p 2"], centers: Int[Tensor, "n 2"], *, together: int = STRIP
) -> Int[Tensor, " p"]:
    """Return the center that is nearest to each point; of equally near ones the first. There is at least one.

    Args:
        points: row and column of each.
        centers: row and column of each.
        together: number of distances that are computed at a time.
    """
    found = centers.new_empty(len(points))  # one result for all strips: memory between small ones is not given back
    strip = max(1, together // len(centers))
    rows, columns = centers.to(points).unbind(1)
    for part, nearest in zip(points.split(strip), found.split(strip), strict=True):
        nearest.copy_(((part[:, :1] - rows).square_()).add_((part[:, 1:] - columns).square_()).argmin(1))
    return found


def group(
    semantic: Int[Tensor, "h w"],
    heat: Float[Tensor, "h w"],
    offset: Float[Tensor, "2 h w"],
    isthing: Bool[Tensor, " c"],
    *,
    threshold: float,
    window: int,
    most: int,
    stuff_area: int,
) -> Grouped:
    """Group the pixels of things around centers.

    Args:
        semantic: category of each pixel.
        heat: of centers.
        offset: rows and columns from each pixel to its center.
        isthing: whether each category is a thing.
        threshold, window, most: as for `find_centers`.
        stuff_area: number of pixels below which a stuff category is void.
    """
    semantic = semantic.long()
    centers = find_centers(heat, threshold=threshold, window=window, most=most)
    instances = torch.full_like(semantic, -1)
    category = torch.full((len(centers),), VOID, dtype=torch.int64, device=semantic.device)
    thing = isthing[semantic]
    if len(centers):
        rows, columns = torch.nonzero(thing, as_tuple=True)
        points = torch.stack([rows, columns], 1) + offset[:, rows, columns].T
        instances[rows, columns] = nearest_center(points, centers)
        votes = torch.bincount(
            instances[thing] * len(isthing) + semantic[thing], minlength=len(centers) * len(isthing)
        ).view(len(centers), -1)
        category = torch.where(votes.sum(1) > 0, votes.argmax(1), VOID)
    areas = torch.bincount(semantic[~thing], minlength=len(isthing))
    stuff = torch.where(areas[semantic] < stuff_area, VOID, semantic)
    of_thing = category[instances] if len(centers) else torch.full_like(semantic, VOID)
    return Grouped(centers, category, instances, torch.where(thing, of_thing, stuff))
