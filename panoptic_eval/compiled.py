"""The one place where kernels meet numba: compiled and cached where it is installed, plain Python where it is not.

A kernel is a function of arrays and scalars. Modules that hold kernels are imported when the first of them is needed,
never at the top of another module, because importing numba takes longer than printing a help text.
"""

from __future__ import annotations

from collections.abc import Callable
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
        return cast(Kernel, numba.njit(nogil=True, cache=True, error_model="numpy")(kernel))
    except RuntimeError:  # no place to keep it
        return cast(Kernel, numba.njit(nogil=True, error_model="numpy")(kernel))
