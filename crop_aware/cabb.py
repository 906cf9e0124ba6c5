"""The crop-aware box loss (CABB): Porzi et al., "Improving Panoptic Segmentation at All Scales", CVPR 2021.

arXiv 2012.07717, Sec. 2.2 to 2.4. In one dimension a box is a center δ and a size ω, relative to the proposal. Where
the object goes on past the crop, all boxes that look the same inside the crop are equally good targets (`feasible`),
and the loss is towards the closest of them (`crop_aware_targets`). Finding it is problem O1 (`o1`) where one
side of the box is cut, and problem O2 (`reduce_o2`) where both are.
"""

from __future__ import annotations

import math
from operator import mul, truediv

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from crop_aware.coding import UNIT_WEIGHTS, AnyWeights, by_dimension, four
from crop_aware.o1 import exp, log, solve_o1
from crop_aware.standard import at_least_float32, towards

SMALLEST = 1e-6
"""Pixels that a box covers at least: only so that a visible box beside its crop still has a finite loss."""
SLACK = 0.5
"""Pixels by which a visible box may miss the border of its crop: far more than rounding makes of it."""


def crop_aware_loss(
    deltas: Float[Tensor, "r 4"],
    proposals: Float[Tensor, "r 4"],
    visible: Float[Tensor, "r 4"],
    open_sides: Bool[Tensor, "r 4"],
    crop_size: tuple[float, float],
    *,
    beta: float,
    weights: AnyWeights = UNIT_WEIGHTS,
) -> Float[Tensor, " r"]:
    """Measure how far predicted deltas are from the best full box that the crop allows: L_CABB, Eq. 2 of the paper.

    Every box X that equals `visible` once cropped is as good a target:
    L_CABB = min { Σ huber(encode(X, proposal, weights) − deltas) : crop(X) = visible }.
    With no open side it is the standard loss (`box_loss`, Eq. 1).

    Args:
        deltas: predicted weights * (dx, dy, log dw, log dh), relative to the proposal.
        proposals, visible: x0, y0, x1, y1 in pixels of the crop, row i of one belonging to row i of the other; of
            positive size.
        open_sides: left, top, right, bottom: whether the object goes on past that border of the crop.
        crop_size: height, width, pixels.
        beta: where the Huber norm turns from quadratic to linear.
        weights: factors of the deltas.

    Returns:
        The sum over the four coordinates; in the precision of the deltas, at least float32. On a GPU, and compiled,
        where looking at values would mean waiting for them, a row that is refused elsewhere is NaN.

    Raises:
        ValueError: `visible` holds what no crop shows, such as full boxes; see `impossible`.
    """
    exact = deltas.double()  # 10 * (a large offset) minus nearly the same: float32 would lose what is left
    # Envelope theorem (Prop. 1): at the minimum the target counts as a constant.
    target = crop_aware_targets(exact, proposals, visible, open_sides, crop_size, beta=beta, weights=weights)
    return towards(exact, target, beta).to(at_least_float32(deltas))


@torch.no_grad()
def crop_aware_targets(
    deltas: Float[Tensor, "r 4"],
    proposals: Float[Tensor, "r 4"],
    visible: Float[Tensor, "r 4"],
    open_sides: Bool[Tensor, "r 4"],
    crop_size: tuple[float, float],
    *,
    beta: float,
    weights: AnyWeights = UNIT_WEIGHTS,
) -> Float[Tensor, "r 4"]:
    """Find the deltas of the box that minimizes `crop_aware_loss` among those equal to `visible` once cropped.

    Takes the same arguments. The two dimensions are independent (Sec. 2.4). With both sides of one fixed, the box is
    the visible one. With one side open, the other stays glued to its visible edge, which leaves ω to choose: problem
    O1. With both open, it is problem O2.
    """
    wrong = impossible(visible, open_sides, crop_size)
    x_weight, y_weight, *size_weights = four(weights)
    # Dimensions first, so that slices are contiguous. In float64: for a few thousand numbers, launching is what costs.
    exact = deltas.double().T.contiguous()
    center = by_dimension(truediv, exact[:2], x_weight, y_weight, dim=0)
    log_size = by_dimension(truediv, exact[2:], *size_weights, dim=0)
    a, b = feasible(proposals, visible, open_sides, crop_size)
    lower_open, upper_open = open_sides.T.contiguous().view(2, 2, -1)

    covers, glued_below = reduce_o2(center, log_size, a, b)
    covers, glued_below = covers & lower_open & upper_open, upper_open & (glued_below | ~lower_open)
    wanted = 2.0 * torch.where(glued_below, center - a, b - center)  # ω̂: with it, the center would be as predicted
    size = _solve_both(wanted, log_size, b - a, beta, ((x_weight, size_weights[0]), (y_weight, size_weights[1])))
    size = torch.where(lower_open | upper_open, size, b - a)
    best_center = torch.where(glued_below, a + size / 2.0, b - size / 2.0)
    target = torch.cat(
        [
            torch.where(covers, exact[:2], by_dimension(mul, best_center, x_weight, y_weight, dim=0)),
            torch.where(covers, exact[2:], by_dimension(mul, log(size), *size_weights, dim=0)),
        ]
    )
    return target.T.masked_fill(wrong[:, None], math.nan).to(at_least_float32(deltas))


