"""The rule by which a claim of the paper is judged, fixed before any run.

A part of a claim is a number that it says to be above zero. With its 95 % interval over images: reproduced if the
interval lies above zero (and, where several seeds were trained, every seed's number does), opposite if it lies below,
inconclusive otherwise. A claim is reproduced if all its parts are, opposite if one is, inconclusive otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["reproduced", "opposite", "inconclusive", "not testable here"]


@dataclass(frozen=True)
class Part:
    """A number that a claim says is above zero."""

    tested: str
    """Name of the number, and its unit."""
    published: str
    """Figure of the paper; empty where it gives none."""
    value: float
    low: float
    high: float
    verdict: Verdict


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
        verdicts = [part.verdict for part in self.parts]
        if not verdicts or "not testable here" in verdicts:
            return "not testable here"
        if "opposite" in verdicts:
            return "opposite"
        return "reproduced" if set(verdicts) == {"reproduced"} else "inconclusive"


def verdict(low: float, high: float, seeds: Sequence[float] = ()) -> Verdict:
    """Judge a number that should be above zero.

    >>> verdict(0.1, 0.5), verdict(-0.1, 0.5), verdict(-0.5, -0.1), verdict(0.1, 0.5, [0.4, -0.1])
    ('reproduced', 'inconclusive', 'opposite', 'inconclusive')
    """
    if low > 0:
        return "reproduced" if all(seed > 0 for seed in seeds) else "inconclusive"
    return "opposite" if high < 0 and all(seed < 0 for seed in seeds) else "inconclusive"


def certain(tested: str, published: str, value: float) -> Part:
    """Make a part whose number has no spread worth an interval."""
    return Part(tested, published, value, value, value, verdict(value, value))
