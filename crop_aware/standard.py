"""The standard box loss: Porzi et al., "Improving Panoptic Segmentation at All Scales", CVPR 2021, arXiv 2012.07717."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from crop_aware.coding import UNIT_WEIGHTS, AnyWeights, encode


def box_loss(
    deltas: Float[Tensor, "r 4"],
    proposals: Float[Tensor, "r 4"],
    boxes: Float[Tensor, "r 4"],
    *,
    beta: float,
    weights: AnyWeights = UNIT_WEIGHTS,
) -> Float[Tensor, " r"]:
    """Measure how far predicted deltas are from those of a box: L_BB, Eq. 1 of the paper.

    L_BB = Σ huber(encode(box, proposal, weights) − deltas), with huber(z) = z² / (2 β) where |z| <= β, else |z| − β/2.

    Args:
        deltas: predicted weights * (dx, dy, log dw, log dh), relative to the proposal.
        proposals, boxes: x0, y0, x1, y1 in one frame, of positive size; row i of one belongs to row i of the other.
        beta: where the Huber norm turns from quadratic to linear.
        weights: factors of the deltas.

    Returns:
        The sum over the four coordinates; in the precision of the deltas, at least float32.
    """
    exact = deltas.double()  # 10 * (a large offset) minus nearly the same: float32 would lose what is left
    return towards(exact, encode(boxes.double(), proposals.double(), weights), beta).to(at_least_float32(deltas))


def towards(deltas: Float[Tensor, "r 4"], target: Float[Tensor, "r 4"], beta: float) -> Float[Tensor, " r"]:
    """Sum the Huber norms of the four differences between deltas and their target."""
    return F.smooth_l1_loss(deltas, target, reduction="none", beta=beta).sum(-1)


def at_least_float32(deltas: Tensor) -> torch.dtype:
    """Return the precision of a loss of these deltas: theirs, but half precision becomes float32."""
    return torch.promote_types(deltas.dtype, torch.float32)
