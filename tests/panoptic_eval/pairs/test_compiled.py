import io
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import golden
import mutated
import numpy as np
import png
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from panoptic_eval import core, pairs
from panoptic_eval.errors import PngError
from panoptic_eval.pairs import compiled, reference
from panoptic_eval.pairs.counts import IdCounts
from panoptic_eval.png import container

KINDS = {
    "bit": (1, png.GRAY),
    "two bits": (2, png.GRAY),
    "gray": (8, png.GRAY),
    "gray16": (16, png.GRAY),
    "palette of 16": (4, png.PALETTE),
    "palette": (8, png.PALETTE),
    "rgb": (8, png.RGB),
    "rgba": (8, png.RGBA),
}
TOP = {k: 2 ** (24 if t in (png.RGB, png.RGBA) else d) for k, (d, t) in KINDS.items()}
FILTERS = {
    "none": (0,),
    "sub": (1,),
    "up": (2,),
    "average": (3,),
    "paeth": (4,),
    "mixed": (4, 0, 3, 2, 1, 1, 3, 0, 4, 2),
}


def bits(counts: IdCounts) -> list[object]:
    arrays = [getattr(side, name) for side in (counts.gt, counts.pred) for name in ("id", "area", "box")]
    arrays += [counts.pairs.gt, counts.pairs.pred, counts.pairs.pixels]
    return [counts.height, counts.width, *((a.dtype, a.shape, a.tobytes()) for a in arrays)]


def count_pair(gt: bytes, pred: bytes) -> IdCounts:
    """By the core alone: what it refuses, the reference has to refuse, too."""
    (counts,) = compiled.count_files(core.library(), [(gt, pred)])
    if counts is None:
        reference.count_pair(gt, pred)
        raise AssertionError("the core refuses what the reference counts")
    return counts


def assert_equals_reference(gt: bytes, pred: bytes) -> None:
    assert container.supported(gt)
    assert container.supported(pred)
    assert bits(count_pair(gt, pred)) == bits(reference.count_pair(gt, pred))


def write(ids, kind="rgb", **options):
    depth, color_type = KINDS[kind]
    alpha = options.pop("alpha", 255)
    if color_type == png.PALETTE:
        options["before"] = png.chunk(b"PLTE", bytes(3 * 2**depth)) + options.get("before", b"")
    return png.write(png.samples(ids, color_type, alpha), depth=depth, color_type=color_type, **options)


def blobs(rng, height, width, *, top=2**24, count=12):
    """Overlapping rectangles, some a pixel wide: a label image in which runs of a row start anywhere."""
    ids = np.full((height, width), rng.integers(top))
    for _ in range(count):
        y, x = rng.integers(height), rng.integers(width)
        tall, wide = rng.integers(1, height + 1), rng.integers(1, 2 + width // rng.integers(1, 9))
        ids[y : y + tall, x : x + wide] = rng.integers(top)
    return ids


@st.composite
def written_maps(draw):
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 40)))
    files = []
    for _ in range(2):
        kind = draw(st.sampled_from(list(KINDS)))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        ids = blobs(rng, *shape, top=TOP[kind], count=draw(st.integers(0, 12)))
        files.append(
            write(
                ids,
                kind,
                filters=tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=shape[0]))),
                level=draw(st.integers(0, 9)),
                idat_bytes=draw(st.sampled_from([1, 7, 100, 2**20])),
                alpha=rng.integers(0, 256, shape) if draw(st.booleans()) else 255,
            )
        )
    return files


@settings(max_examples=200, deadline=None)
@given(written_maps())
def test_any_two_maps_however_written(files):
    assert_equals_reference(*files)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_every_filter_of_every_kind(kind, filters):
    rng = np.random.default_rng(7)
    gt, pred = (blobs(rng, 57, 83, top=TOP[kind], count=40) for _ in range(2))
    assert_equals_reference(write(gt, kind, filters=filters), write(pred, kind, filters=filters[::-1]))


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 3), (3, 2), (9, 8)])
def test_thin_and_tiny_images(shape, filters):
    rng = np.random.default_rng(3)
    gt, pred = (blobs(rng, *shape) for _ in range(2))
    assert_equals_reference(write(gt, filters=filters), write(pred, "rgba", filters=filters))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_noise(kind, filters):
    rng = np.random.default_rng(5)
    gt, pred = (rng.integers(0, TOP[kind], (40, 61)) for _ in range(2))
    assert_equals_reference(write(gt, kind, filters=filters, alpha=gt % 251), write(pred, kind, filters=filters))


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_one_color(filters):
    gt, pred = np.full((70, 90), 2**24 - 1), np.zeros((70, 90), int)
    assert_equals_reference(write(gt, filters=filters), write(pred, filters=filters))


