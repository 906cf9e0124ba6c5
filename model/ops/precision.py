"""Losses and what decides between boxes need single precision, also where the network computes in half of it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def at_least_single(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return half precision as float32, anything else as it is: a network in float64 keeps all of its digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
