"""The rule by which a claim of the paper is judged, as results/streets/registration.md fixes it before any counted run.

A part of a claim is a number that the paper says to be above zero. Where networks are trained for it, the number is
that of each seed, of variants that share the seed's weights and samples. The first of these that holds is its verdict:

- not testable here: a variant has not been trained, or a size bin holds too few instances.
- not testable yet: a registered variant has no network of a finished seed.
- reproduced: the number is above zero in every seed, of two at least; Student's 95 % interval over seeds lies above
  zero; and the mean is at least a third of the paper's effect, where the paper gives one. With fewer than five seeds it
  is also at least a point, if it is one of PQ: less cannot be told from noise.
- opposite: the same holds of minus the number.
- not converged: a variant in it still gains more than a point of PQ between half of its steps and all of them.
- inconclusive: one seed: nothing is known of how much training itself varies.
- inconclusive: everything else.

A number that depends on no training is judged by its interval, or its sign, alone. Of a claim's parts, the first in
the order not testable here, not testable yet, opposite, not converged, inconclusive: one seed, inconclusive decides; it
is reproduced if all are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal[
    "reproduced",
    "opposite",
    "not converged",
    "inconclusive",
    "inconclusive: one seed",
    "not testable here",
    "not testable yet",
]
DECIDING: tuple[Verdict, ...] = (
    "not testable here",
    "not testable yet",
    "opposite",
    "not converged",
    "inconclusive: one seed",
    "inconclusive",
)
"""Verdicts of a part that decide about its claim, in their order."""
SHARE = 1 / 3
"""Smallest share of the paper's effect."""
LAST_DOUBLING = 1.0
"""Largest gain between half of the steps and all of them of a learning curve that is flat, points of PQ."""
FEW_SEEDS, SMALLEST = 5, 1.0
"""With fewer seeds, no effect below so many points of PQ is claimed."""


@dataclass(frozen=True)
class Part:
    """A number that a claim says is above zero."""

    tested: str
    """Name of the number, and its unit."""
    published: str
    """Figure of the paper; empty where it gives none."""
    value: float
    low: float
    """Lower end of its 95 % interval; where networks were trained, that of the bootstrap over seeds and images."""
    high: float
    verdict: Verdict
    seeds: tuple[float, ...] = ()
    """Number of each seed; empty where nothing was trained."""
    seeds_low: float = math.nan
    """Lower end of Student's 95 % interval over seeds, by which trained networks are judged; NaN of one."""
    seeds_high: float = math.nan
    least: float = 0.0
    """Smallest mean that counts, by the rule above."""


@dataclass(frozen=True)
class Claim:
    """One claim of the paper."""

    number: int
    text: str
    parts: tuple[Part, ...]
    why: str = ""
    """Reason why it cannot be tested here."""

    @property
    def verdict(self) -> Verdict:
        """Verdict by the rule above."""
        verdicts = [part.verdict for part in self.parts] or ["not testable here"]
        return next((v for v in DECIDING if v in verdicts), "reproduced")


def least_effect(published: float | None, seeds: int, *, of_pq: bool) -> float:
    """Return the smallest effect that counts, points.

    Args:
        published: the paper's effect; None where it gives none.
        seeds: number of seeds.
        of_pq: whether it is one of PQ.

    >>> least_effect(4.2, 3, of_pq=True), least_effect(0.9, 3, of_pq=True), round(least_effect(0.9, 5, of_pq=True), 2)
    (1.4, 1.0, 0.3)
    """
    share = SHARE * published if published is not None else 0.0
    return max(share, SMALLEST) if of_pq and seeds < FEW_SEEDS else share


def trained(
    by_seed: Sequence[float], interval: tuple[float, float], *, least: float = 0.0, gains: bool = False
) -> Verdict:
    """Judge a number of trained networks, which should be above zero.

    Args:
        by_seed: the number of each seed.
        interval: 95 % interval of its mean over seeds.
        least: smallest mean that counts.
        gains: whether a variant in it still gains in the last doubling of its steps.

    >>> trained([1.0, 1.2, 0.9], (0.7, 1.4), least=0.5), trained([-1.0, -1.2, -0.9], (-1.4, -0.7), least=0.5)
    ('reproduced', 'opposite')
    >>> trained([1.0, -1.2, 0.9], (-1.4, 1.8), gains=True), trained([1.0], (math.nan, math.nan))
    ('not converged', 'inconclusive: one seed')
    """
    verdict: Verdict
    for sign, verdict in ((1, "reproduced"), (-1, "opposite")):
        numbers = [sign * value for value in (*by_seed, *interval)]
        if len(by_seed) > 1 and all(number > 0 for number in numbers) and sign * sum(by_seed) / len(by_seed) >= least:
            return verdict
    if gains:
        return "not converged"
    return "inconclusive: one seed" if len(by_seed) < 2 else "inconclusive"


def by_interval(low: float, high: float) -> Verdict:
    """Judge a number that depends on no training, and should be above zero, by its interval.

    >>> by_interval(0.1, 0.5), by_interval(-0.1, 0.5), by_interval(-0.5, -0.1)
    ('reproduced', 'inconclusive', 'opposite')
    """
    return "reproduced" if low > 0 else "opposite" if high < 0 else "inconclusive"


def certain(tested: str, published: str, value: float) -> Part:
    """Make a part whose number has no spread worth an interval."""
    return Part(tested, published, value, value, value, by_interval(value, value))
