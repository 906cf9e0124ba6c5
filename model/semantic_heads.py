"""Semantic heads: the category of every pixel, things included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import conv_abn, separable
from model.config import AlignedConfig, ConcatenatedConfig, DeepLabConfig, Dilation, MiniDLConfig
from model.ops.abn import ABN


class DeepLab(nn.Module):
    """DeepLabV3+ (Chen et al., ECCV 2018, arXiv 1802.02611) on the body, as Panoptic-DeepLab connects it to HRNet.

    Pyramid pooling sees the coarsest features; finer ones join one after the other, each through a 1x1 convolution that
    narrows them and a separable 5x5 convolution that merges.
    """

    reads: ClassVar[Literal["body"]] = "body"

    def __init__(self, body_channels: Sequence[int], categories: int, config: DeepLabConfig) -> None:
        super().__init__()
        *finer, coarsest = body_channels
        self.pooling = config.pooling
        self.point = conv_abn(coarsest, config.channels, 1)
        self.dilated = nn.ModuleList(_dilated(coarsest, config.channels, rate) for rate in config.rates)
        self.average = conv_abn(coarsest, config.channels, 1)
        self.project = conv_abn(config.channels * (2 + len(config.rates)), config.channels, 1)
        # Skips from coarse to fine, the order in which they join.
        narrowed = list(zip(reversed(finer), config.skip_channels, strict=True))
        self.narrow = nn.ModuleList(conv_abn(c, k, 1) for c, k in narrowed)
        self.merge = nn.ModuleList(separable(config.channels + k, config.channels, 5) for _, k in narrowed)
        self.head = separable(config.channels, config.channels, 5)
        self.logits = nn.Conv2d(config.channels, categories, 1)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b categories h w"]:
        """Return logits at the resolution of the body's finest features."""
        *finer, coarsest = features
        context = self.average(local_average(coarsest, self.pooling))
        x = self.project(torch.cat([self.point(coarsest), *[d(coarsest) for d in self.dilated], context], 1))
        for skip, narrow, merge in zip(reversed(finer), self.narrow, self.merge, strict=True):
            # In one expression: of a large image, what joins is not to be kept while it is merged.
            x = merge(torch.cat([_resized(x, skip), narrow(skip)], 1))
        logits: Tensor = self.logits(self.head(x))
        return logits


class MiniDL(nn.Module):
    """Seamless' head: a small DeepLab on each of the four finest pyramid levels, their outputs side by side."""

    reads: ClassVar[Literal["pyramid"]] = "pyramid"

    def __init__(self, channels: int, categories: int, config: MiniDLConfig) -> None:
        super().__init__()
        self.pooling = config.pooling
        width = config.channels
        self.near = nn.ModuleList(nn.Conv2d(channels, width, 3, padding=1, bias=False) for _ in range(4))
        self.far = nn.ModuleList(
            nn.Conv2d(channels, width, 3, padding=config.dilation, dilation=config.dilation, bias=False)
            for _ in range(4)
        )
        self.average = nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for _ in range(4))
        self.norm = nn.ModuleList(ABN(3 * width) for _ in range(4))
        self.project = nn.ModuleList(conv_abn(3 * width, width, 1) for _ in range(4))
        self.logits = nn.Conv2d(4 * width, categories, 1)

    def forward(self, levels: Sequence[Float[Tensor, "b c _ _"]]) -> Float[Tensor, "b categories h w"]:
        """Return logits at the resolution of P2; levels beyond the fourth are not used."""
        size = levels[0].shape[-2:]
        outputs = []
        for i, x in enumerate(levels[:4]):
            near, far = self.near[i](x), self.far[i](x)
            x = torch.cat([near, far, self.average[i](local_average(x, self.pooling))], 1)
            x = self.project[i](self.norm[i](x))
            outputs.append(F.interpolate(x, size, mode="bilinear", align_corners=False))
        logits: Tensor = self.logits(torch.cat(outputs, 1))
        return logits


