"""The container of a label PNG: chunks, checksums, compressed rows. PNG specification, third edition (W3C, 2025)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from panoptic_eval.errors import PngError
from panoptic_eval.pairs.reference import PNG_SIGNATURE, png_size

try:
    from zlib_ng.zlib_ng import _ZlibDecompressor as Inflate
    from zlib_ng.zlib_ng import crc32, error
except ImportError:
    from zlib import crc32, error  # type: ignore[assignment]

    class Inflate:  # type: ignore[no-redef]
        """The same upon the standard library, which takes fourteen times as long for label images."""

        def __init__(self) -> None:
            self._stream = zlib.decompressobj()
            self._feed = memoryview(b"")

        def decompress(self, data: bytes, max_length: int) -> bytes:
            """The next `max_length` bytes, fewer where the data ends; all data is given with the first call."""
            self._feed = memoryview(data) if data else self._feed
            parts = []
            while max_length > 0 and not self._stream.eof:
                piece = self._stream.unconsumed_tail
                if not piece:  # in pieces, because what is left of one is copied at every call
                    piece, self._feed = bytes(self._feed[:16384]), self._feed[16384:]
                part = self._stream.decompress(piece, max_length)
                if not (part or self._stream.unconsumed_tail or self._feed):
                    break
                parts.append(part)
                max_length -= len(part)
            return b"".join(parts)

        @property
        def eof(self) -> bool:
            """Whether the stream has ended, with the right checksum."""
            return self._stream.eof

        @property
        def unused_data(self) -> bytes:
            """What follows the end of the stream."""
            return self._stream.unused_data + bytes(self._feed)


GREY8, GREY16, RGB, RGBA = 1, 2, 3, 4
"""Bytes of a pixel of the supported kinds."""
PIXEL_BYTES = {(8, 0): GREY8, (16, 0): GREY16, (8, 2): RGB, (8, 6): RGBA}
"""By bit depth and colour type."""
MAX_ROW_BYTES = 2**18
"""Wider images are left to the reference, so that a few rows are never much memory."""


@dataclass(frozen=True)
class LabelPng:
    """A label PNG whose chunks are whole; its rows are still compressed."""

    height: int
    width: int
    pixel_bytes: int
    """0 for a kind that is not supported."""
    stream: bytes
    """What its IDAT chunks hold."""

    @property
    def row_bytes(self) -> int:
        """Length of a row, its filter type included."""
        return 1 + self.width * self.pixel_bytes


def supported(png: bytes) -> bool:
    """Whether rows can be read here: 8- or 16-bit grey, 8-bit RGB or RGBA, not interlaced; judged by the header."""
    try:
        _, width = png_size(png)
    except PngError:
        return False
    return _pixel_bytes(png, width) > 0


def _pixel_bytes(png: bytes, width: int) -> int:
    depth, colour_type, compression, filter_method, interlace = png[24:29]
    pixel_bytes = PIXEL_BYTES.get((depth, colour_type), 0)
    plain = compression == filter_method == interlace == 0 and 1 + width * pixel_bytes <= MAX_ROW_BYTES
    return pixel_bytes if plain else 0


def parse(png: bytes) -> LabelPng:
    """Take a PNG apart. What its other chunks say (gamma, transparency, text) has no bearing on ids.

    Raises:
        PngError: not a PNG, a size that no label image has, or a chunk that is cut off, damaged or out of place.
    """
    height, width = png_size(png)
    view = memoryview(png)
    pieces: list[memoryview] = []
    at = len(PNG_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        previous, kind = kind, png[at + 4 : at + 8]
        data = at + 8
        end = data + int.from_bytes(png[at : at + 4], "big")
        if end + 4 > len(png):
            raise PngError(f"is truncated: it ends at byte {len(png)}, within a chunk; expected a whole PNG file")
        if crc32(view[at + 4 : end]) != int.from_bytes(png[end : end + 4], "big"):
            raise PngError(f"is damaged: the chunk at byte {at} has a wrong checksum; expected an intact PNG file")
        if kind == b"IDAT":
            if pieces and previous != b"IDAT":
                raise PngError(f"has an IDAT chunk at byte {at} apart from the others; expected them in sequence")
            pieces.append(view[data:end])
        elif (kind == b"IHDR") != (previous == b"") or not (kind.isalpha() and kind.isascii()):
            raise PngError(f"has a chunk {kind!r} at byte {at}; expected one IHDR, and names of four letters")
        at = end + 4
    if not pieces:
        raise PngError("has no IDAT chunk; expected image data")
    return LabelPng(height, width, _pixel_bytes(png, width), b"".join(pieces))


class Rows:
    """The filtered rows of a supported PNG, taken a few at a time: nothing of the image's size is ever in memory."""

    def __init__(self, png: LabelPng) -> None:
        self._row_bytes = png.row_bytes
        self._feed = png.stream
        self._inflate = Inflate()

    def take(self, rows: int) -> bytes:
        """The next rows, each with its filter type in front.

        Raises:
            PngError: the stream is damaged, or ends before.
        """
        size = rows * self._row_bytes
        data = self._read(size)
        if len(data) < size:
            raise PngError("is truncated: its pixels end too early; expected a whole PNG file")
        return data

    def finish(self) -> None:
        """Check that nothing follows the last row.

        Raises:
            PngError: there is more data, or the checksum of the rows is wrong.
        """
        if self._read(1) or (self._inflate.eof and self._inflate.unused_data):
            raise PngError("is damaged: it holds more data than its size says; expected an intact PNG file")
        if not self._inflate.eof:
            raise PngError("is truncated: its compressed rows have no end; expected a whole PNG file")

    def _read(self, size: int) -> bytes:
        if self._inflate.eof:
            return b""
        feed, self._feed = self._feed, b""
        try:
            return self._inflate.decompress(feed, size)
        except (error, SystemError) as why:  # type: ignore[misc]  # SystemError: zlib-ng refuses a preset dictionary
            raise PngError(f"is damaged: its rows cannot be inflated ({why}); expected an intact PNG file") from why
