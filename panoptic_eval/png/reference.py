"""The ids of any label PNG, pixel by pixel, by Pillow: short, and what the compiled core is compared with."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from panoptic_eval.errors import PngError
from panoptic_eval.png.container import GRAY, GRAY_ALPHA, PALETTE, RGB, RGBA, check_rows, header, read_chunks
from panoptic_eval.shapes import UInt32

if TYPE_CHECKING:
    from PIL import Image

BAND = 128
"""Rows that are taken over from Pillow at a time: their bytes stay in the processor's cache."""


def decode(png: bytes) -> UInt32[np.ndarray, "h w"]:
    """Return the ids of a label PNG: R + 256 G + 65536 B of color, the value of gray, the index of a palette.

    Alpha is left out. Of an animated PNG it is the default image.

    Raises:
        PngError: not a PNG, damaged, or of a mode that holds no ids.
    """
    from PIL import Image  # here, as few files need it

    kind, parts = header(png), read_chunks(png)
    check_rows(kind, parts)  # Pillow fills missing rows with zeros, and reads files that lack their end
    # Of these chunks alone: Pillow heeds animations, and refuses what no viewer minds.
    bare = b"".join([png[:8], *(chunk for _, chunk in parts)])
    try:
        with Image.open(io.BytesIO(bare), formats=["PNG"]) as image:
            if kind.color_type in (RGB, RGBA) and kind.bit_depth == 8:  # of 16 bits Pillow would drop the lower ones
                return _color_ids(image)
            if kind.color_type == GRAY_ALPHA and kind.bit_depth == 8:
                return np.asarray(image)[..., 0].astype(np.uint32)
            if kind.color_type in (GRAY, PALETTE):
                stretched = {2: 85, 4: 17}.get(kind.bit_depth, 1) if image.mode == "L" else 1  # by Pillow, to 0..255
                return np.asarray(image).astype(np.uint32) // np.uint32(stretched)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PngError(f"cannot be decoded ({error}); the file is truncated or damaged") from error
    what = {RGB: "RGB", RGBA: "RGB and alpha", GRAY_ALPHA: "gray and alpha"}[kind.color_type]
    raise PngError(
        f"holds {what} of {kind.bit_depth} bits; expected 8-bit RGB (panoptic ids), 8- or 16-bit gray, or a palette"
    )


def _color_ids(image: Image.Image) -> UInt32[np.ndarray, "h w"]:
    """Make R + 256 G + 65536 B, in bands of rows: memory touched for the first time costs more than the arithmetic."""
    width, height = image.size
    ids = np.empty((height, width), np.uint32)
    for y in range(0, height, BAND):
        rows = image.crop((0, y, width, min(y + BAND, height)))
        four_bytes = np.frombuffer(rows.tobytes("raw", "RGBX" if image.mode == "RGB" else "RGBA"), "<u4")
        np.bitwise_and(four_bytes, 0xFFFFFF, out=ids[y : y + BAND].reshape(-1))
    return ids
