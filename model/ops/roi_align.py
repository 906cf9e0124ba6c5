"""RoIAlign over a feature pyramid: He et al., "Mask R-CNN", ICCV 2017, arXiv 1703.06870, Sec. 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from model.ops.compiled import compiled_ops

ELEMENTS = 1 << 18
"""Numbers that the backward pass spreads at a time: about what a cache holds."""


def roi_align(
    levels: Sequence[Float[Tensor, "b c _ _"]],
    strides: Sequence[int],
    boxes: Float[Tensor, "r 4"],
    image: Int[Tensor, " r"],
    level: Int[Tensor, " r"],
    *,
    bins: int,
    samples: int,
) -> Float[Tensor, "r c bins bins"]:
    """Pool the features of each box on a grid of bins: bilinear samples, evenly spaced, averaged over a bin.

    Cell i of a level with stride s has its center at s * (i + 1/2) pixels. A sample more than one cell outside of the
    outermost centers is 0, one nearer takes the value at the border. Differentiable in the features, not in the boxes.

    Args:
        levels: feature maps of the same images, all with c channels.
        strides: pixels of the network's input that a cell of each level covers.
        boxes: x0, y0, x1, y1, pixels of the network's input.
        image, level: the batch row and the level that each box is pooled from.
        bins: along each side of a box.
        samples: along each side of a bin.
    """
    ops = compiled_ops(boxes.device)
    boxes = boxes.detach().float()
    if ops is None:
        return gathered(levels, strides, boxes, image, level, bins=bins, samples=samples)
    regions = torch.cat([image[:, None].float(), boxes], 1)
    pooled, rows = [], []
    for i, (features, stride) in enumerate(zip(levels, strides, strict=True)):
        rows.append((level == i).nonzero()[:, 0])
        region = regions[rows[-1]].to(features.dtype)
        pooled.append(ops.roi_align(features, region, bins, 1 / stride, samples, True))
    return torch.cat(pooled)[torch.cat(rows).argsort()]


def gathered(
    levels: Sequence[Tensor],
    strides: Sequence[int],
    boxes: Tensor,
    image: Tensor,
    level: Tensor,
    *,
    bins: int,
    samples: int,
) -> Tensor:
    """Compute `roi_align` without torchvision: a sparse product of weights and one table, the cells of all levels."""
    batch, channels = levels[0].shape[:2]
    table = torch.cat([features.permute(0, 2, 3, 1).reshape(-1, channels) for features in levels])
    sizes = torch.tensor([features.shape[-2:] for features in levels], device=boxes.device)
    starts = torch.tensor([0] + [batch * f.shape[2] * f.shape[3] for f in levels[:-1]], device=boxes.device).cumsum(0)
    stride = torch.tensor(strides, dtype=torch.float32, device=boxes.device)[level, None]
    height, width = sizes[level, 0], sizes[level, 1]

    count = bins * samples
    at = (torch.arange(count, device=boxes.device) + 0.5) / count
    x = (boxes[:, :1] + at * (boxes[:, 2:3] - boxes[:, :1])) / stride - 0.5
    y = (boxes[:, 1:2] + at * (boxes[:, 3:4] - boxes[:, 1:2])) / stride - 0.5
    columns, column_weights = _corners(x, width)
    rows, row_weights = _corners(y, height)

    # r x (samples of a column) x 2 and r x (samples of a row) x 2 make r x bins x bins x everything that a bin sums.
    first = starts[level] + image * height * width
    rows = (first[:, None, None] + rows * width[:, None, None]).view(len(boxes), bins, 1, samples * 2, 1)
    columns = columns.view(len(boxes), 1, bins, 1, samples * 2)
    row_weights = (row_weights / samples).view(len(boxes), bins, 1, samples * 2, 1)
    column_weights = (column_weights / samples).view(len(boxes), 1, bins, 1, samples * 2)
    cells = (rows + columns).reshape(-1, (samples * 2) ** 2)
    weights = (row_weights * column_weights).reshape(-1, (samples * 2) ** 2)
    pooled: Tensor = _WeightedRows.apply(table, cells, weights)
    return pooled.view(len(boxes), bins, bins, channels).permute(0, 3, 1, 2)


def _corners(x: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two cells beside each sample of a line, and their weights: r x n positions to r x n x 2."""
    last = (size - 1)[:, None]
    inside = (x >= -1) & (x <= last + 1)
    x = torch.minimum(x.clamp(min=0), last.float())
    lower = x.floor().long()
    upper = torch.minimum(lower + 1, last)
    share = x - lower
    weights = torch.stack([1 - share, share], -1) * inside[..., None]
    return torch.stack([lower, upper], -1), weights


class _WeightedRows(torch.autograd.Function):
    """Row k of the result is the sum over j of weights[k, j] * table[cells[k, j]]."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, cells: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(cells, weights)
        ctx.table = table.shape, table.dtype
        return F.embedding_bag(cells, table.float(), per_sample_weights=weights, mode="sum").to(table.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """embedding_bag's own backward sorts all cells first; adding rows in pieces is several times faster."""
        cells, weights = ctx.saved_tensors
        (rows, channels), dtype = ctx.table
        spread = torch.zeros((rows, channels), device=grad.device)
        step = max(1, ELEMENTS // (cells.shape[1] * channels))
        for start in range(0, len(cells), step):
            part = slice(start, start + step)
            values = weights[part, :, None] * grad[part, None, :].float()
            spread.index_add_(0, cells[part].flatten(), values.flatten(0, 1))
        return spread.to(dtype), None, None
