"""What is wrong with somebody's files, said so that they can mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from panoptic_eval.text import printable

SHOWN = 20
"""Largest number of faults that a message lists; it always gives the number of all."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault or oddity, with every place where it was found."""

    kind: str
    """Fault, and what is expected or done. [image has|images have] gives the form for one and for several."""
    places: tuple[str, ...] = ()
    """File, image and id of each example, with the value found there; empty where `kind` names them itself."""

    def __str__(self) -> str:
        """One line, however many examples there are.

        >>> print(Fault("[image has|images have] no annotation; [it is|they are] left out", ("a.json: 4", "a.json: 7")))
        2 images have no annotation; they are left out (first: a.json: 4)
        """
        count = len(self.places)
        text = re.sub(r"\[([^][|]*)\|([^][|]*)\]", r"\1" if count == 1 else r"\2", self.kind)
        if not count:
            return printable(text)
        number = f"{count} " if text != self.kind else ""
        first = "" if count == 1 else "first: " if number else f"first of {count}: "
        return printable(f"{number}{text} ({first}{self.places[0]})")


class Faults:
    """Collects faults and warnings by kind while an input is read, so that all of them are told at once.

    >>> faults = Faults()
    >>> faults.warn("[image has|images have] no annotation; [it is|they are] left out", "gt.json: image 4")
    >>> faults.warnings
    ('1 image has no annotation; it is left out (gt.json: image 4)',)
    >>> faults.check()  # warnings alone are not raised
    """

    def __init__(self) -> None:
        self._faults: dict[str, list[str]] = {}
        self._warnings: dict[str, list[str]] = {}

    def add(self, kind: str, places: str | Iterable[str] | None = None, *, likely_cause: bool = False) -> None:
        """Add a fault of this kind at each of the places: at none if there are none, without a place if None.

        Args:
            kind: see `Fault.kind`.
            places: see `Fault.places`.
            likely_cause: whether it explains the other faults and is told before them.
        """
        _collect(self._faults, kind, places)
        if likely_cause and kind in self._faults:
            self._faults = {kind: self._faults[kind], **self._faults}

    def warn(self, kind: str, places: str | Iterable[str] | None = None) -> None:
        """Add a warning: what is odd but has one meaning. Arguments are those of `add`."""
        _collect(self._warnings, kind, places)

    def extend(self, other: Faults | InputError) -> None:
        """Add all that another collector or an error holds."""
        for fault in other.faults:
            self.add(fault.kind, fault.places or None)
        for oddity in other.oddities:
            self.warn(oddity.kind, oddity.places or None)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Faults, one a kind, likely causes first."""
        return _by_kind(self._faults)

    @property
    def oddities(self) -> tuple[Fault, ...]:
        """Warnings, one a kind."""
        return _by_kind(self._warnings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings, one line a kind."""
        return tuple(map(str, self.oddities))

    def __bool__(self) -> bool:
        """Return whether there is a fault; warnings do not count."""
        return bool(self._faults)

    def check(self, *, strict: bool = False, read: object = None) -> None:
        """Raise what was collected.

        Args:
            strict: whether warnings are faults, too.
            read: goes with the error, see `InputError.read`.

        Raises:
            InputError: there is a fault.
        """
        faults = self.faults + (self.oddities if strict else ())
        if faults:
            raise InputError(faults, oddities=() if strict else self.oddities, read=read)


class InputError(ValueError):
    """Input that cannot be scored: all faults that were found, a line a kind."""

    def __init__(
        self, faults: Faults | Sequence[Fault | str] | str, *, oddities: Sequence[Fault] = (), read: object = None
    ) -> None:
        given = faults.faults if isinstance(faults, Faults) else (faults,) if isinstance(faults, str) else faults
        self.faults = tuple(Fault(fault) if isinstance(fault, str) else fault for fault in given)
        self.oddities = tuple(oddities)
        """Warnings about the same input."""
        self.read = read
        """What could be read all the same, for `panoptic_eval.checkup`, which goes on with it; None if nothing."""
        shown = "\n".join(f"- {fault}" for fault in self.faults[:SHOWN])
        rest = len(self.faults) - SHOWN
        more = f"\n- … and {rest} more" if rest > 0 else ""
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"{count} in the input:\n{shown}{more}")

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Fault, ...]]]:
        """Keep the faults from one process to another: an exception is else made again of its message."""
        return InputError, (self.faults,)


class PngError(ValueError):
    """A PNG that cannot be read as a map of ids. The message names no file: the caller, who knows it, adds the name."""


def _collect(kinds: dict[str, list[str]], kind: str, places: str | Iterable[str] | None) -> None:
    listed = [places] if isinstance(places, str) else list(places or ())
    if listed or places is None:
        kinds.setdefault(kind, []).extend(listed)


def _by_kind(kinds: dict[str, list[str]]) -> tuple[Fault, ...]:
    return tuple(Fault(kind, tuple(places)) for kind, places in kinds.items())
