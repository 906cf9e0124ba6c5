"""Boxes as a crop shows them: their visible parts, and the sides on which they go on."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from crop_aware.cabb import crop_aware_loss
from crop_aware.coding import UNIT_WEIGHTS, AnyWeights

Window = tuple[float, float, float, float]
"""x0, y0, x1, y1 of a crop, in the frame of the boxes."""


def cut_boxes(full_boxes: Float[Tensor, "n 4"], crop: Window) -> tuple[Float[Tensor, "n 4"], Bool[Tensor, "n 4"]]:
    """Cut boxes to a crop.

    The paper cuts masks (its footnote 2): where a mask is known, take the box of its part in the crop, and let a side
    be open only where the mask touches that border. Of boxes alone, this is what is known.

    Args:
        full_boxes: x0, y0, x1, y1 in the frame of the image, whatever is outside of the crop included.
        crop: x0, y0, x1, y1 of the crop in that frame.

    Returns:
        The visible boxes, in the frame of the crop: x0, y0, x1, y1 from 0 to its size. Of a box that the crop does not
        show, width or height is 0: leave it out. And of left, top, right and bottom, whether the box goes on beyond.

    Raises:
        ValueError: the crop has no area.
    """
    x0, y0, x1, y1 = crop
    if not (x1 > x0 and y1 > y0):
        raise ValueError(f"crop is {crop}; expected x0, y0, x1, y1 with x1 above x0 and y1 above y0")
    size = full_boxes.new_tensor([x1 - x0, y1 - y0])
    moved = full_boxes - full_boxes.new_tensor([x0, y0, x0, y0])
    visible = torch.cat([moved[:, :2].clamp(min=0), moved[:, 2:].clamp(min=0)], 1).minimum(size.repeat(2))
    return visible, torch.cat([moved[:, :2] < 0, moved[:, 2:] > size], 1)


def crop_aware_loss_from_full(
    deltas: Float[Tensor, "r 4"],
    proposals: Float[Tensor, "r 4"],
    full_boxes: Float[Tensor, "r 4"],
    crop: Window,
    *,
    beta: float,
    weights: AnyWeights = UNIT_WEIGHTS,
) -> Float[Tensor, " r"]:
    """Compute `crop_aware_loss` of full boxes, which are cut here.

    Args:
        deltas: predicted weights * (dx, dy, log dw, log dh), relative to the proposal.
        proposals: x0, y0, x1, y1 in the frame of the crop.
        full_boxes: x0, y0, x1, y1 in the frame of the image; row i belongs to row i of the proposals.
        crop: x0, y0, x1, y1 of the crop in the frame of the image.
        beta: where the Huber norm turns from quadratic to linear.
        weights: factors of the deltas.

    Raises:
        ValueError: the crop has no area, or does not show one of the boxes.
    """
    visible, open_sides = cut_boxes(full_boxes, crop)
    hidden = (visible[:, 2:] <= visible[:, :2]).any(1)
    if hidden.any():
        rows = hidden.nonzero()[:, 0].tolist()
        raise ValueError(f"the crop shows nothing of the boxes in rows {rows[:10]}; expected boxes that it shows")
    size = crop[3] - crop[1], crop[2] - crop[0]
    return crop_aware_loss(deltas, proposals, visible, open_sides, size, beta=beta, weights=weights)
