"""Boxes as deltas: where a box lies and how large it is, relative to a reference box (an anchor or a proposal).

Ren et al., "Faster R-CNN", NeurIPS 2015; Porzi et al., CVPR 2021, Sec. 2.2. The paper encodes a size as the ratio of
the two; as everywhere else, the network regresses its logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """What deltas are multiplied by; the loss sees them multiplied."""

    centre: float = 1.0
    size: float = 1.0


UNIT_WEIGHTS = Weights()

MAX_LOG_SIZE = 10.0
"""`decode` stops here, 22,000 times the reference: only so that an untrained network's boxes stay finite."""


def centre_size(boxes: Float[Tensor, "*n 4"]) -> tuple[Float[Tensor, "*n 2"], Float[Tensor, "*n 2"]]:
    """Centre and size, both x, y, of boxes x0, y0, x1, y1; at least float32 (half precision is up-cast)."""
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def encode(
    boxes: Float[Tensor, "*n 4"], proposals: Float[Tensor, "*n 4"], weights: Weights = UNIT_WEIGHTS
) -> Float[Tensor, "*n 4"]:
    """Deltas of boxes relative to proposals: weights * (dx, dy, log dw, log dh), dx = (x - x_A) / w_A, dw = w / w_A.

    Args:
        boxes, proposals: x0, y0, x1, y1 in one frame, of positive size; a row of one belongs to a row of the other.
        weights: what offsets and log sizes are multiplied by.

    >>> encode(torch.tensor([[10.0, 0.0, 30.0, 10.0]]), torch.tensor([[0.0, 0.0, 20.0, 10.0]])).tolist()
    [[0.5, 0.0, 0.0, 0.0]]
    """
    centre, size = centre_size(boxes)
    reference_centre, reference_size = centre_size(proposals)
    offset = (centre - reference_centre) / reference_size
    return torch.cat([weights.centre * offset, weights.size * torch.log(size / reference_size)], -1)


def decode(
    deltas: Float[Tensor, "*n 4"], proposals: Float[Tensor, "*n 4"], weights: Weights = UNIT_WEIGHTS
) -> Float[Tensor, "*n 4"]:
    """Boxes x0, y0, x1, y1 that deltas describe, in the frame of the proposals, not clipped; undoes `encode`."""
    deltas = deltas.to(torch.promote_types(deltas.dtype, torch.float32))
    reference_centre, reference_size = centre_size(proposals)
    centre = reference_centre + deltas[..., :2] / weights.centre * reference_size
    half = torch.exp((deltas[..., 2:] / weights.size).clamp(max=MAX_LOG_SIZE)) * reference_size / 2
    return torch.cat([centre - half, centre + half], -1)
