"""Photographs as people see them: turned by their EXIF orientation, 8-bit RGB.

Cameras store a photograph as the sensor lay, and a tag that says how to turn it. Labelling tools show it turned, so
that labels lie in the turned frame.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image

from panoptic_eval.errors import InputError

ORIENTATION = 0x0112
"""Tag of EXIF 2.32, section 4.6.4."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition from the stored photograph to the shown one, by orientation; all other values, 1 too, need none."""
SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap height and width."""
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
"""Pillow's modes whose conversion to RGB keeps the picture. Alpha is left out, as by cv2.imread."""
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")

Size = tuple[int, int]


def shown_size(path: Path) -> Size:
    """Return height and width of a photograph as it is shown, pixels, without decoding it.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return _turned(image.size[::-1], orientation(image))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def read(path: Path, least: Size | None = None) -> tuple[Image.Image, Size]:
    """Return a photograph as it is shown, in RGB, and its full height and width.

    Args:
        path: a JPEG or PNG, or whatever else Pillow reads.
        least: height and width that are enough: a JPEG of more than twice as much is decoded at 1/2, 1/4 or 1/8 of its
            size, which is faster.

    Raises:
        InputError: it cannot be read, or has pixels that have no certain RGB, such as floating-point numbers.
    """
    try:
        with Image.open(path) as image:
            turn = orientation(image)
            size = _turned(image.size[::-1], turn)
            if least is not None:
                image.draft("RGB", _turned(least, turn)[::-1])
            return _rgb(image, path).transpose(TURNS[turn]) if turn in TURNS else _rgb(image, path), size
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened image, 1 to 8; 1, which leaves it as it is, where the tag is unsound."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, struct.error):
        return 1
    return value if value in TURNS else 1


def _turned(size: Size, turn: int) -> Size:
    return size[::-1] if turn in SIDEWAYS else size


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode == "RGB":
        image.load()
        return image
    if image.mode in EIGHT_BITS:
        return image.convert("RGB")
    if image.mode in SIXTEEN_BITS:  # Pillow's conversion would make all values above 255 white
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    raise InputError(f"{path}: has pixels of kind {image.mode}; expected 8-bit colors or gray, or 16-bit gray")


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read ({error}); expected a JPEG or PNG")
