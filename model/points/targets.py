"""What masks and proposals are taught at: points of instances, drawn at random, and the masks that they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from model.targets import Targets


@dataclass(frozen=True)
class Points:
    """Pixels of an image, and the instances that they belong to."""

    positions: Int[Tensor, "p 2"]
    """Row and column of each."""
    instances: Int[Tensor, " p"]
    """Row of each in the image's `Targets`."""


def draw_points(targets: Targets, generator: torch.Generator, *, count: int, least_area: int) -> tuple[Points, Points]:
    """Draw points of different instances, and as many of a single one.

    Sofiiuk et al., "AdaptIS", ICCV 2019 (arXiv 1909.07829), Sec. 3.5. The authors' code now and then draws a point of
    an ignored region, of whose mask nothing is known: it teaches nothing, so there is none here.

    Args:
        targets: of an image.
        generator: on the CPU.
        count: points of each kind. There are fewer of the first where there are fewer instances; where there is none,
            there is no point.
        least_area: visible pixels from which an instance gets points.

    Returns:
        Points of different instances, of each a pixel that is drawn uniformly; and such pixels of one instance, among
        which some may be equal.
    """
    device = targets.instances.device
    areas = torch.bincount(targets.instances.flatten() + 1, minlength=len(targets.categories) + 1)[1:]
    large = (areas >= max(1, least_area)).nonzero()[:, 0].cpu()
    several = large[torch.randperm(len(large), generator=generator)[:count]]
    positions = [_pixels(targets, row, 1, generator) for row in several.tolist()]
    alone = several.new_zeros(0)
    inside = positions[:0]
    if len(large):
        alone = large[torch.randint(len(large), (1,), generator=generator)].expand(count)
        inside = [_pixels(targets, int(alone[0]), count, generator)]
    none = torch.zeros((0, 2), dtype=torch.int64, device=device)
    return Points(torch.cat([none, *positions]), several.to(device)), Points(
        torch.cat([none, *inside]), alone.to(device)
    )


def mask_labels(targets: Targets, instances: Int[Tensor, " p"]) -> Int[Tensor, "p h w"]:
    """Return the masks of instances, int8: 1 inside, 0 outside, -1 on void, crowds and padding."""
    inside = targets.instances == instances[:, None, None]
    return torch.where(targets.ignore & ~inside, -1, inside.to(torch.int8)).to(torch.int8)


def _pixels(targets: Targets, row: int, count: int, generator: torch.Generator) -> Int[Tensor, "count 2"]:
    own = (targets.instances == row).nonzero()
    return own[torch.randint(len(own), (count,), generator=generator).to(own.device)]
