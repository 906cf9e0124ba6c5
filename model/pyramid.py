"""Feature pyramid: Lin et al., CVPR 2017, arXiv 1612.03144; batch norm after every convolution as in Seamless."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import conv_abn
from model.config import PyramidConfig


class FeaturePyramid(nn.Module):
    """Levels P2, P3, … at `strides` 4, 8, …, all of the same number of channels."""

    def __init__(self, body_channels: Sequence[int], config: PyramidConfig) -> None:
        super().__init__()
        self.strides = tuple(4 * 2**i for i in range(len(body_channels) + config.extra_levels))
        self.lateral = nn.ModuleList(conv_abn(c, config.channels, 1) for c in body_channels)
        self.output = nn.ModuleList(conv_abn(config.channels, config.channels, 3) for _ in body_channels)
        self.extra = extra_levels(body_channels[-1], config.channels, config.extra_levels)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> list[Float[Tensor, "b c _ _"]]:
        """Return the levels from fine to coarse, given the body's features from fine to coarse."""
        merged = [lateral(x) for lateral, x in zip(self.lateral, features, strict=True)]
        for i in reversed(range(len(merged) - 1)):
            merged[i] = merged[i] + F.interpolate(merged[i + 1], merged[i].shape[-2:], mode="nearest")
        levels = [output(x) for output, x in zip(self.output, merged, strict=True)]
        return levels + descend(self.extra, features[-1])


def extra_levels(inputs: int, channels: int, count: int) -> nn.ModuleList:
    """Make the layers from the body's coarsest features, of `inputs` channels, to `count` levels, each half as large.

    As in Seamless' code: strided convolutions that start from the body, not pooling of the coarsest level.
    """
    return nn.ModuleList(conv_abn(inputs if i == 0 else channels, channels, 3, 2) for i in range(count))


def descend(extra: nn.ModuleList, x: Float[Tensor, "b _ _ _"]) -> list[Float[Tensor, "b c _ _"]]:
    """Return what each layer makes of the one before."""
    levels = []
    for layer in extra:
        x = layer(x)
        levels.append(x)
    return levels
