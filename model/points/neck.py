"""What all heads of AdaptIS see: context joined by finer features, as in DeepLabV3+ (arXiv 1802.02611)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import conv_abn, plain_separable
from model.config import PointConfig
from model.context import Context


class Neck(nn.Module):
    """Context of the coarsest features, then a decoder at the resolution of the finest."""

    def __init__(self, finest: int, coarsest: int, config: PointConfig) -> None:
        super().__init__()
        width, skip = config.context.channels, config.skip_channels
        self.context = Context(coarsest, config.context)
        self.narrow = conv_abn(finest, skip, 1)
        self.merge = nn.Sequential(
            plain_separable(width + skip, width), plain_separable(width, width), nn.Conv2d(width, width, 1)
        )

    def forward(self, finest: Float[Tensor, "b _ h w"], coarsest: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b c h w"]:
        """Return features at the resolution of the finest ones."""
        x = F.interpolate(self.context(coarsest), finest.shape[-2:], mode="bilinear", align_corners=False)
        merged: Tensor = self.merge(torch.cat([x, self.narrow(finest)], 1))
        return merged
