"""What every network knows of its images: their colors, and which categories are things."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from model.config import SampleConfig


def register_data(network: nn.Module, isthing: Sequence[bool], sample: SampleConfig) -> None:
    """Give a network the buffers `isthing`, `mean` and `std`, which are not stored with its weights."""
    network.register_buffer("isthing", torch.tensor(isthing, dtype=torch.bool), persistent=False)
    for name, color in (("mean", sample.mean), ("std", sample.std)):
        network.register_buffer(name, torch.tensor(color).view(3, 1, 1), persistent=False)


def normalized(
    images: UInt8[Tensor, "b 3 h w"], mean: Float[Tensor, "3 1 1"], std: Float[Tensor, "3 1 1"], *, stride: int
) -> Float[Tensor, "b 3 H W"]:
    """Normalize colors of 0 to 255, and pad by the mean color, on the right and below, to a multiple of `stride`.

    The result has the channels of a pixel side by side in memory, as on CPUs convolutions are faster so.
    """
    x = (images.to(memory_format=torch.channels_last) / 255 - mean) / std
    return F.pad(x, (0, -x.shape[3] % stride, 0, -x.shape[2] % stride))