def test_gradients_which_average_and_paeth_predict_pixel_by_pixel():
    y, x = np.mgrid[:60, :90]
    gt, pred = (3 * y + 2 * x) % 256, (y * x // 7) % 65536
    for filters in FILTERS.values():
        assert_equals_reference(write(gt, "gray", filters=filters), write(pred, "gray16", filters=filters))


def test_more_ids_than_16_bits_can_number():
    ids = np.arange(300 * 300).reshape(300, 300) * 186 + (2**24 - 1 - 186 * (300 * 300 - 1))
    assert ids[-1, -1] == 2**24 - 1
    twice = write(np.concatenate([ids, ids]), filters=(4,))  # the table of pairs finds each one again after it grew
    assert len(count_pair(twice, twice).pairs.pixels) == 90_000
    assert_equals_reference(twice, twice)
    assert_equals_reference(write(ids, filters=(4,)), write(ids[::-1], filters=(2,)))


@pytest.mark.parametrize("shape", [(1500, 700), (40, 30_000), (2100, 2)])
def test_images_of_many_bands(shape):
    rng = np.random.default_rng(11)
    gt, pred = (blobs(rng, *shape, count=30) for _ in range(2))
    assert_equals_reference(write(gt, filters=FILTERS["mixed"]), write(pred, "rgba", filters=FILTERS["mixed"]))


def sparse_rows(density: float, strategy: int, kind: str) -> tuple[bytes, bytes]:
    """A PNG of 400 kB of filtered rows that repeat each other, moved: matches of all lengths, distances and contents.
    Few bytes are not zero; with a palette few are not the byte before. And the PNG's first half.
    """
    rng = np.random.default_rng(13)
    patterns = (rng.random((4, 900)) < density) * rng.integers(1, 256, (4, 900))
    rows = [np.roll(patterns[rng.integers(4)], rng.integers(-3, 4)) for _ in range(440)]
    head = png.header(440, 300)
    if kind == "palette":
        rows = [row.cumsum() % 256 for row in rows]
        head = png.header(440, 900, color_type=png.PALETTE) + png.chunk(b"PLTE", bytes(768))
    stream = png.compress(b"".join(bytes([k % 5, *row.tolist()]) for k, row in enumerate(rows)), strategy=strategy)
    whole, half = (png.assemble(head, s) for s in (stream, stream[: len(stream) // 2]))
    return whole, half


@pytest.mark.parametrize("kind", ["rgb", "palette"])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY])
@pytest.mark.parametrize("density", [0.002, 0.05, 0.5, 1])
def test_windows_that_slide_over_rows_however_dense(density, strategy, kind):
    whole, half = sparse_rows(density, strategy, kind)
    expected = bits(reference.count_pair(whole, whole))
    files = [(whole, whole), (half, whole), (whole, half), (whole, whole)]  # nothing of a stream stays for the next
    first, *refused, last = compiled.count_files(core.library(), files)
    assert refused == [None, None]
    assert bits(first) == bits(last) == expected


def test_windows_that_slide_over_bytes_that_are_all_equal():
    head = png.header(440, 900, color_type=png.PALETTE) + png.chunk(b"PLTE", bytes(768))
    file = png.assemble(head, png.compress(bytes([2]) * 901 * 440))  # 2: up, so that indices grow from row to row
    assert_equals_reference(file, file)


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_files_that_pillow_writes(mode, level):
    rng = np.random.default_rng(level)
    files = []
    for _ in range(2):
        ids = blobs(rng, 90, 120, top={"L": 2**8, "I;16": 2**16}.get(mode, 2**24))
        if mode in ("RGB", "RGBA"):
            image = Image.fromarray(png.samples(ids, png.RGB).astype(np.uint8)).convert(mode)
        else:
            image = Image.fromarray(ids.astype(np.uint8 if mode == "L" else np.uint16))
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=level)
        files.append(file.getvalue())
    assert_equals_reference(*files)


@pytest.mark.parametrize("strategy", [zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
def test_every_strategy_of_the_compressor(strategy):
    rng = np.random.default_rng(strategy)
    gt, pred = (blobs(rng, 90, 120) for _ in range(2))
    assert_equals_reference(
        write(gt, filters=(4, 1), strategy=strategy), write(pred, filters=(2, 3), strategy=strategy)
    )


@pytest.mark.parametrize("name", ["panopticapi", "deeplab2", "deeplab2_cityscapes_format"])
def test_golden_files(name):
    files = sorted(golden.folder(name).rglob("*.png"))
    assert files
    for file in files:
        data = file.read_bytes()
        for other in files:
            if container.png_size(other.read_bytes()) == container.png_size(data):
                expected = reference.count_pair(data, other.read_bytes())
                assert bits(count_pair(data, other.read_bytes())) == bits(expected)


def test_chunks_that_have_no_bearing_on_ids():
    ids = blobs(np.random.default_rng(1), 9, 9)
    before = png.chunk(b"gAMA", b"\0\0\xb1\x8f") + png.chunk(b"tRNS", bytes(6)) + png.chunk(b"tEXt", b"a\0b")
    assert_equals_reference(write(ids, before=before), write(ids) + b"what follows the end is not read")


UNSUPPORTED = {
    "interlaced": {"interlaced": True},
    "interlaced palette": {"interlaced": True, "color_type": png.PALETTE, "before": png.chunk(b"PLTE", bytes(768))},
    "interlaced bits": {"interlaced": True, "color_type": png.GRAY, "depth": 1},
}


@pytest.mark.parametrize("options", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_is_not_supported_is_left_to_the_reference(options):
    ids = np.random.default_rng(0).integers(0, 2, (9, 13))
    other = write(ids)
    file = png.write(png.samples(ids, options.get("color_type", png.RGB)), **options)
    assert not container.supported(file)
    assert container.supported(other)
    assert bits(pairs.count_pair(file, other)) == bits(reference.count_pair(file, other))
    assert bits(pairs.count_pair(other, file)) == bits(reference.count_pair(other, file))


def test_a_very_wide_image_is_left_to_the_reference():
    ids = blobs(np.random.default_rng(0), 1, container.MAX_ROW_BYTES // 3 + 1)
    file = write(ids)
    assert not container.supported(file)
    assert container.supported(write(ids[:, :-1]))
    assert bits(pairs.count_pair(file, file)) == bits(reference.count_pair(file, file))


def test_what_is_no_png_is_not_supported():
    assert not container.supported(b"")
    assert not container.supported(b"GIF89a")


# Damage: an error that says which side, never a number.


def fails(gt: bytes, pred: bytes, side: str, what: str = "") -> None:
    with pytest.raises(PngError, match=rf"^{side}: .*{what}"):
        count_pair(gt, pred)


@pytest.fixture(scope="module")
def whole():
    return write(blobs(np.random.default_rng(2), 20, 20), filters=FILTERS["mixed"], idat_bytes=60)


def test_truncated_anywhere(whole):
    for length in range(len(whole)):
        fails(whole[:length], whole, "gt")
        fails(whole, whole[:length], "pred")


def test_a_flipped_bit_anywhere(whole):
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        fails(bytes(flipped), whole, "gt")


def stream(rows: bytes) -> bytes:
    return png.assemble(png.header(3, 2), png.compress(rows))


ROWS = [bytes([kind, 1, 2, 3, 4, 5, 6]) for kind in (1, 2, 4)]


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("kind", [5, 6, 128, 255])
def test_a_filter_that_does_not_exist(row, kind):
    rows = list(ROWS)
    rows[row] = bytes([kind]) + rows[row][1:]
    fails(stream(b"".join(ROWS)), stream(b"".join(rows)), "pred", "unrecognized data")


def test_too_little_and_too_much_data():
    right = b"".join(ROWS)
    count_pair(stream(right), stream(right))
    fails(stream(right[:-1]), stream(right), "gt", "end too early")
    fails(stream(b""), stream(right), "gt", "end too early")
    fails(stream(right), stream(right + b"\0"), "pred", "more data")
    fails(stream(right), stream(right + right), "pred", "more data")
    twice = png.assemble(png.header(3, 2), 2 * png.compress(right))
    fails(stream(right), twice, "pred", "more data")


def test_a_compressed_stream_that_is_broken():
    right = png.compress(b"".join(ROWS))
    good = png.assemble(png.header(3, 2), right)
    dictionary = zlib.compressobj(zdict=b"".join(ROWS))
    broken = {
        "checksum": right[:-1] + bytes([right[-1] ^ 1]),
        "no checksum": right[:-4],
        "no zlib": b"\0" + right[1:],
        "dictionary": dictionary.compress(b"".join(ROWS)) + dictionary.flush(),
        "nothing": b"",
        "half a header": right[:1],
    }
    for data in broken.values():
        fails(png.assemble(png.header(3, 2), data), good, "gt")


def test_chunks_out_of_place():
    head, data, end = png.header(3, 2), png.chunk(b"IDAT", png.compress(b"".join(ROWS))), png.chunk(b"IEND")
    good = png.SIGNATURE + head + data + end
    text = png.chunk(b"tEXt", b"a\0b")
    stream = png.compress(b"".join(ROWS))
    halves = [png.chunk(b"IDAT", stream[:9]), png.chunk(b"IDAT", stream[9:])]
    count_pair(png.SIGNATURE + head + text + data + text + end, good)
    count_pair(png.SIGNATURE + head + halves[0] + halves[1] + end, good)
    for chunks in (
        head + end,
        head + head + data + end,
        text + head + data + end,
        head + data,
        head + halves[0] + text + halves[1] + end,
        head + png.chunk(b"t\0xt") + data + end,
    ):
        fails(png.SIGNATURE + chunks, good, "gt")


def test_sizes_that_differ():
    a, b = (write(np.zeros(shape, int)) for shape in ((4, 6), (6, 4)))
    fails(a, b, "pred", "has 4 x 6 pixels; expected 6 x 4")


def test_errors_of_the_two_paths_name_the_same_side(whole):
    fails(whole, b"", "pred", "empty")
    fails(b"GIF89a", whole, "gt", "does not start like a PNG")


def test_both_paths_make_the_same_of_mutated_files():
    outcomes = mutated.run(3000, seed=0)
    assert outcomes["counted"] > 300
    assert outcomes["refused"] > 1500


# Memory, threads, and what is installed.


@pytest.mark.parametrize("kind", ["gray", "rgb"])
def test_nothing_of_the_size_of_the_image_is_in_memory(kind):
    depth, color_type = KINDS[kind]
    row = bytes(1 + 6000 * png.CHANNELS[color_type])
    compressor = zlib.compressobj(1)
    data = b"".join(compressor.compress(row) for _ in range(6000)) + compressor.flush()
    file = png.assemble(png.header(6000, 6000, depth=depth, color_type=color_type), data)
    small = write(np.zeros((2, 2), int), kind)
    count_pair(small, small)  # compiles
    tracemalloc.start()
    try:
        counts = count_pair(file, file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counts.pairs.pixels.tolist() == [36_000_000]
    assert peak < 16e6


def test_a_stream_that_inflates_to_more_than_the_size_says_is_not_inflated():
    bomb = png.assemble(png.header(2, 2), png.compress(bytes(10**8), 9))
    good = write(np.zeros((2, 2), int))
    tracemalloc.start()
    try:
        fails(good, bomb, "pred", "more data")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4e6


def test_threads_do_not_disturb_each_other():
    rng = np.random.default_rng(9)
    files = [write(blobs(rng, 300, 400), filters=FILTERS["mixed"]) for _ in range(6)]
    jobs = [(a, b) for a in files for b in files]
    alone = [bits(count_pair(*job)) for job in jobs]
    with ThreadPoolExecutor(8) as executor:
        together = list(executor.map(lambda job: bits(count_pair(*job)), jobs))
    assert together == alone


def test_without_the_core_the_reference_counts(monkeypatch):
    file = write(blobs(np.random.default_rng(4), 9, 9))
    with_core = bits(pairs.count_pair(file, file))
    assert pairs.supported(file)
    monkeypatch.setattr(core, "library", lambda: None)
    assert not pairs.supported(file)
    assert bits(pairs.count_pair(file, file)) == with_core


def test_many_pairs_in_one_call():
    rng = np.random.default_rng(8)
    whole = [write(blobs(rng, *shape)) for shape in ((9, 9), (40, 70), (9, 9), (1, 1))]
    interlaced = png.write(png.samples(blobs(rng, 9, 9), png.RGB), interlaced=True)
    files = [(whole[0], whole[2]), (whole[1], whole[1][:-20]), (whole[0], interlaced), (whole[3], whole[3])]
    results = pairs.count_pairs(files)
    assert isinstance(results[1], PngError)
    for k in (0, 2, 3):
        assert bits(results[k]) == bits(reference.count_pair(*files[k]))
    assert pairs.count_pairs([]) == []


@settings(max_examples=100)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 40)).flatmap(
        lambda shape: st.tuples(*2 * [arrays(np.uint32, shape, elements=st.sampled_from([0, 1, 2, 2**24, 2**32 - 1]))])
    )
)
def test_arrays_are_counted_as_the_reference_counts_them(maps):
    assert bits(pairs.count_labels(*maps)) == bits(reference.count_labels(*maps))
    transposed = maps[0].T, maps[1].T
    assert bits(pairs.count_labels(*transposed)) == bits(reference.count_labels(*transposed))


INTEGERS = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">u2", ">i8")


@st.composite
def integer_maps(draw):
    """Two maps of any integers, in which runs begin and end within, at and across the words that are compared."""
    shape = draw(st.tuples(st.integers(1, 4), st.sampled_from([1, 2, 9, 63, 64, 65, 200])))
    labels = []
    for _ in range(2):
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        dtype = np.dtype(draw(st.sampled_from(INTEGERS)))
        least, most = max(np.iinfo(dtype).min, -2), min(np.iinfo(dtype).max, 2**32)
        values = draw(st.lists(st.integers(least, 5) | st.integers(most - 2, most), min_size=1, max_size=4))
        found = np.array(values, dtype)[rng.integers(len(values), size=shape)]
        for _ in range(draw(st.integers(0, 5))):
            start = rng.integers(shape[1])
            found[rng.integers(shape[0]), start : start + rng.integers(1, 150)] = values[0]
        labels.append(found)
    return labels


@settings(max_examples=300, deadline=None)
@given(
    integer_maps(), *2 * [st.lists(st.sampled_from([-2, -1, 3, 255, 2**32]), max_size=3)], st.sampled_from([0, 0.01])
)
def test_integers_of_any_type_are_counted_as_the_reference_counts_them(labels, gt_void, pred_void, ratio):
    counts = pairs.count_labels(*labels, ratio, gt_void=gt_void, pred_void=pred_void)
    ids = [
        np.array([[0 if number in void else number for number in row] for row in side.tolist()], object)
        for side, void in zip(labels, (gt_void, pred_void), strict=True)
    ]
    if any((side < 0).any() or (side >= 2**32).any() for side in ids):
        assert counts is None
        return
    expected = reference.count_labels(ids[0].astype(np.uint32), ids[1].astype(np.uint32), ratio)
    assert bits(counts) == bits(expected)
    assert ratio == 0 or counts.near.tolist() == expected.near.tolist()


def test_without_the_core_integers_are_read_alike(monkeypatch):
    labels = np.array([[-1, 3, 3, 7]], np.int64)
    with_core = bits(pairs.count_labels(labels, labels, gt_void=[-1, 7], pred_void=[-1]))
    refused = [pairs.count_labels(labels, other, pred_void=[-1]) for other in (labels, labels + 2**32)]
    monkeypatch.setattr(core, "library", lambda: None)
    assert bits(pairs.count_labels(labels, labels, gt_void=[-1, 7], pred_void=[-1])) == with_core
    assert refused == [pairs.count_labels(labels, other, pred_void=[-1]) for other in (labels, labels + 2**32)]
    assert refused == [None, None]


@settings(max_examples=100, deadline=None)
@given(written_maps(), st.floats(0.001, 1))
def test_pixels_near_boundaries_are_those_of_the_reference(files, ratio):
    (counts,) = compiled.count_files(core.library(), [tuple(files)], ratio)
    expected = reference.count_pair(*files, ratio)
    assert bits(counts) == bits(expected)
    assert counts.near.tolist() == expected.near.tolist()
    assert compiled.count_files(core.library(), [tuple(files)])[0].near is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 3), (90, 64)])
@pytest.mark.parametrize("ratio", [0.0001, 0.02, 0.1, 1.0])
def test_pixels_near_boundaries_of_arrays_are_those_of_the_reference(shape, ratio):
    rng = np.random.default_rng(11)
    gt, pred = (blobs(rng, *shape).astype(np.uint32) for _ in range(2))
    assert compiled.count_arrays(core.library(), gt, pred, ratio).near.tolist() == (
        reference.count_labels(gt, pred, ratio).near.tolist()
    )
