"""The one place where kernels meet numba: compiled and cached where it is installed, plain Python where it is not.

A kernel is a function of arrays and scalars. Modules that hold kernels are imported when the first of them is needed,
never at the top of another module, because importing numba takes longer than printing a help text.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar, cast

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Decorator: machine code that runs without the GIL, made at the first call and kept on disk for later processes.

    The code is kept beside the module or, where that is read-only, in the user's cache directory (numba's choice;
    NUMBA_CACHE_DIR overrides it); where neither can be written each process compiles anew. Kernels call each other
    within one module only: numba notices a change of the file that a kernel is in, not of others.
    """
    try:
        import numba
    except ImportError:
        return kernel
    try:
        dispatcher: Any = numba.njit(nogil=True, cache=True, error_model="numpy")(kernel)
    except RuntimeError:  # no place to keep it
        dispatcher = numba.njit(nogil=True, error_model="numpy")(kernel)
    dispatcher._cache = _Cache(dispatcher._cache)
    return cast(Kernel, dispatcher)


class _Cache:
    """numba's cache of one kernel; where it cannot be read or written (full, damaged) only time is lost."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *key: Any) -> Any:
        """Load the machine code of one signature; None, and a line on stderr, where it must be compiled."""
        try:
            code = self._cache.load_overload(*key)
        except (OSError, EOFError, pickle.UnpicklingError):
            code = None
        if code is None:
            _say_that_it_takes_time()
        return code

    def save_overload(self, *code: Any) -> None:
        """Keep the machine code of one signature, if that is possible."""
        with suppress(OSError, EOFError, pickle.UnpicklingError):
            self._cache.save_overload(*code)


@cache
def _say_that_it_takes_time() -> None:
    print("panoptic-eval: compiling for the first use (about 10 seconds)", file=sys.stderr, flush=True)
