"""The running average of a network's weights, with which a run may end."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def averaged(network: nn.Module) -> dict[str, Tensor]:
    """Copy what is averaged of a network, by name: its parameters and the statistics of its normalization layers."""
    return {name: tensor.detach().clone() for name, tensor in _moving(network).items()}


@torch.no_grad()
def update(average: dict[str, Tensor], network: nn.Module, step: int, keep: float) -> None:
    """Move an average towards a network, in place.

    Args:
        average: as `averaged` made it.
        network: after the step.
        step: number of the step, counted from 0. The first ones move it further, so that the weights that a network was
            drawn with are soon forgotten.
        keep: share of itself that the average keeps, 0 to 1, once there were many steps.
    """
    move = 1 - min(keep, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.values()), list(_moving(network).values()), move)


@torch.no_grad()
def put(average: dict[str, Tensor], network: nn.Module) -> None:
    """Give a network the weights of an average."""
    for name, tensor in _moving(network).items():
        tensor.copy_(average[name])


def _moving(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