@torch.no_grad()
def impossible(
    visible: Float[Tensor, "r 4"], open_sides: Bool[Tensor, "r 4"], crop_size: tuple[float, float]
) -> Bool[Tensor, " r"]:
    """Tell which rows are not the visible part of a box: they leave the crop, or end before a border that they cross.

    With full boxes in place of visible ones the loss is a number like any other, and too large by far.

    Raises:
        ValueError: there is such a row; only for tensors on the CPU, and not while compiling.
    """
    height, width = crop_size
    # Of each side, pixels outside the crop; column by column, as a tensor made of numbers would wait for a GPU.
    beyond = torch.stack([-visible[:, 0], -visible[:, 1], visible[:, 2] - width, visible[:, 3] - height], 1)
    slack = SLACK + max(crop_size) * torch.finfo(visible.dtype).eps
    outside, short = beyond > slack, open_sides & (beyond < -slack)
    wrong = (outside | short).any(1)
    if visible.device.type == "cpu" and not torch.compiler.is_compiling() and wrong.any():
        what = [
            f"{text} in rows {', '.join(map(str, rows[:10]))}{', …' if len(rows) > 10 else ''} ({len(rows)} rows)"
            for text, sides in (("reaches beyond the crop", outside), ("ends before a border that is open", short))
            if (rows := sides.any(1).nonzero()[:, 0].tolist())
        ]
        raise ValueError(
            f"visible {' and '.join(what)}; expected the part of each box that the crop shows, not all of it"
        )
    return wrong


def feasible(
    proposals: Float[Tensor, "r 4"],
    visible: Float[Tensor, "r 4"],
    open_sides: Bool[Tensor, "r 4"],
    crop_size: tuple[float, float],
) -> tuple[Float[Tensor, "2 r"], Float[Tensor, "2 r"]]:
    """Describe the feasible set ρ(G, C) of the paper: all boxes that equal the visible one once cropped.

    Takes the arguments of `crop_aware_loss`.

    Returns:
        a, b: in x and in y, a feasible box covers [a, b], relative to the proposal's center and size. It ends at a, or
        at b, where that side is fixed; where it is open, a or b is the crop's border and the box may go on beyond it.
        float64.
    """
    sides = torch.cat([proposals, visible], 1).double().T.contiguous()
    center, size = (sides[:2] + sides[2:4]) / 2.0, sides[2:4] - sides[:2]
    lower_open, upper_open = open_sides.T.contiguous().view(2, 2, -1)
    borders = torch.stack([torch.full_like(center[0], extent) for extent in reversed(crop_size)])
    lower = sides[4:6].masked_fill(lower_open, 0.0)
    upper = torch.maximum(torch.where(upper_open, borders, sides[6:]), lower + SMALLEST)
    return (lower - center) / size, (upper - center) / size


def reduce_o2(
    center: Float[Tensor, "2 r"], log_size: Float[Tensor, "2 r"], a: Float[Tensor, "2 r"], b: Float[Tensor, "2 r"]
) -> tuple[Bool[Tensor, "2 r"], Bool[Tensor, "2 r"]]:
    """Reduce problem O2, both sides open, to nothing or to problem O1 (Sec. 2.4).

    A prediction that covers [a, b] is its own optimum. Any other has its optimum on the boundary of the feasible set,
    glued to the border that is further from its center: glued to the other, every ω would cost more.

    Returns:
        Whether the prediction is the optimum; else, whether the optimum is glued to a (True) or to b.
    """
    glued_below = center + center >= a + b
    return exp(log_size) >= 2.0 * torch.where(glued_below, center - a, b - center), glued_below


def _solve_both(
    wanted: Tensor, log_size: Tensor, least: Tensor, beta: float, weights: tuple[tuple[float, float], ...]
) -> Tensor:
    """Solve O1 in x and in y, given the weights of center and size in each; at once if these are the same."""
    if weights[0] == weights[1]:
        center, size = weights[0]
        return solve_o1(wanted, log_size, least, beta=beta, p=center / 2, q=size)
    rows = zip(wanted, log_size, least, weights, strict=True)
    return torch.stack([solve_o1(w, s, o, beta=beta, p=center / 2, q=size) for w, s, o, (center, size) in rows])
