"""From two label PNGs to the pixels that their segments share."""

from __future__ import annotations

from functools import cache

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


@cache
def _implementation() -> CountPair:
    try:
        import numba  # noqa: F401 (here, not above: a help text must not wait for it)
    except ImportError:
        from panoptic_eval.pairs import reference

        return reference.count_pair
    from panoptic_eval.pairs import runs

    return runs.count_pair
