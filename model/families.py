"""The families of networks: from a configuration to a network with fresh weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from model.boxes import network as boxes
from model.centres import network as centres
from model.config import Config
from model.ops.abn import SLOPE
from model.points import network as points

PanopticNetwork = boxes.BoxNetwork | centres.CentreNetwork | points.PointNetwork
"""A network of any family: the union of their classes, each of which keeps the contract of `model.network`."""


def build_network(config: Config, isthing: Sequence[bool], generator: torch.Generator) -> PanopticNetwork:
    """Build a network with fresh weights; the same generator state gives the same weights.

    Args:
        config: its `kind` names the family.
        isthing: whether each category of the catalogue is a thing, in its order.
        generator: on the CPU.

    Raises:
        ValueError: the family cannot learn these categories.
    """
    network = assemble(config, isthing)
    draw_weights(network, generator)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # halves the time of a step on CPUs
    return network


def assemble(config: Config, isthing: Sequence[bool]) -> PanopticNetwork:
    """Put a network together whose weights are still to be drawn; arguments and errors as of `build_network`."""
    families: dict[str, Callable[[Any, Sequence[bool]], PanopticNetwork]] = {
        "boxes": boxes.build,
        "centres": centres.build,
        "points": points.build,
    }
    return families[config.kind](config, isthing)


def draw_weights(network: PanopticNetwork, generator: torch.Generator) -> None:
    """Draw the weights of all convolutions and linear maps from Xavier's normal distribution, in place.

    They are scaled for what follows, the last layers down to next to nothing (from the Seamless code).
    """
    gain = nn.init.calculate_gain("leaky_relu", SLOPE)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(module.weight, network.FINAL_GAINS.get(name, gain), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
