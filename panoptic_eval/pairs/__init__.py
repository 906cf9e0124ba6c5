"""From two label PNGs to the pixels that their segments share."""

from __future__ import annotations

from functools import cache
from typing import Literal

from panoptic_eval.pairs.counts import CountPair, IdCounts


def count_pair(gt: bytes, pred: bytes) -> IdCounts:
    """Joint histogram of two label PNGs, given as the contents of the files: compiled where numba is installed.

    Raises:
        PngError: starting with "gt: " or "pred: ": damaged, of a mode that holds no ids, or of different sizes.
    """
    return _implementation()(gt, pred)


def supported(png: bytes) -> bool:
    """Whether `count_pair` counts this file without making pixels; if not, the reference decodes it."""
    from panoptic_eval.pairs import reference

    if _implementation() is reference.count_pair:
        return False
    from panoptic_eval.pairs.png import supported

    return supported(png)


def path() -> Literal["fast", "reference"]:
    """How images are counted here: "fast" from the rows of the PNGs (numba), "reference" from decoded pixels."""
    from panoptic_eval.pairs import reference

    return "reference" if _implementation() is reference.count_pair else "fast"


def slow_because() -> str:
    """Say what makes counting slow here and what to install, in one line; empty where nothing does."""
    from panoptic_eval.pairs.png import inflater

    if path() == "reference":
        return "numba is not installed, images are decoded pixel by pixel (about 20 times slower): pip install numba"
    if "zlib-ng" not in inflater:  # some systems build Python's zlib upon zlib-ng
        return f"images are inflated by {inflater} (about 10 times slower than zlib-ng): pip install zlib-ng"
    return ""


@cache
def _implementation() -> CountPair:
    try:
        import numba  # noqa: F401 (here, not above: a help text must not wait for it)
    except ImportError:
        from panoptic_eval.pairs import reference

        return reference.count_pair
    from panoptic_eval.pairs import runs

    return runs.count_pair
