"""The mask of the object at a point: Sofiiuk et al., "AdaptIS", ICCV 2019 (arXiv 1909.07829), Sec. 3.1 and 3.2.

Widths and order of the layers are those of the authors' published code, but for two that change nothing: its first
convolution, of coordinates and features together, is here the sum of two, so that the second is made once an image and
not once a point; and it has no bias, since batch norm follows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from model.body.blocks import plain_separable
from model.ops.abn import ABN, SLOPE
from model.points.coordinates import relative_coordinates

_SLOPE = 0.2  # of the activation before AdaIN, in the authors' code
_EPS = 1e-5


class Controller(nn.Module):
    """Turns the feature of a point into a scale and a shift of each channel of the mask branch."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        widths = [inputs, channels, channels]
        self.hidden = nn.ModuleList(nn.Linear(width, channels) for width in widths)
        self.norm = nn.ModuleList(ABN(channels, activation=False) for _ in widths)  # after the activation
        self.scale = nn.Linear(channels, channels)
        self.shift = nn.Linear(channels, channels)

    def forward(self, features: Float[Tensor, "n c"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """Return the scale, which begins at 1, and the shift."""
        x = features
        for linear, norm in zip(self.hidden, self.norm, strict=True):
            x = norm(F.leaky_relu(linear(x), SLOPE))
        return 1 + self.scale(x), self.shift(x)


class MaskHead(nn.Module):
    """Mask logits of points, each of one image: the same layers for all, but for the controller's scales and shifts."""

    def __init__(self, inputs: int, channels: tuple[int, int, int], radius: float) -> None:
        super().__init__()
        self.radius = radius
        first, second, third = channels
        self.controller = Controller(inputs, first)
        self.coordinates = nn.Conv2d(3, first, 3, padding=1, bias=False)
        self.features = nn.Conv2d(inputs, first, 3, padding=1, bias=False)
        self.before = nn.Sequential(ABN(first), plain_separable(first, first), nn.Conv2d(first, first, 1))
        self.after = nn.Sequential(
            plain_separable(first, first), plain_separable(first, second), plain_separable(second, third)
        )
        self.logits = nn.Conv2d(third, 1, 1)

    def forward(
        self,
        features: Float[Tensor, "b c h w"],
        shared: Float[Tensor, "b d h w"],
        image: Int[Tensor, " n"],
        points: Float[Tensor, "n 2"],
    ) -> Float[Tensor, "n h w"]:
        """Return the mask logits of points.

        Args:
            features: that all heads see.
            shared: what `share` makes of them.
            image: row of the features that each point belongs to.
            points: rows and columns, cells of the features; the controller sees the nearest cell.
        """
        height, width = features.shape[-2:]
        row, column = points.round().long().unbind(1)
        seen = features[image, :, row.clamp(0, height - 1), column.clamp(0, width - 1)]
        scale, shift = self.controller(seen)
        where = relative_coordinates(points, (height, width), self.radius).to(shared.dtype)
        x = self.before(self.coordinates(where) + shared[image])
        x = adaptive_instance_norm(F.leaky_relu(x, _SLOPE), scale, shift)
        logits: Tensor = self.logits(self.after(x))
        return logits[:, 0]

    def share(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """Return the part of the first layer that is the same for all points of an image."""
        shared: Tensor = self.features(features)
        return shared


def adaptive_instance_norm(
    x: Float[Tensor, "n c h w"], scale: Float[Tensor, "n c"], shift: Float[Tensor, "n c"]
) -> Float[Tensor, "n c h w"]:
    """Normalize each channel of each row over its plane, then scale and shift it (AdaIN, arXiv 1703.06868)."""
    normal = F.instance_norm(x, eps=_EPS)
    return torch.addcmul(shift[..., None, None].to(x.dtype), normal, scale[..., None, None].to(x.dtype))
