"""Mask head: which part of a box is its instance. He et al., "Mask R-CNN", ICCV 2017, arXiv 1703.06870."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import conv_abn, separable
from model.config import ROIConfig
from model.ops.abn import ABN


class MaskHead(nn.Module):
    """A few 3x3 convolutions, then twice the resolution, then one mask per thing."""

    def __init__(self, channels: int, things: int, config: ROIConfig) -> None:
        super().__init__()
        width = config.mask_channels
        inputs = [channels, *[width] * config.mask_convolutions]
        layer = separable if config.separable_masks else conv_abn
        self.hidden = nn.Sequential(
            *[layer(c, width, 3) for c in inputs[:-1]],
            nn.ConvTranspose2d(inputs[-1], width, 2, 2, bias=False),
            ABN(width),
        )
        self.masks = nn.Conv2d(width, things, 1)

    def forward(self, regions: Float[Tensor, "r c p p"]) -> Float[Tensor, "r things 2*p 2*p"]:
        """Return logits of each thing's mask; sample i, j is the center of one of 2p x 2p cells of the box."""
        logits: Tensor = self.masks(self.hidden(regions))
        return logits
