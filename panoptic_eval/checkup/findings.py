"""What was found out about an input, a finding a kind, with the first examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from panoptic_eval.errors import Fault, Faults, InputError

Severity = Literal["error", "warning", "note"]
"""error: it cannot be scored so. warning: it can, and is probably not meant so. note: worth knowing."""
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
EXAMPLES = 5
"""Examples of a finding that are kept."""


@dataclass(frozen=True)
class Finding:
    """One kind of fault, oddity or fact."""

    severity: Severity
    side: Literal["gt", "pred"]
    kind: str
    """Sentence; [image has|images have] gives the form for one and for several."""
    count: int
    """Number of places; 0 where the sentence speaks of the whole side."""
    examples: tuple[str, ...]
    """First places: file, image and id, with the value found there."""

    @property
    def text(self) -> str:
        """One line without the examples.

        >>> Finding("note", "gt", "[image is|images are] void", 2, ("a.png",)).text
        '2 images are void'
        """
        line = str(Fault(self.kind, ("",) * self.count))
        return line[: line.rindex(" (")] if self.count else line


class Findings:
    """Collects findings while a data set is walked; of each kind it keeps the number and the first examples."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[Severity, Literal["gt", "pred"], str], tuple[int, tuple[str, ...]]] = {}

    def add(
        self, severity: Severity, side: Literal["gt", "pred"], kind: str, places: Iterable[str] | None = None
    ) -> None:
        """Add places of a kind: nothing if there are none, the kind alone if None."""
        listed = [] if places is None else list(places)
        if not listed and places is not None:
            return
        count, examples = self._kinds.get((severity, side, kind), (0, ()))
        self._kinds[severity, side, kind] = count + len(listed), (*examples, *listed)[:EXAMPLES]

    def extend(self, side: Literal["gt", "pred"], told: Faults | InputError) -> None:
        """Add what reading or counting told, as errors and warnings."""
        levels: Sequence[tuple[Severity, Sequence[Fault]]] = (("error", told.faults), ("warning", told.oddities))
        for severity, faults in levels:
            for fault in faults:
                self.add(severity, side, fault.kind, fault.places or None)

    def sorted(self) -> tuple[Finding, ...]:
        """Return all findings: errors first, and of each severity the ground truth's first."""
        found = [Finding(*key, *rest) for key, rest in self._kinds.items()]
        return tuple(sorted(found, key=lambda f: (SEVERITIES.index(f.severity), f.side)))
