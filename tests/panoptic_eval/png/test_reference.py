import io
import struct
import zlib

import numpy as np
import png
import pytest
from PIL import Image

from panoptic_eval import pairs
from panoptic_eval.errors import PngError
from panoptic_eval.pairs.reference import count_pair
from panoptic_eval.png.container import compressed_rows, png_size, read_chunks
from panoptic_eval.png.reference import decode

GRAY_DEPTHS = [(d, png.GRAY) for d in (1, 2, 4, 8, 16)]
PALETTE_DEPTHS = [(d, png.PALETTE) for d in (1, 2, 4, 8)]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("depth", "color_type"), [*GRAY_DEPTHS, *PALETTE_DEPTHS, (8, png.RGB), (8, png.RGBA), (8, png.GRAY_ALPHA)]
)
def test_ids_are_read_from_every_kind_of_png(depth, color_type, interlaced):
    top = 2**24 if color_type in (png.RGB, png.RGBA) else 2**depth
    ids = np.random.default_rng(1).integers(0, top, (9, 13))
    ids[0, 0], ids[-1, -1] = top - 1, 0
    palette = png.chunk(b"PLTE", bytes(3 * 2**depth)) if color_type == png.PALETTE else b""
    written = png.write(
        png.samples(ids, color_type, alpha=ids % 256),
        depth=depth,
        color_type=color_type,
        filters=(0, 1, 2, 3, 4),
        interlaced=interlaced,
        before=palette,
    )
    assert decode(written).tolist() == ids.tolist()
    assert decode(written).dtype == np.uint32


@pytest.mark.parametrize(("depth", "color_type"), [(16, png.GRAY_ALPHA), (16, png.RGB), (16, png.RGBA)])
def test_kinds_that_hold_no_ids_are_refused(depth, color_type):
    values = np.zeros((2, 2, png.CHANNELS[color_type]), int)
    with pytest.raises(PngError, match="expected 8-bit RGB"):
        decode(png.write(values, depth=depth, color_type=color_type))


@pytest.mark.parametrize("first_is_default", [False, True])
@pytest.mark.parametrize("count", [count_pair, pairs.count_pair])
def test_of_an_animated_png_the_default_image_counts(first_is_default, count):
    """A frame that is drawn into a part of the picture, over it, and a second one."""
    ids = np.arange(1, 7).reshape(2, 3)
    control = png.chunk(b"acTL", struct.pack(">II", 2, 0))
    frame = struct.pack(">IIIIHHBB", 1, 1, 1, 1, 1, 10, 1, 1)
    before = control + (png.chunk(b"fcTL", bytes(4) + frame) if first_is_default else b"")
    still = png.write(png.samples(ids, png.RGBA, alpha=128), color_type=png.RGBA)
    animated = png.write(png.samples(ids, png.RGBA, alpha=128), color_type=png.RGBA, before=before)
    more = png.chunk(b"fcTL", b"\0\0\0\1" + frame) + png.chunk(b"fdAT", b"\0\0\0\2" + png.compress(b"\0" + bytes(4)))
    animated = animated[:-12] + more + animated[-12:]
    assert decode(animated).tolist() == ids.tolist()
    assert count(animated, still).pairs.pixels.tolist() == [1] * 6


def test_transparent_colors_are_ids_all_the_same():
    ids = np.arange(6).reshape(2, 3)
    written = png.write(png.samples(ids, png.RGB), before=png.chunk(b"tRNS", bytes([0, 1, 0, 0, 0, 0])))
    assert decode(written).tolist() == ids.tolist()


def test_what_is_no_png_is_said_to_be_none():
    jpeg = io.BytesIO()
    Image.new("RGB", (2, 2)).save(jpeg, "JPEG")
    whole = png.write(np.zeros((2, 2, 3), int))
    for data, what in ((b"", "is empty"), (jpeg.getvalue(), "does not start like a PNG"), (whole[:20], "is truncated")):
        with pytest.raises(PngError, match=what):
            png_size(data)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (2**14, 2**14 + 1), (2**31 - 1, 2**31 - 1)])
def test_impossible_sizes_are_refused_before_anything_is_read(size):
    with pytest.raises(PngError, match="pixels; expected"):
        decode(png.assemble(png.header(*size), b""))


def test_size_is_height_then_width():
    assert png_size(png.write(np.zeros((3, 7, 3), int))) == (3, 7)


@pytest.mark.parametrize(
    "fields", [(8, 1, 0, 0, 0), (3, 0, 0, 0, 0), (8, 2, 1, 0, 0), (8, 2, 0, 1, 0), (8, 2, 0, 0, 2), (16, 3, 0, 0, 0)]
)
def test_headers_that_no_png_has_are_refused(fields):
    bad = png.assemble(png.chunk(b"IHDR", struct.pack(">II5B", 2, 2, *fields)), png.compress(bytes(100)))
    with pytest.raises(PngError, match="header that no PNG has"):
        decode(bad)
    with pytest.raises(PngError):
        decode(png.assemble(png.chunk(b"IHDR", struct.pack(">II", 2, 2)), png.compress(bytes(100))))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 1), (2, 9), (13, 8)])
def test_rows_that_are_missing_are_not_taken_for_zeros(depth, shape, interlaced):
    ids = np.ones(shape, int)
    whole = png.write(png.samples(ids, png.GRAY), depth=depth, color_type=png.GRAY, interlaced=interlaced)
    assert decode(whole).tolist() == ids.tolist()
    rows = zlib.decompress(compressed_rows(read_chunks(whole)))
    for wrong, what in ((rows[:-1], "too early"), (rows + b"\0", "more data")):
        with pytest.raises(PngError, match=what):
            decode(png.assemble(whole[8:33], png.compress(wrong)))


def test_damage_that_pillow_forgives_is_an_error():
    whole = png.write(np.zeros((40, 40, 3), int) + np.arange(40)[:, None, None])
    for bad in (whole[:-12], whole[:-1], whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:]):
        with pytest.raises(PngError, match=r"truncated|damaged"):
            decode(bad)
