"""Targets: what one training image holds, as tensors. The data pipeline puts them out, the losses take them in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

IGNORE = 255
"""Value of `Targets.semantic` where nothing is known; a catalogue has fewer categories."""


@dataclass(frozen=True)
class Targets:
    """Ground truth of one image of h x w pixels (a crop, or a whole image padded to its batch), in its own frame.

    Categories are indices into the catalogue, for things and stuff alike.
    """

    categories: Int[Tensor, " n"]
    """int64 catalogue index of each instance, things only; no crowds."""
    visible: Float[Tensor, "n 4"]
    """Box of the instance's pixels in this image: x0, y0, x1, y1, of positive size and inside the image."""
    open_sides: Bool[Tensor, "n 4"]
    """Left, top, right, bottom: whether the instance goes on past that border of the crop; False for a whole image."""
    instances: Int[Tensor, "h w"]
    """int16 row of the above that the pixel belongs to; -1: none."""
    semantic: Int[Tensor, "h w"]
    """uint8 catalogue index of the pixel's category, stuff and things (crowds too); IGNORE on void and padding."""
    ignore: Bool[Tensor, "h w"]
    """True on void, crowds and padding: no detection there is wrong."""
    padding: Int[Tensor, " 2"] = dataclasses.field(default_factory=lambda: torch.zeros(2, dtype=torch.int64))
    """Rows below and columns on the right that are not of the image."""

    def each(self, operation: Callable[[Tensor], Tensor]) -> Targets:
        """Apply an operation to each tensor."""
        return Targets(**{f.name: operation(getattr(self, f.name)) for f in dataclasses.fields(self)})

    def to(self, device: torch.device | str) -> Targets:
        """Return the same on another device."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))
