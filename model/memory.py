"""Out of memory: advice, not only a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class OutOfMemory(RuntimeError):
    """There was not enough memory: says what would need less."""


@contextmanager
def advised(advice: str) -> Iterator[None]:
    """Turn whatever says that memory ran out, on any device, into `OutOfMemory` with advice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On CPUs torch raises a bare RuntimeError, of which only the words tell.
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise OutOfMemory(f"out of memory: {advice} ({str(error).splitlines()[0]})") from error
        raise
