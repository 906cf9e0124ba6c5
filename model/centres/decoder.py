"""Context and decoder of one of Panoptic-DeepLab's branches: Cheng et al., CVPR 2020, arXiv 1911.10194, Fig. 2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from model.body.blocks import conv_abn, separable
from model.config import BranchConfig, ContextConfig
from model.context import Context


class Decoder(nn.Module):
    """Pyramid pooling on the coarsest features of a body; finer ones join one after the other.

    Each of them joins through a 1x1 convolution that narrows it and a separable 5x5 convolution that merges.
    """

    def __init__(self, body_channels: Sequence[int], context: ContextConfig, branch: BranchConfig) -> None:
        super().__init__()
        *finer, coarsest = body_channels
        self.context = Context(coarsest, context)
        # Skips from coarse to fine, the order in which they join.
        narrowed = list(zip(reversed(finer), branch.skip_channels, strict=True))
        self.narrow = nn.ModuleList(conv_abn(c, k, 1) for c, k in narrowed)
        inputs = [context.channels, *[branch.channels] * (len(narrowed) - 1)]
        self.merge = nn.ModuleList(
            separable(c + k, branch.channels, 5) for c, (_, k) in zip(inputs, narrowed, strict=True)
        )

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b c h w"]:
        """Return features at the resolution of the finest ones, given those of the body from fine to coarse."""
        *finer, coarsest = features
        x: Tensor = self.context(coarsest)
        for skip, narrow, merge in zip(reversed(finer), self.narrow, self.merge, strict=True):
            # In one expression: of a large image, what joins is not to be kept while it is merged.
            x = merge(torch.cat([F.interpolate(x, skip.shape[-2:], mode="bilinear"), narrow(skip)], 1))
        return x
