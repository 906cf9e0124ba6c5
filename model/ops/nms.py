"""Greedy non-maximum suppression, without a loop over boxes."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.ops.boxes import iou
from model.ops.compiled import compiled_ops

BLOCK = 256
"""Boxes that are decided together: keeps memory linear in the number of boxes, and lets `limit` stop early."""


def nms(
    boxes: Float[Tensor, "n 4"],
    scores: Float[Tensor, " n"],
    groups: Int[Tensor, " n"] | None = None,
    *,
    iou_above: float,
    limit: int | None = None,
) -> Int[Tensor, " k"]:
    """Find the boxes that no better one of their group overlaps by more than `iou_above`; best first, int64 indices.

    Args:
        boxes: x0, y0, x1, y1, any frame.
        scores: higher is better; of equal scores the earlier box is the better one.
        groups: boxes of different groups do not see each other (categories); None: all are one group.
        iou_above: a box is dropped if its IoU with a kept one is larger.
        limit: keep at most this many.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes = boxes[order].float()
    groups = None if groups is None else groups[order]
    ops = compiled_ops(boxes.device)
    if ops is not None:
        # Ours on scores that fall strictly, so that both order equal scores alike.
        ranks = torch.arange(len(boxes), 0, -1, dtype=torch.float32, device=boxes.device)
        same = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device) if groups is None else groups
        return order[ops.batched_nms(boxes, ranks, same, iou_above)[:limit]]
    return order[suppress(boxes, groups, iou_above, limit)[:limit]]


def suppress(
    boxes: Float[Tensor, "n 4"], groups: Int[Tensor, " n"] | None, iou_above: float, limit: int | None
) -> Int[Tensor, " k"]:
    """Return the indices of the boxes that `nms` keeps, without torchvision; boxes are sorted from best to worst."""
    selected = torch.zeros(0, dtype=torch.int64, device=boxes.device)
    for start in range(0, len(boxes), BLOCK):
        block = torch.arange(start, min(start + BLOCK, len(boxes)), device=boxes.device)
        free = block[~_overlaps(boxes, groups, selected, block, iou_above).any(0)]
        selected = torch.cat([selected, free[_greedy(_overlaps(boxes, groups, free, free, iou_above))]])
        if limit is not None and len(selected) >= limit:
            break
    return selected


def _overlaps(
    boxes: Float[Tensor, "n 4"],
    groups: Int[Tensor, " n"] | None,
    a: Int[Tensor, " p"],
    b: Int[Tensor, " q"],
    iou_above: float,
) -> Tensor:
    hit = iou(boxes[a], boxes[b]) > iou_above
    return hit if groups is None else hit & (groups[a][:, None] == groups[b][None, :])


def _greedy(overlaps: Tensor) -> Tensor:
    """Decide which of n sorted boxes a greedy pass keeps, n x n overlaps given.

    The greedy result is the only assignment in which a box is kept exactly if no kept, better box overlaps it. Each
    time that rule is applied, at least the best box that is still wrong is settled; a few rounds do for all.
    """
    better = overlaps.float().triu_(1)  # [i, j]: i is better than j and overlaps it
    survives = torch.ones(len(better), device=better.device)
    while True:
        again = (survives @ better == 0).float()
        if torch.equal(again, survives):
            return survives.bool()
        survives = again
