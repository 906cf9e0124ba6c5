"""ResNet with bottleneck blocks: He et al., CVPR 2016; the body of Seamless. Strides in the 3x3, as in timm's files.

Grouped, it is ResNeXt (Xie et al., CVPR 2017, arXiv 1611.05431); dilated, the body of DeepLab and of AdaptIS.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import Bottleneck
from model.config import ResNetConfig
from model.ops.abn import ABN


class ResNet(nn.Module):
    """Features of its four stages, of `channels` channels, at strides 4, 8, 16 and 32; dilated at 4, 8, 8 and 8."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        width = config.width
        self.channels = tuple(4 * width * 2**i for i in range(4))
        self.coarsest_stride = 8 if config.dilated else 32
        inputs = 2 * width if config.deep_stem else width
        self.conv1 = _deep_stem(width) if config.deep_stem else nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = ABN(inputs)
        inner = config.groups * (config.group_width or width // config.groups)
        for i, (depth, outputs) in enumerate(zip(config.depths, self.channels, strict=True)):
            stride = 1 if i == 0 or (config.dilated and i > 1) else 2
            dilation = 2 ** (i - 1) if config.dilated and i > 1 else 1
            blocks = [
                Bottleneck(
                    outputs if k else inputs,
                    inner * 2**i,
                    1 if k else stride,
                    outputs=outputs,
                    groups=config.groups,
                    # The first block of a stage that does not stride sees what it would have seen before striding.
                    dilation=dilation if k else max(dilation // 2, 1),
                )
                for k in range(depth)
            ]
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            inputs = outputs

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Return the features of the four stages, from the first to the last."""
        x = F.max_pool2d(self.bn1(self.conv1(images)), 3, 2, 1)
        features = []
        for i in range(4):
            x = self.get_submodule(f"layer{i + 1}")(x)
            features.append(x)
        return features


def _deep_stem(width: int) -> nn.Sequential:
    """Three 3x3 convolutions, of which the last is twice as wide, in place of the 7x7; numbers are those of timm."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 2, 1, bias=False),
        ABN(width),
        nn.Identity(),  # timm's activation
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        ABN(width),
        nn.Identity(),
        nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
    )
