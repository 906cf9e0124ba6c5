"""Geometry of boxes x0, y0, x1, y1: continuous coordinates, pixel i covers [i, i + 1)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def area(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """Return the area; 0 where a side would be negative.

    >>> area(torch.tensor([[1.0, 1.0, 4.0, 3.0], [2.0, 0.0, 1.0, 9.0]])).tolist()
    [6.0, 0.0]
    """
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def clip(boxes: Float[Tensor, "*n 4"], size: tuple[int, int]) -> Float[Tensor, "*n 4"]:
    """Return the part of each box inside an image of (height, width); a box outside of it collapses onto the border."""
    height, width = size
    x = boxes[..., 0::2].clamp(0, width)
    y = boxes[..., 1::2].clamp(0, height)
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], -1)


def large_enough(boxes: Float[Tensor, "*n 4"]) -> Bool[Tensor, "*n"]:
    """Return whether both sides are at least one pixel: anything less is no region (and NaN is not large)."""
    return ((boxes[..., 2:] - boxes[..., :2]) >= 1).all(-1)


def _overlap(a: Float[Tensor, "m 4"], b: Float[Tensor, "n 4"], axis: int) -> Float[Tensor, "m n"]:
    """Return the length of the common part along x (0) or y (1); in place where it can, as m times n is large."""
    upper = torch.minimum(a[:, None, axis + 2], b[None, :, axis + 2])
    return upper.sub_(torch.maximum(a[:, None, axis], b[None, :, axis])).clamp_(min=0)


def intersection(a: Float[Tensor, "m 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "m n"]:
    """Return the area that each box of `a` shares with each of `b`."""
    return _overlap(a, b, 0).mul_(_overlap(a, b, 1))


def iou(a: Float[Tensor, "m 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "m n"]:
    """Return the intersection over union of each box of `a` with each of `b`; 0 where both are empty.

    >>> iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]])).tolist()
    [[0.3333333432674408]]
    """
    shared = intersection(a, b)
    union = (area(a)[:, None] + area(b)[None, :]).sub_(shared)
    return shared.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))


def clipped_iou(
    a: Float[Tensor, "m 4"], b: Float[Tensor, "n 4"], open_sides: Bool[Tensor, "n 4"], size: tuple[int, int]
) -> Float[Tensor, "m n"]:
    """Return the IoU with each box of `b` after `a` is clipped to the crop, on the sides where that of `b` is open.

    An anchor that covers the full extent of a cut object then agrees with its visible box. Boxes of `b` are inside the
    crop, so clipping changes the area of `a`, never the intersection.

    Args:
        a, b: pixels of the crop.
        open_sides: left, top, right, bottom: whether the object goes on past that border of the crop.
        size: height, width of the crop.
    """
    inside = clip(a, size)
    left, top, right, bottom = (
        torch.where(open_sides[:, None, side], inside[None, :, side], a[None, :, side]) for side in range(4)
    )
    shared = intersection(b, a)  # transposed, as there are many more of a: its loops are the inner ones
    clipped = (right - left).clamp_(min=0).mul_((bottom - top).clamp_(min=0))
    union = clipped.add_(area(b)[:, None]).sub_(shared)
    return shared.div_(union.clamp_(min=torch.finfo(union.dtype).tiny)).T


def covered(boxes: Float[Tensor, "n 4"], mask: Bool[Tensor, "h w"]) -> Float[Tensor, " n"]:
    """Return the share of each box's pixels inside the image that the mask covers; corners are rounded to whole pixels.

    The part of a box outside the image counts for nothing; a box with no pixel inside has share 0.
    """
    height, width = mask.shape
    total = torch.zeros((height + 1, width + 1), dtype=torch.int32, device=mask.device)
    total[1:, 1:] = mask.to(torch.int32).cumsum(0, dtype=torch.int32).cumsum(1, dtype=torch.int32)
    x0, y0, x1, y1 = clip(boxes, (height, width)).round().to(torch.int64).unbind(-1)
    hits = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
    return hits / ((x1 - x0) * (y1 - y0)).clamp(min=1)
