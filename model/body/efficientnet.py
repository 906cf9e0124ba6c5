"""EfficientNet without squeeze-and-excitation, the body of EfficientPS.

Tan and Le, ICML 2019, arXiv 1905.11946; Mohan and Valada, IJCV 2021, arXiv 2004.02307, Sec. 3.1, which takes B5, leaves
squeeze-and-excitation out and activates with a leaky ReLU. Names are those of timm's files (tf_efficientnet_b5), whose
layers for squeeze-and-excitation have no place here. Theirs pad as TensorFlow does, unequally where they stride; here
both sides are padded by half a kernel, as in the other bodies.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from model.config import EfficientNetConfig
from model.ops.abn import ABN

KERNELS = (3, 3, 5, 3, 5, 5, 3)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of the first block of each stage."""
EXPANSION = 6
EPS = 1e-3


class EfficientNet(nn.Module):
    """Features at strides 4, 8, 16 and 32, of `channels` channels: those of stages 2, 3 and 5, and of the head."""

    def __init__(self, config: EfficientNetConfig) -> None:
        super().__init__()
        self.channels = (config.widths[1], config.widths[2], config.widths[4], config.head)
        self.conv_stem = nn.Conv2d(3, config.stem, 3, 2, 1, bias=False)
        self.bn1 = ABN(config.stem, eps=EPS)
        stages: list[nn.Module] = []
        inputs = config.stem
        for width, depth, kernel, stride in zip(config.widths, config.depths, KERNELS, STRIDES, strict=True):
            block = InvertedResidual if stages else DepthwiseSeparable
            first = block(inputs, width, kernel, stride)
            stages.append(nn.Sequential(first, *[block(width, width, kernel, 1) for _ in range(depth - 1)]))
            inputs = width
        self.blocks = nn.Sequential(*stages)
        self.conv_head = nn.Conv2d(inputs, config.head, 1, bias=False)
        self.bn2 = ABN(config.head, eps=EPS)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Return the features of the four strides, from fine to coarse."""
        x = self.bn1(self.conv_stem(images))
        features = []
        for stage, blocks in enumerate(self.blocks, 1):
            x = blocks(x)
            if stage in (2, 3, 5):
                features.append(x)
        return [*features, self.bn2(self.conv_head(x))]


class DepthwiseSeparable(nn.Module):
    """Depthwise and 1x1 convolution around a shortcut, if shapes agree; nothing is activated after the last norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.shortcut = inputs == outputs and stride == 1
        self.conv_dw = _depthwise(inputs, kernel, stride)
        self.bn1 = ABN(inputs, eps=EPS)
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = ABN(outputs, activation=False, eps=EPS)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d k l"]:
        """Return features `stride` times smaller."""
        y: Tensor = self.bn2(self.conv_pw(self.bn1(self.conv_dw(x))))
        return x + y if self.shortcut else y


class InvertedResidual(nn.Module):
    """The same behind a 1x1 convolution that makes six times as many channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.shortcut = inputs == outputs and stride == 1
        inner = EXPANSION * inputs
        self.conv_pw = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = ABN(inner, eps=EPS)
        self.conv_dw = _depthwise(inner, kernel, stride)
        self.bn2 = ABN(inner, eps=EPS)
        self.conv_pwl = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = ABN(outputs, activation=False, eps=EPS)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d k l"]:
        """Return features `stride` times smaller."""
        y: Tensor = self.bn3(self.conv_pwl(self.bn2(self.conv_dw(self.bn1(self.conv_pw(x))))))
        return x + y if self.shortcut else y


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
