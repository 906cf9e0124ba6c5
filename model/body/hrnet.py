"""HRNetV2, the body of the paper's network: Wang et al., "Deep High-Resolution Representation Learning", TPAMI 2020.

arXiv 1908.07919. Branches of strides 4 to 32 run side by side and exchange their features after every module. The
paper's HRNetV2-W48+ ("+" as in Panoptic-DeepLab) is read as: the body without its classification or segmentation head,
all four branches handed on (our choice).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import BasicBlock, Bottleneck, conv_abn
from model.config import HRNetConfig
from model.ops.abn import ABN, SLOPE


class HRNet(nn.Module):
    """Features at strides 4, 8, 16 and 32, of `channels` channels."""

    def __init__(self, config: HRNetConfig) -> None:
        super().__init__()
        self.channels = tuple(config.width * 2**i for i in range(4))
        self.conv1 = nn.Conv2d(3, config.stem, 3, 2, 1, bias=False)
        self.bn1 = ABN(config.stem)
        self.conv2 = nn.Conv2d(config.stem, config.stem, 3, 2, 1, bias=False)
        self.bn2 = ABN(config.stem)
        wide = 4 * config.bottleneck
        rest = [Bottleneck(wide, config.bottleneck) for _ in range(config.bottlenecks - 1)]
        self.layer1 = nn.Sequential(Bottleneck(config.stem, config.bottleneck), *rest)
        before: tuple[int, ...] = (wide,)
        for stage, modules in zip((2, 3, 4), config.modules, strict=True):
            branches = self.channels[:stage]
            self.add_module(f"transition{stage - 1}", _transition(before, branches))
            exchanges = [ExchangeModule(branches, config.blocks) for _ in range(modules)]
            self.add_module(f"stage{stage}", nn.Sequential(*exchanges))
            before = branches

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Return the features of the four strides, from fine to coarse."""
        branches = [self.layer1(self.bn2(self.conv2(self.bn1(self.conv1(images)))))]
        for stage in (2, 3, 4):
            transitions: Sequence[nn.Module] = self.get_submodule(f"transition{stage - 1}")  # type: ignore[assignment]
            branches = [t(branches[min(i, len(branches) - 1)]) for i, t in enumerate(transitions)]
            branches = self.get_submodule(f"stage{stage}")(branches)
        return branches


class ExchangeModule(nn.Module):
    """Residual blocks on each branch, then each branch becomes the sum of all, resized to it."""

    def __init__(self, channels: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*[BasicBlock(c) for _ in range(blocks)]) for c in channels)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_resize(channels, source, target) for source in range(len(channels)))
            for target in range(len(channels))
        )

    def forward(self, branches: list[Float[Tensor, "b _ _ _"]]) -> list[Float[Tensor, "b _ _ _"]]:
        """Return branches of the same shapes."""
        branches = [branch(x) for branch, x in zip(self.branches, branches, strict=True)]
        return [self._fuse(branches, target) for target in range(len(branches))]

    def _fuse(self, branches: list[Tensor], target: int) -> Tensor:
        layers: Sequence[nn.Module] = self.fuse_layers[target]  # type: ignore[assignment]
        size = branches[target].shape[-2:]
        total = branches[target]
        for source, (layer, x) in enumerate(zip(layers, branches, strict=True)):
            if source < target:
                total = total + layer(x)
            elif source > target:
                total = total + F.interpolate(layer(x), size, mode="bilinear", align_corners=False)
        return F.leaky_relu(total, SLOPE, inplace=True)


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Adapt the channels of each branch, and start one more, half the size of the coarsest."""
    layers: list[nn.Module] = [
        nn.Identity() if source == target else conv_abn(source, target, 3)
        for source, target in zip(before, after, strict=False)
    ]
    return nn.ModuleList([*layers, nn.Sequential(conv_abn(before[-1], after[-1], 3, 2))])


def _resize(channels: Sequence[int], source: int, target: int) -> nn.Module:
    """Turn the channels, and downwards also the size, of one branch into those of another."""
    if source == target:
        return nn.Identity()
    if source > target:
        return conv_abn(channels[source], channels[target], 1, activation=False)
    halvings = [conv_abn(channels[source], channels[source], 3, 2) for _ in range(target - source - 1)]
    return nn.Sequential(*halvings, conv_abn(channels[source], channels[target], 3, 2, activation=False))