class Aligned(nn.Module):
    """EfficientPS' head (Mohan and Valada, IJCV 2021, arXiv 2004.02307, Sec. 3.3): separable convolutions throughout.

    Coarse levels gather context, fine ones details. What a coarser level saw is corrected before a finer one takes it.
    """

    reads: ClassVar[Literal["pyramid"]] = "pyramid"

    def __init__(self, channels: int, categories: int, config: AlignedConfig) -> None:
        super().__init__()
        width = config.channels
        self.details = nn.ModuleList(_two_separable(channels, width) for _ in range(2))
        self.context = nn.ModuleList(DensePrediction(channels, width, config.dilations) for _ in range(2))
        self.correction = nn.ModuleList(_two_separable(width, width) for _ in range(2))
        self.logits = nn.Conv2d(4 * width, categories, 1)

    def forward(self, levels: Sequence[Float[Tensor, "b c _ _"]]) -> Float[Tensor, "b categories h w"]:
        """Return logits at the resolution of P2; levels beyond the fourth are not used."""
        (p4, p8), (p16, p32) = (
            [part(x) for part, x in zip(parts, some, strict=True)]
            for parts, some in ((self.details, levels[:2]), (self.context, levels[2:4]))
        )
        p8 = p8 + _resized(self.correction[0](p16 + _resized(p32, p16)), p8)
        p4 = p4 + _resized(self.correction[1](p8), p4)
        logits: Tensor = self.logits(torch.cat([p4, *[_resized(x, p4) for x in (p8, p16, p32)]], 1))
        return logits


class DensePrediction(nn.Module):
    """Context by five dilated convolutions, some behind others (Chen et al., NeurIPS 2018, arXiv 1809.04184)."""

    def __init__(self, inputs: int, outputs: int, dilations: Sequence[Dilation]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(separable(inputs, inputs, 3, dilation) for dilation in dilations)
        self.project = nn.Sequential(*conv_abn(len(dilations) * inputs, outputs, 1))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """Return features of the same size."""
        first, second, third, fourth, fifth = self.branches
        a = first(x)
        d = fourth(a)
        out: Tensor = self.project(torch.cat([a, second(a), third(a), d, fifth(d)], 1))
        return out


class Concatenated(nn.Module):
    """TASCNet's head: convolutions on each of the four finest pyramid levels, their outputs side by side.

    Li et al., "Learning to Fuse Things and Stuff", 2018, arXiv 1812.01192; two convolutions a level are our choice.
    """

    reads: ClassVar[Literal["pyramid"]] = "pyramid"

    def __init__(self, channels: int, categories: int, config: ConcatenatedConfig) -> None:
        super().__init__()
        width = config.channels
        self.branches = nn.ModuleList(
            nn.Sequential(conv_abn(channels, width, 3), conv_abn(width, width, 3)) for _ in range(4)
        )
        self.logits = nn.Conv2d(4 * width, categories, 1)

    def forward(self, levels: Sequence[Float[Tensor, "b c _ _"]]) -> Float[Tensor, "b categories h w"]:
        """Return logits at the resolution of P2; levels beyond the fourth are not used."""
        outputs = [branch(x) for branch, x in zip(self.branches, levels[:4], strict=True)]
        logits: Tensor = self.logits(torch.cat([_resized(x, outputs[0]) for x in outputs], 1))
        return logits


def local_average(x: Float[Tensor, "b c h w"], window: int) -> Float[Tensor, "b c h w"]:
    """Average over a square window around each cell that is shifted to lie inside; of everything if it is no larger.

    A network that was trained on crops as large as the window then sees whole images as it saw crops (as in Seamless).
    """
    height, width = x.shape[-2:]
    rows, columns = min(window, height), min(window, width)
    x = F.avg_pool2d(F.avg_pool2d(x, (rows, 1), 1), (1, columns), 1)
    lost_rows, lost_columns = rows - 1, columns - 1
    pad = (lost_columns // 2, lost_columns - lost_columns // 2, lost_rows // 2, lost_rows - lost_rows // 2)
    return F.pad(x, pad, mode="replicate")


def _dilated(inputs: int, outputs: int, rate: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=rate, dilation=rate, bias=False), ABN(outputs))


def _two_separable(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(separable(inputs, outputs, 3), separable(outputs, outputs, 3))


def _resized(x: Float[Tensor, "b c _ _"], like: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b c h w"]:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
