"""What is wrong with somebody's files, said so that they can mend it."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 20
"""Faults printed of a long list; the count is always given."""


class InputError(ValueError):
    """Input that cannot be scored: every fault that was found, each with file, image, id and what would be right."""

    def __init__(self, faults: Sequence[str] | str) -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        shown = "\n".join(f"- {fault}" for fault in self.faults[:SHOWN])
        rest = len(self.faults) - SHOWN
        more = f"\n- … and {rest} more" if rest > 0 else ""
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"{count} in the input:\n{shown}{more}")

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[str, ...]]]:
        """From one process to another, the faults are kept: an exception is else made again of its message."""
        return InputError, (self.faults,)


class PngError(ValueError):
    """A PNG that cannot be read as a map of ids. The message names no file: the caller, who knows it, adds the name."""
