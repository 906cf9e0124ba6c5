"""Pyramid pooling: what surrounds each cell, near and far.

Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", arXiv 1706.05587, Sec. 3.3.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import conv_abn, separable
from model.config import ContextConfig
from model.ops.abn import ABN
from model.semantic_heads import local_average


class Context(nn.Module):
    """A 1x1 convolution, dilated 3x3 ones, and the average of a wide window, side by side; a 1x1 merges them."""

    def __init__(self, inputs: int, config: ContextConfig) -> None:
        super().__init__()
        width = config.channels
        self.pooling = config.pooling
        self.point = conv_abn(inputs, width, 1)
        dilated = {"dense": _dense, "separable": _separable}[config.dilated]
        self.dilated = nn.ModuleList(dilated(inputs, width, rate) for rate in config.rates)
        self.average = conv_abn(inputs, width, 1)
        self.project = conv_abn(width * (2 + len(config.rates)), width, 1)

    def forward(self, x: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b c h w"]:
        """Return features of the same height and width."""
        surroundings = self.average(local_average(x, self.pooling))
        merged: Tensor = self.project(torch.cat([self.point(x), *[part(x) for part in self.dilated], surroundings], 1))
        return merged


def _dense(inputs: int, outputs: int, rate: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=rate, dilation=rate, bias=False), ABN(outputs))


def _separable(inputs: int, outputs: int, rate: int) -> nn.Sequential:
    return separable(inputs, outputs, 3, (rate, rate))
