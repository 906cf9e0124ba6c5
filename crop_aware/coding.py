"""Boxes as deltas: where a box lies and how large it is, relative to a reference box (an anchor or a proposal).

Ren et al., "Faster R-CNN", NeurIPS 2015, arXiv 1506.01497; Porzi et al., CVPR 2021, arXiv 2012.07717, Sec. 2.2.
The paper encodes a size as the ratio of the two; as everywhere else, the network regresses its logarithm.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import mul, truediv
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor


class Weights(Protocol):
    """Factors of deltas, of centers and of sizes."""

    @property
    def centre(self) -> float:
        """Return the factor of dx and dy."""

    @property
    def size(self) -> float:
        """Return the factor of log dw and log dh."""


AnyWeights = Weights | tuple[float, float, float, float]
"""Factors of deltas: four, of (dx, dy, log dw, log dh), as other tools have them; or two, of centers and of sizes."""

UNIT_WEIGHTS = (1.0, 1.0, 1.0, 1.0)

MAX_LOG_SIZE = 10.0
"""`decode` stops here, 22,000 times the reference: only so that an untrained network's boxes stay finite."""


def center_size(boxes: Float[Tensor, "*n 4"]) -> tuple[Float[Tensor, "*n 2"], Float[Tensor, "*n 2"]]:
    """Return center and size, both x, y, of boxes x0, y0, x1, y1; at least float32 (half precision is up-cast)."""
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def four(weights: AnyWeights) -> tuple[float, float, float, float]:
    """Return the factors of dx, dy, log dw and log dh.

    >>> four((10.0, 10.0, 5.0, 5.0))
    (10.0, 10.0, 5.0, 5.0)
    """
    if isinstance(weights, (tuple, list)):
        dx, dy, dw, dh = weights
        return dx, dy, dw, dh
    return weights.centre, weights.centre, weights.size, weights.size


def by_dimension(
    operator: Callable[[Tensor, float], Tensor], x: Tensor, horizontal: float, vertical: float, *, dim: int = -1
) -> Tensor:
    """Combine x and y, the two entries of a dimension, with a number each; with no copy to the device."""
    if horizontal == vertical:
        return operator(x, horizontal)
    first, second = x.unbind(dim)
    return torch.stack([operator(first, horizontal), operator(second, vertical)], dim)


def encode(
    boxes: Float[Tensor, "*n 4"], proposals: Float[Tensor, "*n 4"], weights: AnyWeights = UNIT_WEIGHTS
) -> Float[Tensor, "*n 4"]:
    """Return the deltas of boxes relative to proposals: weights * (dx, dy, log dw, log dh).

    dx = (x - x_A) / w_A and dw = w / w_A, where x is a center and A the proposal.

    Args:
        boxes, proposals: x0, y0, x1, y1 in one frame, of positive size; a row of one belongs to a row of the other.
        weights: factors of the deltas.

    >>> encode(torch.tensor([[10.0, 0.0, 30.0, 10.0]]), torch.tensor([[0.0, 0.0, 20.0, 10.0]])).tolist()
    [[0.5, 0.0, 0.0, 0.0]]
    """
    center, size = center_size(boxes)
    reference_center, reference_size = center_size(proposals)
    offset = (center - reference_center) / reference_size
    dx, dy, dw, dh = four(weights)
    log_size = torch.log(size / reference_size)
    return torch.cat([by_dimension(mul, offset, dx, dy), by_dimension(mul, log_size, dw, dh)], -1)


def decode(
    deltas: Float[Tensor, "*n 4"], proposals: Float[Tensor, "*n 4"], weights: AnyWeights = UNIT_WEIGHTS
) -> Float[Tensor, "*n 4"]:
    """Undo `encode`: return boxes x0, y0, x1, y1, in the frame of the proposals, not clipped."""
    deltas = deltas.to(torch.promote_types(deltas.dtype, torch.float32))
    reference_center, reference_size = center_size(proposals)
    dx, dy, dw, dh = four(weights)
    center = reference_center + by_dimension(truediv, deltas[..., :2], dx, dy) * reference_size
    half = torch.exp(by_dimension(truediv, deltas[..., 2:], dw, dh).clamp(max=MAX_LOG_SIZE)) * reference_size / 2
    return torch.cat([center - half, center + half], -1)
