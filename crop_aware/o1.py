"""Problem O1 of the crop-aware box loss: the size of a box of which one edge is given.

Porzi et al., CVPR 2021, arXiv 2012.07717, Sec. 2.4, for deltas with weights:

    minimize  f(ω) = huber(p (ω − ω̂)) + huber(q log(ω / ω_P))  over  ω >= ω₀ > 0

f is not convex, and a descent from one start is wrong for one box in five. Yet each local minimum, where f' turns from
negative to positive, lies in one of a few intervals on which this happens once at most (`brackets`). All are cut down
at once (`bisect`), and the lowest of these minima is the answer (`choose`). The work is the same for all values:
nothing waits for the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

MAX_LOG = 100.0
"""Predicted log sizes beyond ± this count as this: e**100 is no box, and its square is still finite."""
SECTIONS, ROUNDS = 8, 3
"""A bracket is cut into 8 parts 3 times: to 1/512 of a piece on which the objective is smooth."""


@dataclass(frozen=True)
class O1:
    """Problems of any number and shape, all with the same β, p and q; lengths are relative to the proposal."""

    wanted: Float[Tensor, "*n"]
    """ω̂, of any sign: the size with which the center would be as predicted."""
    log_size: Float[Tensor, "*n"]
    """log ω_P, as predicted."""
    size: Float[Tensor, "*n"]
    """ω_P."""
    least: Float[Tensor, "*n"]
    """ω₀."""
    beta: float
    p: float
    """Half of the weight of the center."""
    q: float
    """Weight of the size."""

    def slope(self, log: Float[Tensor, " ... *n"]) -> Float[Tensor, " ... *n"]:
        """Return the derivative of f with respect to log ω, times β/q², at log ω."""
        omega = exp(log)
        by_center = (omega - self.wanted).clamp(-self.beta / self.p, self.beta / self.p)
        by_size = (log - self.log_size).clamp(-self.beta / self.q, self.beta / self.q)
        return torch.addcmul(by_size, omega, by_center, value=(self.p / self.q) ** 2)

    def cost(self, omega: Float[Tensor, " ... *n"], log: Float[Tensor, " ... *n"]) -> Float[Tensor, " ... *n"]:
        """Return f, times β/q², at ω."""
        by_center, by_size = (omega - self.wanted).abs(), (log - self.log_size).abs()
        return (self.p / self.q) ** 2 * _huber(by_center, self.beta / self.p) + _huber(by_size, self.beta / self.q)


def solve_o1(
    wanted: Float[Tensor, "*n"],
    log_size: Float[Tensor, "*n"],
    least: Float[Tensor, "*n"],
    *,
    beta: float,
    p: float,
    q: float,
) -> Float[Tensor, "*n"]:
    """Find the ω >= ω₀ that minimizes f(ω) = huber(p (ω − ω̂)) + huber(q log(ω / ω_P)): problem O1, globally.

    Args:
        wanted: ω̂, of any sign.
        log_size: log ω_P.
        least: ω₀, positive.
        beta: where the Huber norm turns from quadratic to linear.
        p, q: half of the weight of the center; weight of the size. The paper's text is p = 1/2, q = 1.

    >>> one = torch.ones(1, dtype=torch.float64)  # ω̂ = ω_P = 1, and any size of 2 or more will do
    >>> solve_o1(one, 0 * one, 2 * one, beta=1.0, p=0.5, q=1.0).tolist()
    [2.0]
    """
    log_size = log_size.clamp(-MAX_LOG, MAX_LOG)
    problem = O1(wanted, log_size, exp(log_size), least, beta, p, q)
    return choose(problem, larger_root(problem), bisect(problem, *brackets(problem)))


def brackets(o: O1) -> tuple[Float[Tensor, " k *n"], Float[Tensor, " k *n"]]:
    """Bound the minima of f: intervals of ω >= ω₀ in each of which f' turns from negative to positive once at most.

    Left out is the one minimum that has a closed form (`larger_root`).
    """
    # Between ω̂ and ω_P. If ω̂ <= ω_P both terms are convex there. Else only as far as the second term is convex: while
    # it is quadratic, and up to e ω_P.
    convex_until = torch.minimum(o.wanted, o.size * math.exp(min(o.beta / o.q, 1.0)))
    pieces = [(torch.minimum(o.wanted, o.size), torch.where(o.wanted <= o.size, o.size, convex_until))]
    if o.beta > o.q:
        # Beyond e ω_P, both terms quadratic: the sign of f' is that of (p/q)² ω (ω − ω̂) + log(ω/ω_P), which rises,
        # falls, and rises again.
        turn = sqrt(o.wanted.square() - 8.0 * (o.q / o.p) ** 2)
        start = torch.maximum(math.e * o.size, o.wanted - o.beta / o.p)
        end = _size_linear_from(o)
        pieces += [
            (start, torch.minimum((o.wanted - turn) / 4.0, end)),
            (torch.maximum(start, (o.wanted + turn) / 4.0), torch.minimum(o.wanted, end)),
        ]
    # Both linear: ω = q/p, a minimum within the first bracket if ω̂ <= ω_P, else always a maximum.
    low = torch.maximum(torch.stack([low for low, _ in pieces]), o.least)
    return low, torch.maximum(torch.stack([high for _, high in pieces]), low)


def larger_root(o: O1) -> Float[Tensor, "*n"]:
    """Return the minimum of f where its first term is quadratic and its second linear, clamped to where that is so.

    There f' = 0 is ω² − ω̂ ω + q β / p² = 0, of which the larger root is a minimum, the smaller one a maximum.
    """
    root = (o.wanted + sqrt(o.wanted.square() - 4.0 * o.q * o.beta / o.p**2)) / 2.0
    return torch.maximum(root, torch.maximum(o.wanted - o.beta / o.p, _size_linear_from(o)))


def bisect(o: O1, low: Float[Tensor, " k *n"], high: Float[Tensor, " k *n"]) -> Float[Tensor, " k *n"]:
    """Find log ω of the minimum of f in each bracket; it is at an end where f only falls or only rises."""
    kinks = torch.stack(  # where f' is not smooth: the bracket first becomes the piece between two of them
        [
            torch.where(o.wanted <= o.size, o.wanted + o.beta / o.p, o.wanted - o.beta / o.p),
            o.size * math.exp(-min(o.beta / o.q, MAX_LOG)),
            torch.full_like(o.wanted, o.q / o.p),
        ]
    )
    kinks = log(torch.minimum(torch.maximum(kinks[:, None], low), high))
    falls = o.slope(kinks) < 0.0
    low, high = torch.where(falls, kinks, log(low)).amax(0), torch.where(falls, log(high), kinks).amin(0)
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    cuts = torch.linspace(-1.0, 1.0, SECTIONS + 1, dtype=low.dtype, device=low.device).view(-1, *[1] * low.dim())
    for done in range(ROUNDS):
        signs = o.slope(torch.addcmul(middle, half, cuts[1:-1], value=SECTIONS**-done)).sign().sum(0)
        middle = torch.addcmul(middle, half, signs, value=-(SECTIONS ** -(done + 1)))  # to the section where f turns
    # f is smooth on what is left: one linear interpolation squares the error.
    ends = torch.addcmul(middle, half, cuts[::SECTIONS], value=SECTIONS**-ROUNDS)
    falling, rising = o.slope(ends)
    share = (falling / (falling - rising).clamp(max=-1e-300)).clamp(0.0, 1.0)
    return torch.lerp(ends[0], ends[1], share)


def choose(o: O1, root: Float[Tensor, "*n"], bottoms: Float[Tensor, " k *n"]) -> Float[Tensor, "*n"]:
    """Return the ω of the lowest f, at least ω₀: `root` (an ω) or one of `bottoms` (each a log ω)."""
    root = torch.maximum(root, o.least)
    omegas, logs = torch.cat([root[None], exp(bottoms)]), torch.cat([log(root)[None], bottoms])
    costs = o.cost(omegas, logs)
    best, lowest = omegas[0], costs[0]
    for omega, cost in zip(omegas[1:].unbind(), costs[1:].unbind(), strict=True):
        best, lowest = torch.where(lowest < cost, best, omega), torch.minimum(lowest, cost)
    return best


def _size_linear_from(o: O1) -> Float[Tensor, "*n"]:
    """Return the ω above ω_P from which the second term of f is linear."""
    return o.size * math.exp(min(o.beta / o.q, MAX_LOG))


# torch.exp, log and sqrt of a CPU tensor wake all threads of MKL, even for a few numbers: where the cores are busy with
# loading data, each call then waits for milliseconds. Their relatives do not.


def exp(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return e to the power of x."""
    return torch.exp2(x * math.log2(math.e))


def log(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the natural logarithm."""
    return torch.log1p(x - 1.0)


def sqrt(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the square root; 0 where x is negative."""
    x = x.clamp(min=1e-300)
    return x * torch.rsqrt(x)


def _huber(distance: Float[Tensor, "*n"], linear_from: float) -> Float[Tensor, "*n"]:
    """Return z²/2 up to `linear_from`, then a line: the Huber norm of Eq. 1 times β, for distances z >= 0."""
    quadratic = distance.clamp(max=linear_from)
    return quadratic * (distance - quadratic / 2.0)
