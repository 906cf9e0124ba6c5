"""A PNG writer that does what it is told: filter of each row, bit depth, color type, interlace, chunks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""y, x, step in y, step in x of each pass."""


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(height: int, width: int, *, depth: int = 8, color_type: int = RGB, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlace))


def samples(ids: Int[np.ndarray, "h w"], color_type: int, alpha: int | Int[np.ndarray, "h w"] = 255) -> np.ndarray:
    """Ids as the samples of a pixel, h w c."""
    if color_type in (GRAY, PALETTE):
        return ids[..., None]
    if color_type == GRAY_ALPHA:
        return np.stack([ids, np.broadcast_to(alpha, ids.shape)], -1)
    channels = [ids & 255, ids >> 8 & 255, ids >> 16 & 255, np.broadcast_to(alpha, ids.shape)]
    return np.stack(channels[: CHANNELS[color_type]], -1)


def raw_rows(values: Int[np.ndarray, "h w c"], depth: int) -> Int[np.ndarray, "h b"]:
    """Bytes of unfiltered rows."""
    flat = values.reshape(len(values), -1)
    if depth == 16:
        return flat.astype(">u2").view(np.uint8)
    if depth == 8:
        return flat.astype(np.uint8)
    bits = flat[..., None] >> np.arange(depth)[::-1] & 1
    return np.packbits(bits.reshape(len(values), -1).astype(np.uint8), axis=1)


def filtered(rows: Int[np.ndarray, "h b"], kinds: Iterable[int], pixel_bytes: int) -> bytes:
    """Rows with their filter type in front; `kinds` says which, a row each."""
    above = np.zeros(rows.shape[1], np.int64)
    out = []
    for row, kind in zip(rows.astype(np.int64), kinds, strict=False):
        left, corner = (np.concatenate([np.zeros(pixel_bytes, np.int64), x])[: len(row)] for x in (row, above))
        if kind == 4:
            estimate = left + above - corner
            to_left, to_above, to_corner = (abs(estimate - x) for x in (left, above, corner))
            nearest = np.where(to_above <= to_corner, above, corner)
            predicted = np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest)
        else:
            predicted = (0, left, above, (left + above) // 2)[kind] if kind < 4 else 0
        out.append(bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes())
        above = row
    return b"".join(out)


def write(
    values: Int[np.ndarray, "h w c"],
    *,
    depth: int = 8,
    color_type: int = RGB,
    filters: Sequence[int] = (0,),
    level: int = 6,
    strategy: int = zlib.Z_DEFAULT_STRATEGY,
    idat_bytes: int = 2**20,
    interlaced: bool = False,
    before: bytes = b"",
) -> bytes:
    """A PNG file; `filters` are repeated row after row, `before` are chunks to put before the data."""
    height, width, channels = values.shape
    assert channels == CHANNELS[color_type]
    pixel_bytes = max(1, channels * depth // 8)
    parts = [values[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [values]
    data = b""
    for part in parts:
        if part.size:
            rows = raw_rows(part, depth)
            data += filtered(rows, (filters * len(rows))[: len(rows)], pixel_bytes)
    return assemble(
        header(height, width, depth=depth, color_type=color_type, interlace=int(interlaced)) + before,
        compress(data, level, strategy),
        idat_bytes,
    )


def compress(data: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    stream = zlib.compressobj(level, strategy=strategy)
    return stream.compress(data) + stream.flush()


def assemble(head: bytes, stream: bytes, idat_bytes: int = 2**20) -> bytes:
    """A PNG file of a header chunk and a compressed stream."""
    pieces = [stream[i : i + idat_bytes] for i in range(0, len(stream), idat_bytes)] or [b""]
    return SIGNATURE + head + b"".join(chunk(b"IDAT", p) for p in pieces) + chunk(b"IEND")
