"""ResNet with bottleneck blocks: He et al., CVPR 2016; the body of Seamless. Strides in the 3x3, as in timm's files."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import Bottleneck
from model.config import ResNetConfig
from model.ops.abn import ABN


class ResNet(nn.Module):
    """Features at strides 4, 8, 16 and 32, of `channels` channels."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.channels = tuple(4 * config.width * 2**i for i in range(4))
        self.conv1 = nn.Conv2d(3, config.width, 7, 2, 3, bias=False)
        self.bn1 = ABN(config.width)
        inputs = config.width
        for i, depth in enumerate(config.depths):
            inner = config.width * 2**i
            first = Bottleneck(inputs, inner, stride=1 if i == 0 else 2)
            rest = [Bottleneck(4 * inner, inner) for _ in range(depth - 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(first, *rest))
            inputs = 4 * inner

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Return the features of the four strides, from fine to coarse."""
        x = F.max_pool2d(self.bn1(self.conv1(images)), 3, 2, 1)
        features = []
        for i in range(4):
            x = self.get_submodule(f"layer{i + 1}")(x)
            features.append(x)
        return features
