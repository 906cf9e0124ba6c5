"""From two label PNGs to the pixels that their segments share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from panoptic_eval import core
from panoptic_eval.errors import PngError
from panoptic_eval.pairs import compiled, reference
from panoptic_eval.pairs.counts import IdCounts
from panoptic_eval.png import container
from panoptic_eval.shapes import Integer


def count_pairs(files: Sequence[tuple[bytes, bytes]], boundary: float = 0.0) -> list[IdCounts | PngError]:
    """Count pairs of label PNGs (gt, pred), given as the contents of the files; returns errors for what is wrong.

    The compiled core counts, where it is there; files of a kind that it does not read, the reference.
    An error starts with "gt: " or "pred: ": damaged, of a mode that holds no ids, or of different sizes.

    Args:
        files: contents of the two files of each image.
        boundary: distance up to which a pixel is near the boundary of its segment, in diagonals of the image; 0 if
            boundaries are not to be counted.
    """
    library = core.library()
    counted = [None] * len(files) if library is None else compiled.count_files(library, files, boundary)
    results: list[IdCounts | PngError] = []
    for counts, (gt, pred) in zip(counted, files, strict=True):
        try:
            results.append(_with_palettes(counts or reference.count_pair(gt, pred, boundary), gt, pred))
        except PngError as error:
            results.append(error)
    return results


def count_pair(gt: bytes, pred: bytes, boundary: float = 0.0) -> IdCounts:
    """Count two label PNGs, given as the contents of the files, to their joint histogram; `boundary` as above.

    Raises:
        PngError: as for `count_pairs`.
    """
    (counts,) = count_pairs([(gt, pred)], boundary)
    if isinstance(counts, PngError):
        raise counts
    return counts


def _with_palettes(counts: IdCounts, gt: bytes, pred: bytes) -> IdCounts:
    """Pass the palettes of the two files on to whoever knows what the ids mean."""
    sides = {}
    for side, png in (("gt", gt), ("pred", pred)):
        try:
            palette = container.palette_ids(png)
        except PngError as error:
            raise PngError(f"{side}: {error}") from error
        if palette is not None:
            sides[side] = replace(getattr(counts, side), palette=palette)
    return replace(counts, **sides) if sides else counts


def count_labels(
    gt: Integer[np.ndarray, "h w"],
    pred: Integer[np.ndarray, "h w"],
    boundary: float = 0.0,
    *,
    gt_void: Sequence[int] = (),
    pred_void: Sequence[int] = (),
) -> IdCounts | None:
    """Count two label images given as arrays of integers of any type to their joint histogram; `boundary` as above.

    Args:
        gt, pred: ids.
        boundary: as above.
        gt_void, pred_void: numbers that stand for 0.

    Returns:
        None if another number is no id, which is 0 to 2**32 - 1.

    Raises:
        PngError: the two differ in size.
    """
    library = core.library()
    if library is not None and gt.shape == pred.shape and gt.size:
        return compiled.count_arrays(library, gt, pred, boundary, gt_void=gt_void, pred_void=pred_void)
    gt_ids, pred_ids = reference.as_ids(gt, gt_void), reference.as_ids(pred, pred_void)
    return None if gt_ids is None or pred_ids is None else reference.count_labels(gt_ids, pred_ids, boundary)


def supported(png: bytes) -> bool:
    """Return whether the core counts this file; if not, the reference does, in many times the time."""
    return core.library() is not None and container.supported(png)


def path() -> Literal["fast", "reference"]:
    """Name the way in which images are counted here: "fast" by the compiled core, "reference" from decoded pixels."""
    return "reference" if core.library() is None else "fast"


def slow_because() -> str:
    """Say what makes counting slow here and what to do, in one line; empty where nothing does."""
    if path() == "fast":
        return ""
    return (
        "the compiled core is missing or of another version, NumPy counts (about 30 times slower): install gcc or "
        "ziglang, then this again"
    )
