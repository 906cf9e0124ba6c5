"""The container of a label PNG: chunks, checksums, compressed rows. PNG specification, third edition (W3C, 2025)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from panoptic_eval.errors import PngError
from panoptic_eval.shapes import UInt32

COLOR_TYPE = 25
"""Byte of a PNG that says what a pixel holds."""
HEAD = 33
"""Bytes at the start of a PNG that say its size and kind."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS = 2**28
"""Larger declared sizes are refused before anything is inflated (268 Mpixel; Mapillary's largest have 22)."""
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""Color types."""
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
BIT_DEPTHS = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGBA: (8, 16)}
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row and column, and steps down and right, of each pass of an interlaced image."""
MAX_ROW_BYTES = 2**18
"""Wider images are left to the reference, so that a few rows are never much memory."""
INFLATED = 1024
"""Bytes that are inflated at a time: they make at most 1032 times as many."""

Chunk = tuple[bytes, memoryview]
"""Name of a chunk, and all of its bytes."""
NEEDED = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
"""Names of chunks that have a bearing on ids: none has what others say (gamma, transparency, text)."""
CONTENTS = slice(8, -4)
"""Bytes of a chunk without its length, name and checksum."""


@dataclass(frozen=True)
class LabelPng:
    """A label PNG whose header makes sense."""

    height: int
    width: int
    bit_depth: int
    color_type: int
    interlaced: bool

    @property
    def pixel_bits(self) -> int:
        """Bits of a pixel."""
        return self.bit_depth * CHANNELS[self.color_type]

    @property
    def row_bytes(self) -> int:
        """Length of a row that is not interlaced, its filter type included."""
        return 1 + (self.width * self.pixel_bits + 7) // 8

    @property
    def stream_bytes(self) -> int:
        """Length of all rows."""
        if not self.interlaced:
            return self.height * self.row_bytes
        sizes = (((self.height - y + dy - 1) // dy, (self.width - x + dx - 1) // dx) for y, x, dy, dx in ADAM7)
        return sum(h * (1 + (w * self.pixel_bits + 7) // 8) for h, w in sizes if h > 0 and w > 0)

    @property
    def supported(self) -> bool:
        """Return whether the core reads the file: gray, palette, or 8 bits a sample; not interlaced, not too wide."""
        usual = self.color_type in (GRAY, PALETTE) or self.bit_depth == 8
        return usual and not self.interlaced and self.row_bytes <= MAX_ROW_BYTES


def header(png: bytes) -> LabelPng:
    """Return what a PNG's first 33 bytes say.

    Raises:
        PngError: not a PNG, damaged, or of a size or kind that no PNG or no label image has.
    """
    if png[:8] != PNG_SIGNATURE or png[12:16] != b"IHDR" or len(png) < HEAD:
        what = "is empty" if not png else "does not start like a PNG" if png[:8] != PNG_SIGNATURE else "is truncated"
        raise PngError(f"{what}; expected a PNG file")
    width, height, bit_depth, color_type, compression, filtering, interlace = struct.unpack(">IIBBBBB", png[16:29])
    if not 0 < width * height <= MAX_PIXELS:
        raise PngError(f"declares {width} x {height} pixels; expected at least 1 and at most {MAX_PIXELS}")
    if zlib.crc32(png[12:29]) != int.from_bytes(png[29:33], "big") or png[8:12] != b"\0\0\0\x0d":
        raise PngError("is damaged: its header has a wrong checksum; expected an intact PNG file")
    if bit_depth not in BIT_DEPTHS.get(color_type, ()) or compression or filtering or interlace > 1:
        raise PngError(f"has a header that no PNG has ({png[24:29].hex()}); expected an intact PNG file")
    return LabelPng(height, width, bit_depth, color_type, interlace == 1)


def png_size(png: bytes) -> tuple[int, int]:
    """Return height and width that a PNG declares, from its first 33 bytes.

    Raises:
        PngError: as for `header`.
    """
    return header(png).height, header(png).width


def supported(png: bytes) -> bool:
    """Return whether the core reads a file, judged by its header."""
    try:
        return header(png).supported
    except PngError:
        return False


def read_chunks(png: bytes) -> list[Chunk]:
    """Check all chunks of a PNG, and return those of which its ids are made; what follows the last one is left out.

    Raises:
        PngError: a chunk is cut off, damaged or out of place.
    """
    view = memoryview(png)
    chunks: list[Chunk] = []
    at = len(PNG_SIGNATURE)
    kind = b""
    has_rows = False
    while kind != b"IEND":
        previous, kind = kind, png[at + 4 : at + 8]
        data = at + 8
        end = data + int.from_bytes(png[at : at + 4], "big")
        if end + 4 > len(png):
            raise PngError(f"is truncated: it ends at byte {len(png)}, within a chunk; expected a whole PNG file")
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(png[end : end + 4], "big"):
            raise PngError(f"is damaged: the chunk at byte {at} has a wrong checksum; expected an intact PNG file")
        if kind == b"IDAT":
            if has_rows and previous != b"IDAT":
                raise PngError(f"has an IDAT chunk at byte {at} apart from the others; expected them in sequence")
            has_rows = True
        elif (kind == b"IHDR") != (previous == b"") or not (kind.isalpha() and kind.isascii()):
            raise PngError(f"has a chunk {kind!r} at byte {at}; expected one IHDR, and names of four letters")
        if kind in NEEDED:
            chunks.append((kind, view[at : end + 4]))
        at = end + 4
    if not has_rows:
        raise PngError("has no IDAT chunk; expected image data")
    return chunks


def compressed_rows(chunks: Sequence[Chunk]) -> bytes:
    """Join the contents of the IDAT chunks."""
    return b"".join(chunk[CONTENTS] for name, chunk in chunks if name == b"IDAT")


def palette_ids(png: bytes) -> UInt32[np.ndarray, " e"] | None:
    """Return R + 256 G + 65536 B of each entry of a file's palette; None where it has none.

    Raises:
        PngError: as for `header` and `read_chunks`, or the palette is damaged.
    """
    if png[COLOR_TYPE : COLOR_TYPE + 1] != bytes([PALETTE]):  # so that most files cost nothing
        return None
    header(png)
    before_rows = takewhile(lambda chunk: chunk[0] != b"IDAT", read_chunks(png))
    colors = next((chunk[CONTENTS] for name, chunk in before_rows if name == b"PLTE"), None)
    if colors is None:
        return None
    if not colors or len(colors) % 3 or len(colors) > 3 * 256:
        raise PngError(f"has a palette of {len(colors)} bytes; expected three for each of 1 to 256 colors")
    rgb = np.frombuffer(colors, np.uint8).reshape(-1, 3).astype(np.uint32)
    return rgb[:, 0] | rgb[:, 1] << 8 | rgb[:, 2] << 16


def check_rows(kind: LabelPng, chunks: Sequence[Chunk]) -> None:
    """Check that a PNG holds as many rows as it should, and no more: readers of photographs forgive it.

    Args:
        kind: what the PNG's header says.
        chunks: of the PNG.

    Raises:
        PngError: the file is truncated or damaged.
    """
    missing = kind.stream_bytes
    stream = zlib.decompressobj()
    data = memoryview(compressed_rows(chunks))
    try:
        while data and missing >= 0 and not stream.eof:
            missing -= len(stream.decompress(data[:INFLATED], missing + 1))  # one byte too many is enough to know
            data = data[INFLATED:]
    except zlib.error as why:
        raise PngError(f"is damaged: its rows cannot be inflated ({why}); expected an intact PNG file") from why
    if missing > 0:
        raise PngError("is truncated: its pixels end too early; expected a whole PNG file")
    if missing < 0 or (stream.eof and (data or stream.unused_data)):
        raise PngError("is damaged: it holds more data than its size says; expected an intact PNG file")
    if not stream.eof:
        raise PngError("is truncated: its compressed rows have no end; expected a whole PNG file")
