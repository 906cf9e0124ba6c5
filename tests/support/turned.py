"""Photographs as a camera stores them that did not lie level."""

from __future__ import annotations

from PIL import Image

STORED = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.rotate(180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(90, expand=True),
    6: lambda image: image.rotate(90, expand=True),
    7: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(-90, expand=True),
    8: lambda image: image.rotate(-90, expand=True),
}
"""What undoes each EXIF orientation: 6 is shown turned clockwise, so that it is stored turned the other way."""


def stored_as(shown: Image.Image, orientation: int) -> Image.Image:
    """The picture that is shown as `shown` under an orientation."""
    return STORED[orientation](shown)
