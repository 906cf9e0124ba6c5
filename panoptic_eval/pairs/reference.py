"""From two label images to their joint histogram, with Pillow and NumPy: short, and the fallback for any PNG.

Runs first: a label image has far fewer runs of equal ids than pixels, so that sorting runs is cheap where sorting
pixels is not.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from panoptic_eval.errors import PngError
from panoptic_eval.pairs.counts import IdCounts, Ids, Pairs
from panoptic_eval.pairs.png import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, check, header
from panoptic_eval.shapes import Int, UInt32

BAND = 128
"""Rows that are taken over from Pillow at a time: their bytes stay in the processor's cache."""


def decode(png: bytes) -> UInt32[np.ndarray, "h w"]:
    """The ids of a label PNG: R + 256 G + 65536 B of colour, the value of grey, the index of a palette.

    Alpha is left out. Of an animated PNG it is the default image.

    Raises:
        PngError: not a PNG, damaged, or of a mode that holds no ids.
    """
    check(png)  # Pillow fills missing rows with zeros, and reads files that lack their end
    kind = header(png)
    try:
        with Image.open(io.BytesIO(_bare(png)), formats=["PNG"]) as image:
            if kind.colour_type in (RGB, RGBA) and kind.bit_depth == 8:  # of 16 bits Pillow would drop the lower ones
                return _colour_ids(image)
            if kind.colour_type == GREY_ALPHA and kind.bit_depth == 8:
                return np.asarray(image)[..., 0].astype(np.uint32)
            if kind.colour_type in (GREY, PALETTE):
                stretched = {2: 85, 4: 17}.get(kind.bit_depth, 1) if image.mode == "L" else 1  # by Pillow, to 0..255
                return np.asarray(image).astype(np.uint32) // np.uint32(stretched)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PngError(f"cannot be decoded ({error}); the file is truncated or damaged") from error
    what = {RGB: "RGB", RGBA: "RGB and alpha", GREY_ALPHA: "grey and alpha"}[kind.colour_type]
    raise PngError(
        f"holds {what} of {kind.bit_depth} bits; expected 8-bit RGB (panoptic ids), 8- or 16-bit grey, or a palette"
    )


def _bare(png: bytes) -> bytes:
    """The PNG without chunks that have no bearing on ids: Pillow heeds animations, and refuses what no viewer minds."""
    view = memoryview(png)
    kept, at, kind = [view[:8]], 8, b""
    while kind != b"IEND":
        start, kind = at, png[at + 4 : at + 8]
        at += 12 + int.from_bytes(view[at : at + 4], "big")
        if kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            kept.append(view[start:at])
    return b"".join(kept)


def _colour_ids(image: Image.Image) -> UInt32[np.ndarray, "h w"]:
    """R + 256 G + 65536 B, in bands of rows: memory touched for the first time costs more than the arithmetic."""
    width, height = image.size
    ids = np.empty((height, width), np.uint32)
    for y in range(0, height, BAND):
        rows = image.crop((0, y, width, min(y + BAND, height)))
        four_bytes = np.frombuffer(rows.tobytes("raw", "RGBX" if image.mode == "RGB" else "RGBA"), "<u4")
        np.bitwise_and(four_bytes, 0xFFFFFF, out=ids[y : y + BAND].reshape(-1))
    return ids


def ids_of(labels: UInt32[np.ndarray, "h w"]) -> tuple[Ids, UInt32[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    """Ids of a label image, and its runs: the index into them of each run, and where it starts in raster order."""
    height, width = labels.shape
    changed = np.empty(labels.shape, bool)
    changed[:, 0] = True  # a run ends with its row, so that it has one y
    np.not_equal(labels[:, 1:], labels[:, :-1], out=changed[:, 1:])
    start = np.flatnonzero(changed)
    length = np.diff(start, append=labels.size)
    ids, inverse = np.unique(labels.reshape(-1)[start], return_inverse=True)
    y, x0 = np.divmod(start, width)
    box = np.empty((len(ids), 4), np.int32)
    box[:, :2], box[:, 2:] = np.iinfo(np.int32).max, 0
    np.minimum.at(box[:, 0], inverse, x0.astype(np.int32))
    np.minimum.at(box[:, 1], inverse, y.astype(np.int32))
    np.maximum.at(box[:, 2], inverse, (x0 + length).astype(np.int32))
    np.maximum.at(box[:, 3], inverse, (y + 1).astype(np.int32))
    area = np.bincount(inverse, weights=length, minlength=len(ids)).astype(np.int64)
    return Ids(ids, area, box), inverse, start


def count_labels(gt: UInt32[np.ndarray, "h w"], pred: UInt32[np.ndarray, "h w"]) -> IdCounts:
    """Joint histogram of two label images given as arrays.

    Raises:
        PngError: the two differ in size.

    >>> counts = count_labels(np.array([[1, 1, 2]], np.uint32), np.array([[5, 6, 6]], np.uint32))
    >>> counts.pairs.gt.tolist(), counts.pairs.pred.tolist(), counts.pairs.pixels.tolist()
    ([0, 0, 1], [0, 1, 1], [1, 1, 1])
    """
    if gt.shape != pred.shape:
        raise PngError(
            f"pred: has {pred.shape[1]} x {pred.shape[0]} pixels; expected {gt.shape[1]} x {gt.shape[0]}, as its gt has"
        )
    gt_ids, gt_run, gt_start = ids_of(gt)
    pred_ids, pred_run, pred_start = ids_of(pred)
    start = np.sort(np.concatenate([gt_start, pred_start]), kind="stable")  # which merges what is sorted already
    start = start[np.diff(start, prepend=-1) > 0]
    length = np.diff(start, append=gt.size)
    at_gt = gt_run[np.searchsorted(gt_start, start, side="right") - 1]
    at_pred = pred_run[np.searchsorted(pred_start, start, side="right") - 1]
    pairs, inverse = np.unique(at_gt * np.int64(len(pred_ids.id)) + at_pred, return_inverse=True)
    pixels = np.bincount(inverse, weights=length).astype(np.int64)  # exact: float64 holds integers to 2**53
    pair_gt, pair_pred = np.divmod(pairs, len(pred_ids.id))
    height, width = gt.shape
    return IdCounts(
        height, width, gt_ids, pred_ids, Pairs(pair_gt.astype(np.int32), pair_pred.astype(np.int32), pixels)
    )


def count_pair(gt: bytes, pred: bytes) -> IdCounts:
    """Joint histogram of two label PNGs; see `panoptic_eval.pairs.counts.CountPair`."""
    labels = []
    for side, png in (("gt", gt), ("pred", pred)):
        try:
            labels.append(decode(png))
        except PngError as error:
            raise PngError(f"{side}: {error}") from error
    return count_labels(*labels)
