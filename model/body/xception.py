"""Aligned Xception, a body of Panoptic-DeepLab: Chollet, CVPR 2017, arXiv 1610.02357, as DeepLabV3+ changed it.

Chen et al., ECCV 2018, arXiv 1802.02611, Sec. 3.2. Names are those of timm's files (xception65, xception71). Its last
stage keeps stride 16 and dilates instead. TensorFlow pads unequally where it strides; here both sides are padded by
half a kernel, as in the other bodies.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.config import XceptionConfig
from model.ops.abn import ABN, SLOPE

EPS = 1e-3


class Xception(nn.Module):
    """Features at strides 4, 8 and 16, of `channels` channels.

    The finer two are taken inside the modules that stride, just before they do.
    """

    def __init__(self, config: XceptionConfig) -> None:
        super().__init__()
        first, second = config.stem
        self.stem = nn.Sequential(_Conv(3, first, 3, stride=2), _Conv(first, second, 3))
        modules: list[nn.Module] = []
        inputs = second
        for width, stride in zip(config.entry, config.strides, strict=True):
            modules.append(Module(inputs, (width, width, width), shortcut="conv", stride=stride))
            inputs = width
        for _ in range(config.middle):
            modules.append(Module(inputs, (inputs, inputs, inputs), shortcut="sum"))
        modules.append(Module(inputs, config.exit[0], shortcut="conv"))
        modules.append(Module(config.exit[0][-1], config.exit[1], shortcut="none", dilation=2))
        self.blocks = nn.Sequential(*modules)
        self.handed_on = [k for k, stride in enumerate(config.strides) if stride == 2][1:]
        """Modules whose features before the stride are handed on: all that stride but the first."""
        self.channels = (*[config.entry[k] for k in self.handed_on], config.exit[1][-1])

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Return the features of the three strides, from fine to coarse."""
        x = self.stem(images)
        features = []
        for k, module in enumerate(self.blocks):
            x, before = module(x)
            if k in self.handed_on:
                features.append(before)
        return [*features, x]


class Module(nn.Module):
    """Three separable 3x3 convolutions, of which the last may stride, around a shortcut; nothing after the sum.

    Each convolution activates what it sees, and has norms without activation. In the module without shortcut it does
    not activate what it sees, but after both norms.
    """

    def __init__(
        self,
        inputs: int,
        widths: tuple[int, int, int],
        *,
        shortcut: Literal["conv", "sum", "none"],
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.kind = shortcut
        self.shortcut = _Conv(inputs, widths[-1], 1, stride=stride, activation=False) if shortcut == "conv" else None
        self.stack = nn.ModuleDict()
        for k, (width, step) in enumerate(zip(widths, (1, 1, stride), strict=True), 1):
            self.stack[f"conv{k}"] = _Separable(
                inputs, width, stride=step, dilation=dilation, activation=shortcut == "none"
            )
            inputs = width

    def forward(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b d k l"], Float[Tensor, "b e h w"]]:
        """Return features `stride` times smaller, and those before the stride."""
        y = before = x
        for convolution in self.stack.values():
            before, y = y, convolution(y if self.kind == "none" else F.leaky_relu(y, SLOPE))
        if self.kind == "none":
            return y, before
        return y + (x if self.shortcut is None else self.shortcut(x)), before


class _Separable(nn.Module):
    """Depthwise and 1x1 convolution, a norm after each."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, dilation: int, activation: bool) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, groups=inputs, bias=False)
        self.bn_dw = ABN(inputs, activation=activation, eps=EPS)
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn_pw = ABN(outputs, activation=activation, eps=EPS)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d k l"]:
        """Return features `stride` times smaller."""
        y: Tensor = self.bn_pw(self.conv_pw(self.bn_dw(self.conv_dw(x))))
        return y


class _Conv(nn.Module):
    """Convolution and norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, activation: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = ABN(outputs, activation=activation, eps=EPS)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d k l"]:
        """Return features `stride` times smaller."""
        y: Tensor = self.bn(self.conv(x))
        return y
