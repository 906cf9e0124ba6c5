"""The compiled core: C without Python's API, called by ctypes, so that other threads run meanwhile.

`panoptic_eval.pairs`, `.png` and `.metrics` call it where it is there, and do the same with NumPy where it is not.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PATH = Path(__file__).with_name("core.so")
"""The library, made by `hatch_build.py`; of this name on every system."""
INTERFACE = 4
"""Number of the functions below, as in core.h: a library of another number is one of another version."""
NO_MEMORY = 2
"""Value that a function returns where it found no memory; `Status` in core.h has the others."""


class Memory(ctypes.Structure):
    """Memory that the library takes, and gives back when it is asked to."""

    _fields_ = (("start", c_void_p), ("size", c_size_t))

    def array(self, dtype: type[np.generic], count: int) -> np.ndarray:
        """Copy `count` numbers."""
        size = np.dtype(dtype).itemsize * count
        return np.frombuffer(ctypes.string_at(self.start, size) if size else b"", dtype)


class Files(ctypes.Structure):
    """The contents of two PNG files."""

    _fields_ = (("gt", c_char_p), ("gt_size", c_uint64), ("pred", c_char_p), ("pred_size", c_uint64))


class Array(ctypes.Structure):
    """An array of integers, row by row, and those that stand for 0."""

    _fields_ = (
        ("start", c_void_p), ("bytes", c_int32), ("is_signed", c_int32), ("void_ids", c_void_p), ("voids", c_int64)
    )  # fmt: skip


class Counts(ctypes.Structure):
    """The ids and pairs of several images, one after the other."""

    _fields_ = (
        *((name, Memory) for name in ("id", "area", "box", "gt", "pred", "pixels", "near")),
        ("ids", c_int64),
        ("pairs", c_int64),
    )


class Runs(ctypes.Structure):
    """The runs of a label image."""

    _fields_ = (
        *((name, Memory) for name in ("row", "start", "id")),
        *((name, c_int64) for name in ("height", "width", "runs")),
    )


class Masks(ctypes.Structure):
    """COCO's compressed run lengths of several masks, and where each ends."""

    _fields_ = (("text", Memory), ("ends", Memory), ("size", c_int64))


_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "core_count_files": (c_int64, POINTER(Files), c_double, c_void_p, POINTER(Counts)),
    "core_count_arrays": (POINTER(Array), POINTER(Array), c_int32, c_int32, c_double, c_void_p, POINTER(Counts)),
    "core_release_counts": (POINTER(Counts),),
    "core_read_runs": (c_char_p, c_uint64, POINTER(Runs)),
    "core_release_runs": (POINTER(Runs),),
    "core_encode_segments": (c_char_p, c_uint64, c_void_p, c_int64, POINTER(Masks)),
    "core_release_masks": (POINTER(Masks),),
    "core_mask_pixels": (c_char_p, c_void_p, c_int64, c_void_p),
    "core_match": (*[c_int64] * 4, *[c_void_p] * 9),
    "core_accumulate": (*[c_int64] * 5, *[c_void_p] * 6),
    "core_resample": (*[c_int64] * 5, *[c_void_p] * 8),
}


@cache
def library() -> Any:
    """Return the library; None if it was not compiled for this version, or if the variable PANOPTIC_EVAL_CORE is "off".

    PANOPTIC_EVAL_CORE may also be the path of another one, such as one with sanitizers.
    """
    wanted = os.environ.get("PANOPTIC_EVAL_CORE", str(PATH))
    if wanted == "off" or not Path(wanted).exists():
        return None
    core = ctypes.CDLL(wanted)
    if not hasattr(core, "core_interface") or core.core_interface() != INTERFACE:
        return None
    for name, arguments in _ARGUMENTS.items():
        getattr(core, name).argtypes = arguments
    core.core_start()
    return core


def check(status: int) -> bool:
    """Return whether a function of the library did its work; False if it refused.

    Raises:
        MemoryError: it found no memory.
    """
    if status == NO_MEMORY:
        raise MemoryError
    return status == 0


def address(array: np.ndarray, dtype: type[np.generic]) -> c_void_p:
    """Return where an array's numbers are, for a function that writes there; as long as this lives, the array does.

    Raises:
        TypeError: the array is of another type, or not contiguous.
    """
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(f"expected a contiguous array of {np.dtype(dtype)}, not of {array.dtype}")
    place = c_void_p(array.ctypes.data)
    place.array = array  # type: ignore[attr-defined]
    return place


def addresses(*arrays: tuple[np.ndarray, type[np.generic]]) -> list[c_void_p]:
    """Give where the numbers of several arrays are, or of copies of the right type, for a function that reads them."""
    return [address(np.ascontiguousarray(array, dtype), dtype) for array, dtype in arrays]
