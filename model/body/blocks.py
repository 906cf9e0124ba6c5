"""Residual blocks and small chains that the bodies share; parameter names are those of the official and timm files."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.ops.abn import ABN, SLOPE


def conv_abn(inputs: int, outputs: int, kernel: int, stride: int = 1, *, activation: bool = True) -> nn.Sequential:
    """Chain a convolution without bias, "same" padding, then activated batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, ABN(outputs, activation=activation))


def separable(inputs: int, outputs: int, kernel: int, dilation: tuple[int, int] = (1, 1)) -> nn.Sequential:
    """Chain a depthwise and a 1x1 convolution, "same" padding, activated batch norm after each.

    Args:
        inputs, outputs: channels.
        kernel: side of the depthwise convolution, odd.
        dilation: of rows, of columns.
    """
    padding = kernel // 2 * dilation[0], kernel // 2 * dilation[1]
    depthwise = nn.Conv2d(inputs, inputs, kernel, padding=padding, dilation=dilation, groups=inputs, bias=False)
    return nn.Sequential(depthwise, ABN(inputs), *conv_abn(inputs, outputs, 1))


def plain_separable(inputs: int, outputs: int) -> nn.Sequential:
    """Chain a depthwise 3x3 and a 1x1 convolution with nothing between, then activated batch norm."""
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    return nn.Sequential(depthwise, *conv_abn(inputs, outputs, 1))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, all of one width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = ABN(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = ABN(channels, activation=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return features of the same shape."""
        y = self.bn2(self.conv2(self.bn1(self.conv1(x))))
        return F.leaky_relu(y + x, SLOPE, inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 (which strides, or is dilated) and 1x1 convolution around a shortcut.

    `outputs` is four times `inner` unless it is given; `groups` are those of the 3x3 (ResNeXt).
    """

    def __init__(
        self,
        inputs: int,
        inner: int,
        stride: int = 1,
        *,
        outputs: int | None = None,
        groups: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        outputs = 4 * inner if outputs is None else outputs
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = ABN(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, dilation, dilation, groups, bias=False)
        self.bn2 = ABN(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = ABN(outputs, activation=False)
        same = inputs == outputs and stride == 1
        self.downsample = None if same else conv_abn(inputs, outputs, 1, stride, activation=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d k l"]:
        """Return features `stride` times smaller."""
        y = self.bn3(self.conv3(self.bn2(self.conv2(self.bn1(self.conv1(x))))))
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.leaky_relu(y + shortcut, SLOPE, inplace=True)
