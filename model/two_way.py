"""Two-way pyramid of EfficientPS: Mohan and Valada, IJCV 2021, arXiv 2004.02307, Sec. 3.2.

As the paper describes it: one path down, one path up, separable convolutions. (In its authors' code both
paths run down.) How the path up halves the size, the paper does not say: by the maximum of 3x3 cells, our choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import conv_abn, separable
from model.config import TwoWayConfig
from model.pyramid import descend, extra_levels


class TwoWayPyramid(nn.Module):
    """Levels P2, P3, … at `strides` 4, 8, …, all of the same number of channels; the first four see all features."""

    def __init__(self, body_channels: Sequence[int], config: TwoWayConfig) -> None:
        super().__init__()
        self.strides = tuple(4 * 2**i for i in range(len(body_channels) + config.extra_levels))
        self.down, self.up = (
            nn.ModuleList(conv_abn(c, config.channels, 1, activation=False) for c in body_channels) for _ in range(2)
        )
        self.output = nn.ModuleList(separable(config.channels, config.channels, 3) for _ in body_channels)
        self.extra = extra_levels(body_channels[-1], config.channels, config.extra_levels)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> list[Float[Tensor, "b c _ _"]]:
        """Return the levels from fine to coarse, given the body's features from fine to coarse."""
        down, up = (
            [lateral(x) for lateral, x in zip(laterals, features, strict=True)] for laterals in (self.down, self.up)
        )
        for i in range(1, len(features)):
            up[i] = up[i] + F.max_pool2d(up[i - 1], 3, 2, 1)
            fine = -1 - i
            down[fine] = down[fine] + F.interpolate(down[fine + 1], down[fine].shape[-2:], mode="nearest")
        levels = [output(a + b) for output, a, b in zip(self.output, down, up, strict=True)]
        return levels + descend(self.extra, features[-1])
