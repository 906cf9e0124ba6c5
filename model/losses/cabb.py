"""The crop-aware box loss: Porzi et al., "Improving Panoptic Segmentation at All Scales", CVPR 2021, Sec. 2.2 to 2.4.

In one dimension a box is a centre δ and a size ω, relative to the proposal. Where the object goes on past the crop, all
boxes that look the same inside the crop are equally good targets, and the loss is towards the closest of them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from model.box_coding import UNIT_WEIGHTS, Weights

SMALLEST = 1e-6
"""Pixels that a box covers at least: only so that a visible box beside its crop still has a finite loss."""
MAX_LOG = 100.0
"""Predicted log sizes beyond ± this count as this: e**100 is no box, and its square is still finite."""
SLACK = 0.5
"""Pixels by which a visible box may miss the border of its crop: far more than rounding makes of it."""
SECTIONS, ROUNDS = 8, 3
"""A bracket is cut into 8 parts 3 times: to 1/512 of a piece on which the objective is smooth."""


def crop_aware_loss(
    deltas: Float[Tensor, "r 4"],
    proposals: Float[Tensor, "r 4"],
    visible: Float[Tensor, "r 4"],
    open_sides: Bool[Tensor, "r 4"],
    crop_size: tuple[int, int] | Float[Tensor, "r 2"],
    *,
    beta: float,
    weights: Weights = UNIT_WEIGHTS,
) -> Float[Tensor, " r"]:
    """Box regression towards the best full box that the crop allows (Porzi et al., CVPR 2021, Eq. 2).

    Every box X that equals `visible` once cropped is as good a target:
    loss = min { Σ huber(encode(X, proposal, weights) − deltas) : crop(X) = visible }.
    With no open side it is the standard loss (Eq. 1).

    Args:
        deltas: predicted weights * (dx, dy, log dw, log dh), relative to the proposal.
        proposals, visible: x0, y0, x1, y1 in pixels of the crop, row i of one belonging to row i of the other; of
            positive size.
        open_sides: left, top, right, bottom: whether the object goes on past that border of the crop.
        crop_size: height, width, pixels; of all crops, or a row for each box.
        beta: where the Huber norm turns from quadratic to linear.
        weights: what the deltas are multiplied by.

    Returns:
        The sum over the four coordinates; in the precision of the deltas, at least float32. On a GPU, and compiled,
        where looking at values would mean waiting for them, a row that is refused elsewhere is NaN.

    Raises:
        ValueError: `visible` holds what no crop shows, such as full boxes; see `impossible`.
    """
    exact = deltas.double()  # 10 * (a large offset) minus nearly the same: float32 would lose what is left
    # Envelope theorem (Prop. 1): at the minimum the target counts as a constant.
    target = crop_aware_targets(exact, proposals, visible, open_sides, crop_size, beta=beta, weights=weights)
    loss = F.smooth_l1_loss(exact, target, reduction="none", beta=beta).sum(-1)
    return loss.to(torch.promote_types(deltas.dtype, torch.float32))


@torch.no_grad()
def impossible(
    visible: Float[Tensor, "r 4"], open_sides: Bool[Tensor, "r 4"], crop_size: tuple[int, int] | Float[Tensor, "r 2"]
) -> Bool[Tensor, " r"]:
    """Tell which rows are not the visible part of a box: they leave the crop, or end before a border that they cross.

    With full boxes in place of visible ones the loss is a number like any other, and too large by far.

    Raises:
        ValueError: there is such a row; only for tensors on the CPU, and not while compiling.
    """
    extent = crop_size.to(visible) if isinstance(crop_size, Tensor) else visible.new_tensor(crop_size)
    beyond = torch.cat([-visible[:, :2], visible[:, 2:] - extent.flip(-1)], 1)  # of each side, pixels outside the crop
    slack = SLACK + extent.amax(-1, keepdim=True) * torch.finfo(visible.dtype).eps
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


@torch.no_grad()
def crop_aware_targets(
    deltas: Float[Tensor, "r 4"],
    proposals: Float[Tensor, "r 4"],
    visible: Float[Tensor, "r 4"],
    open_sides: Bool[Tensor, "r 4"],
    crop_size: tuple[int, int] | Float[Tensor, "r 2"],
    *,
    beta: float,
    weights: Weights = UNIT_WEIGHTS,
) -> Float[Tensor, "r 4"]:
    """Deltas of the box that minimises `crop_aware_loss` among those equal to `visible` once cropped; same arguments.

    The two dimensions are independent (Sec. 2.4). With both sides of one fixed, its box is the visible one. With one
    side open, the other stays glued to its visible edge, which leaves ω to choose (problem O1). With both open (O2), a
    prediction that covers the crop is its own target; any other has the optimum on the boundary of the feasible set,
    glued to the border that is further from its centre: glued to the other, every ω would cost more.
    """
    wrong = impossible(visible, open_sides, crop_size)
    # Dimensions first, so that slices are contiguous. In float64: for a few thousand numbers, launching is what costs.
    rows = torch.cat([deltas.double(), proposals, visible], 1).T.contiguous()
    exact, proposals, visible = rows.split(4)
    centre, log_size = exact[:2] / weights.centre, exact[2:] / weights.size
    reference_centre, reference_size = (proposals[:2] + proposals[2:]) / 2.0, proposals[2:] - proposals[:2]
    lower_open, upper_open = open_sides.T.contiguous().view(2, 2, -1)
    crop_width_height = (
        crop_size.T.flip(0).double()
        if isinstance(crop_size, Tensor)
        else torch.stack([torch.full_like(centre[0], extent) for extent in reversed(crop_size)])
    )

    # Relative to the proposal, [a, b] is what a box has to cover; where a side is fixed, it ends there.
    lower = visible[:2].masked_fill(lower_open, 0.0)
    upper = torch.maximum(torch.where(upper_open, crop_width_height, visible[2:]), lower + SMALLEST)
    a, b = (lower - reference_centre) / reference_size, (upper - reference_centre) / reference_size
    glued_below = upper_open & (~lower_open | (centre + centre >= a + b))
    wanted = 2.0 * torch.where(glued_below, centre - a, b - centre)  # ω̂: with it, the centre would be as predicted
    size = _best_size(wanted, log_size, b - a, beta=beta, p=weights.centre / 2, q=weights.size)
    size = torch.where(lower_open | upper_open, size, b - a)
    best_centre = torch.where(glued_below, a + size / 2.0, b - size / 2.0)
    covers = lower_open & upper_open & (_exp(log_size) >= wanted)
    target = torch.cat(
        [
            torch.where(covers, exact[:2], weights.centre * best_centre),
            torch.where(covers, exact[2:], weights.size * _log(size)),
        ]
    )
    return target.T.masked_fill(wrong[:, None], math.nan).to(torch.promote_types(deltas.dtype, torch.float32))


def _best_size(
    wanted: Float[Tensor, "2 r"],
    log_size: Float[Tensor, "2 r"],
    least: Float[Tensor, "2 r"],
    *,
    beta: float,
    p: float,
    q: float,
) -> Float[Tensor, "2 r"]:
    """The ω ≥ ω₀ that minimises f(ω) = huber(p (ω − ω̂)) + huber(q log(ω / ω_P)): problem O1, with delta weights.

    f is not convex, yet each place where f' turns from negative to positive, that is each local minimum, lies in one
    of a few intervals on which that happens once at most. The answer is the best of the minima on these.

    Args:
        wanted: ω̂, of any sign.
        log_size: log ω_P.
        least: ω₀, positive.
    """
    log_size = log_size.clamp(-MAX_LOG, MAX_LOG)
    size = _exp(log_size)
    size_linear_from = size * math.exp(min(beta / q, MAX_LOG))
    centre_quadratic_from = wanted - beta / p

    # Between ω̂ and ω_P. If ω̂ <= ω_P both terms are convex there. Else only as far as the second term is convex: while
    # it is quadratic, and up to e ω_P.
    convex_until = torch.minimum(wanted, size * math.exp(min(beta / q, 1.0)))
    convex = wanted <= size
    brackets = [(torch.minimum(wanted, size), torch.where(convex, size, convex_until))]
    if beta > q:
        # Beyond e ω_P, both terms quadratic: the sign of f' is that of (p/q)² ω (ω − ω̂) + log(ω/ω_P), which rises,
        # falls, and rises again.
        turn = _sqrt(wanted.square() - 8.0 * (q / p) ** 2)
        start = torch.maximum(math.e * size, centre_quadratic_from)
        brackets += [
            (start, torch.minimum((wanted - turn) / 4.0, size_linear_from)),
            (torch.maximum(start, (wanted + turn) / 4.0), torch.minimum(wanted, size_linear_from)),
        ]
    # First term quadratic, second linear: ω² − ω̂ ω + q β / p² = 0, of which the larger root is a minimum.
    root = (wanted + _sqrt(wanted.square() - 4.0 * q * beta / p**2)) / 2.0
    root = torch.maximum(root, torch.maximum(centre_quadratic_from, size_linear_from))
    # Both linear: ω = q/p, a minimum within the first bracket if ω̂ <= ω_P, else always a maximum.

    def slope(log: Float[Tensor, "... 2 r"]) -> Float[Tensor, "... 2 r"]:
        """The derivative of f with respect to log ω, times β/q²."""
        omega = _exp(log)
        by_centre, by_size = (omega - wanted).clamp(-beta / p, beta / p), (log - log_size).clamp(-beta / q, beta / q)
        return torch.addcmul(by_size, omega, by_centre, value=(p / q) ** 2)

    low = torch.maximum(torch.stack([low for low, _ in brackets]), least)
    high = torch.maximum(torch.stack([high for _, high in brackets]), low)
    kinks = torch.stack(
        [
            torch.where(convex, wanted + beta / p, centre_quadratic_from),
            size * math.exp(-min(beta / q, MAX_LOG)),
            torch.full_like(wanted, q / p),
        ]
    )
    kinks = _log(torch.minimum(torch.maximum(kinks[:, None], low), high))
    falls = slope(kinks) < 0.0
    low, high = torch.where(falls, kinks, _log(low)).amax(0), torch.where(falls, _log(high), kinks).amin(0)
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    cuts = torch.linspace(-1.0, 1.0, SECTIONS + 1, dtype=low.dtype, device=low.device)[:, None, None, None]
    for done in range(ROUNDS):
        signs = slope(torch.addcmul(middle, half, cuts[1:-1], value=SECTIONS**-done)).sign().sum(0)
        middle = torch.addcmul(middle, half, signs, value=-(SECTIONS ** -(done + 1)))  # to the section where f turns
    # f is smooth on what is left: one linear interpolation squares the error.
    ends = torch.addcmul(middle, half, cuts[::SECTIONS], value=SECTIONS**-ROUNDS)
    falling, rising = slope(ends)
    share = (falling / (falling - rising).clamp(max=-1e-300)).clamp(0.0, 1.0)
    bottoms = torch.lerp(ends[0], ends[1], share)  # of a bracket on which f only rises: its lower end, such as ω₀

    root = torch.maximum(root, least)
    omegas, logs = torch.cat([root[None], _exp(bottoms)]), torch.cat([_log(root)[None], bottoms])
    by_centre, by_size = (omegas - wanted).abs(), (logs - log_size).abs()
    costs = (p / q) ** 2 * _huber(by_centre, beta / p) + _huber(by_size, beta / q)  # f, times β/q²
    best, lowest = omegas[0], costs[0]
    for omega, cost in zip(omegas[1:].unbind(), costs[1:].unbind(), strict=True):
        best, lowest = torch.where(lowest < cost, best, omega), torch.minimum(lowest, cost)
    return best


# torch.exp, log and sqrt of a CPU tensor wake all threads of MKL, even for a few numbers: where the cores are busy with
# loading data, each call then waits for milliseconds. Their relatives do not.


def _exp(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    return torch.exp2(x * math.log2(math.e))


def _log(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    return torch.log1p(x - 1.0)


def _sqrt(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """0 where x is negative."""
    x = x.clamp(min=1e-300)
    return x * torch.rsqrt(x)


def _huber(distance: Float[Tensor, "*n"], linear_from: float) -> Float[Tensor, "*n"]:
    """z²/2 up to `linear_from`, then a line: the Huber norm of the paper's Eq. 1 times beta, for distances z >= 0."""
    quadratic = distance.clamp(max=linear_from)
    return quadratic * (distance - quadratic / 2.0)
