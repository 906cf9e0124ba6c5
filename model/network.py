"""What training, prediction and checkpoints need of a network, whatever its family: a contract, nothing to inherit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from model.config import Config
from model.panoptic_map import Fused
from model.targets import Targets


class Network(Protocol):
    """An `nn.Module` that learns from `Targets`, and predicts panoptic maps.

    `predict` and `fuse` are two steps, so that thresholds can be tried on a prediction without making it again.
    """

    FINAL_GAINS: ClassVar[Mapping[str, float]]
    """Gains of the layers that do not start with the usual one, by name."""
    config: Config
    body: nn.Module
    """Part that weights of ImageNet can fill."""
    isthing: Tensor
    """True for each category of the catalogue that is a thing; a buffer, like `mean` and `std`."""
    mean: Tensor
    std: Tensor

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], targets: Sequence[Targets], generators: Sequence[torch.Generator]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return losses and counts by name: losses are means over images, counts are sums over them.

        All that is random comes from the generators, one an image.
        """

    def predict(self, images: UInt8[Tensor, "b 3 h w"]) -> list[Any]:
        """Return what the family says about each image."""

    def fuse(self, prediction: Any, frame: tuple[int, int], size: tuple[int, int]) -> Fused:
        """Make a panoptic map of such a prediction.

        Args:
            prediction: an element of what `predict` returns.
            frame: height, width of the image that the network saw.
            size: height, width of the map.
        """
