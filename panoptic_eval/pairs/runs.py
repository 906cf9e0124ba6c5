"""The joint histogram of two label PNGs without making pixels: filtered rows to runs, runs to pairs.

A row of a label image is a few runs of equal colour, and once filtered it is zeros but for a few bytes. So a row is
decoded from event to event: from one pixel that is not zero, or run that starts in the row above, to the next. Between
two events every filter goes on predicting the same colour. Then the runs of the two images are walked together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from jaxtyping import Int, UInt8, UInt64

from panoptic_eval.compiled import compiled
from panoptic_eval.errors import PngError
from panoptic_eval.pairs import reference
from panoptic_eval.pairs.counts import IdCounts, Ids, Pairs
from panoptic_eval.pairs.png import LabelPng, Rows, header

BAND_BYTES = 2**18
"""Filtered bytes of one image at a time: few enough for the processor's cache, enough to hide what a call costs."""
NONE, SUB, UP, AVERAGE, PAETH = range(5)
"""Filter types of the PNG specification, section 9."""
ALL = np.uint64(2**64 - 1)
HASH = 0x9E3779B97F4A7C15 - 2**64
"""2**64 / golden ratio, odd, as an int64: multiplicative hashing (Knuth, TAOCP 3, 6.4)."""

Result = TypeVar("Result")


def count_pair(gt: bytes, pred: bytes) -> IdCounts:
    """Joint histogram of two label PNGs; see `panoptic_eval.pairs.counts.CountPair`."""
    gt_png, pred_png = _of("gt", header, gt), _of("pred", header, pred)
    if not (gt_png.supported and pred_png.supported):
        return reference.count_pair(gt, pred)
    height, width = gt_png.height, gt_png.width
    if (pred_png.height, pred_png.width) != (height, width):
        raise PngError(
            f"pred: has {pred_png.width} x {pred_png.height} pixels; expected {width} x {height}, as its gt has"
        )
    band = BAND_BYTES // max(gt_png.row_bytes, pred_png.row_bytes)
    band = max(8, band // 8 * 8)  # whole words, so that only the last band has to be padded
    gt_side, pred_side = _Side("gt", gt, gt_png, band), _Side("pred", pred, pred_png, band)
    pairs = _Pairs()
    for y in range(0, height, band):
        rows = min(band, height - y)
        gt_side.read(rows)
        pred_side.read(rows)
        pairs.add(gt_side, pred_side, y, rows, width)
    gt_side.finish()
    pred_side.finish()
    return pairs.counts(gt_png, pred_png)


def _of(side: str, call: Callable[..., Result], *arguments: object) -> Result:
    try:
        return call(*arguments)
    except PngError as error:
        raise PngError(f"{side}: {error}") from error


class _Side:
    """One of the two images, read into runs band by band.

    A row is stored as the x at which its runs start, ascending, the first 0, and the image's width, which ends it.
    """

    def __init__(self, name: str, file: bytes, png: LabelPng, band: int) -> None:
        self._name, self._png, self._rows = name, png, _of(name, Rows, file)
        most = (min(band, png.height) + 1) * (png.width + 1)  # a run a pixel, in the band and the row above it
        self.start = np.empty(most, np.int64)
        self.colour = np.empty(most, np.int64)
        self.start[:2] = 0, png.width
        self.colour[:2] = 0  # above the first row all is zero
        self.first, self.last, self.end = 0, 0, 2
        """Where the first row of the band starts in these arrays, where the last one, and where that ends."""

    def read(self, rows: int) -> None:
        """Replace the band's runs by those of the next rows."""
        data = _of(self._name, self._rows.take, rows * self._png.row_bytes)
        words = np.frombuffer(data + bytes(-len(data) % 8) if len(data) % 8 else data, np.uint64)
        self.first, self.last, self.end = decode_rows(
            words, rows, self._png.width, self._png.pixel_bits // 8, self.start, self.colour, self.last, self.end
        )
        if self.first < 0:
            raise PngError(f"{self._name}: is damaged: a row has a filter type above {PAETH}; expected 0 to {PAETH}")

    def finish(self) -> None:
        """Check that nothing follows the last row."""
        _of(self._name, self._rows.finish)


class _Pairs:
    """Colours that share pixels: a hash table that grows."""

    def __init__(self) -> None:
        self._count = 0
        self._allocate(2048)

    def _allocate(self, capacity: int) -> None:
        self._slots = np.full(4 * capacity, -1, np.int32)  # index into the other arrays, by hash
        self._colours = np.empty(capacity, np.int64)  # gt's in the upper, pred's in the lower half
        self._pixels = np.empty(capacity, np.int64)
        self._box = np.empty((capacity, 4), np.int32)

    def add(self, gt: _Side, pred: _Side, y: int, rows: int, width: int) -> None:
        """Add the band of rows that both sides hold and that starts at `y`."""
        at_most = self._count + (gt.end - gt.first) + (pred.end - pred.first)
        if at_most > len(self._colours):
            filled = slice(0, self._count)
            colours, pixels, box = self._colours[filled], self._pixels[filled], self._box[filled]
            self._allocate(1 << at_most.bit_length())
            self._colours[filled], self._pixels[filled], self._box[filled] = colours, pixels, box
            hash_again(self._slots, colours)
        self._count = merge_rows(
            gt.start,
            gt.colour,
            gt.first,
            pred.start,
            pred.colour,
            pred.first,
            y,
            rows,
            width,
            self._slots,
            self._colours,
            self._pixels,
            self._box,
            self._count,
        )

    def counts(self, gt: LabelPng, pred: LabelPng) -> IdCounts:
        """The pairs by id, in order. (Colours of one id may differ in alpha.)"""
        colours, pixels, box = (a[: self._count] for a in (self._colours, self._pixels, self._box))
        gt_id, gt_area, gt_box, at_gt = sums_by_key(_ids(colours >> 32, gt), pixels, box)
        pred_id, pred_area, pred_box, at_pred = sums_by_key(_ids(colours, pred), pixels, box)
        pairs, shared, _, _ = sums_by_key(at_gt * len(pred_id) + at_pred, pixels, box)
        pair_gt, pair_pred = np.divmod(pairs, len(pred_id))
        return IdCounts(
            gt.height,
            gt.width,
            Ids(gt_id.astype(np.uint32), gt_area, gt_box),
            Ids(pred_id.astype(np.uint32), pred_area, pred_box),
            Pairs(pair_gt.astype(np.int32), pair_pred.astype(np.int32), shared),
        )


def _ids(colours: Int[np.ndarray, " k"], png: LabelPng) -> Int[np.ndarray, " k"]:
    return (colours & 0xFF) << 8 | (colours >> 8 & 0xFF) if png.bit_depth == 16 else colours & 0xFFFFFF


# Kernels. A call with an array among its arguments costs more than decoding a run does (numba counts references), so
# that what happens for every run is written out in one function or called with numbers only.


@compiled
def decode_rows(
    words: UInt64[np.ndarray, " w"],
    rows: int,
    width: int,
    pixel_bytes: int,
    start: Int[np.ndarray, " m"],
    colour: Int[np.ndarray, " m"],
    last: int,
    end: int,
) -> tuple[int, int, int]:
    """Filtered rows to runs, which replace those of the band before.

    Args:
        words: filtered rows, each with its filter type in front; zeros pad the last word.
        rows: how many.
        width: of the image, pixels.
        pixel_bytes: bytes of a pixel.
        start: x of each run of the band before, row by row, each row ended by `width`; gets the new ones.
        colour: bytes of a pixel of each run, the first one lowest.
        last: where the last row of the band before starts in `start` and `colour`.
        end: and where it ends.

    Returns:
        Where the first of the new rows starts, where the last one, and where that ends; -1 if a filter type is wrong.
    """
    data = words.view(np.uint8)
    event_x = np.empty(width + 1, np.int64)
    event_value = np.empty(width, np.int64)
    nonzero = np.zeros((((1 + width * pixel_bytes) >> 6) + 2) << 3, np.uint8)
    for i in range(last, end):
        start[i - last], colour[i - last] = start[i], colour[i]
    first = end - last
    above, at = 0, first
    for row in range(rows):
        begin = row * (1 + width * pixel_bytes)
        kind = data[begin]
        if kind > PAETH:
            return -1, 0, 0
        find_events(words, data, begin + 1, width, pixel_bytes, kind == NONE, nonzero, event_x, event_value)
        row_at, at = at, decode_row(kind, width, event_x, event_value, start, colour, above, at)
        above = row_at
    return first, above, at


@compiled
def find_events(
    words: UInt64[np.ndarray, " w"],
    data: UInt8[np.ndarray, " b"],
    begin: int,
    width: int,
    pixel_bytes: int,
    changes: bool,
    nonzero: UInt8[np.ndarray, " f"],
    event_x: Int[np.ndarray, " x"],
    event_value: Int[np.ndarray, " v"],
) -> None:
    """Where a row goes on other than with zeros, or (`changes`) with the same pixel, and the pixels there.

    Args:
        words: filtered rows.
        data: the same, as bytes.
        begin: byte at which the row's first pixel starts.
        width: pixels.
        pixel_bytes: bytes of a pixel.
        changes: compare with the pixel to the left, not with zero.
        nonzero: memory for a flag each word of a row, one more, and up to a multiple of eight.
        event_x: gets the x, ascending, the first 0 whatever is there, and `width` after the last.
        event_value: gets the bytes of the pixels, the first one lowest.
    """
    # Two steps, of which the compiler vectorises the first: whether each word is zero, then from flag to flag.
    row = words[begin >> 3 : (begin + width * pixel_bytes + 7) >> 3]
    lower, upper = np.uint64(8 * pixel_bytes), np.uint64(64 - 8 * pixel_bytes)
    if changes:
        for i in range(1, len(row)):
            nonzero[i] = row[i] != (row[i] << lower | row[i - 1] >> upper)
    else:
        for i in range(len(row)):
            nonzero[i] = row[i] != 0
    nonzero[len(row)] = 1  # ends the search
    flags = nonzero.view(np.uint64)
    offset = begin & 7
    reciprocal = (2**32 + pixel_bytes - 1) // pixel_bytes  # exact for what fits into a row
    x = count = 0
    while x < width:
        at = begin + x * pixel_bytes
        value = np.int64(data[at])
        if pixel_bytes > 1:
            value |= np.int64(data[at + 1]) << 8
        if pixel_bytes > 2:
            value |= np.int64(data[at + 2]) << 16
        if pixel_bytes > 3:
            value |= np.int64(data[at + 3]) << 24
        event_x[count], event_value[count] = x, value
        count += 1
        byte = offset + (x + 1) * pixel_bytes
        i = byte >> 3
        if i >= len(row):
            break
        word = row[i]
        if changes:
            word ^= word << lower | (row[i - 1] if i > 0 else np.uint64(0)) >> upper
        word &= ALL << np.uint64(8 * (byte & 7))
        if word == 0:
            i += 1
            eight = i >> 3
            flag = flags[eight] & ALL << np.uint64(8 * (i & 7))
            while flag == 0:
                eight += 1
                flag = flags[eight]
            i = 8 * eight + first_byte(flag)
            if i >= len(row):
                break
            word = row[i]
            if changes:
                word ^= word << lower | row[i - 1] >> upper
        x = ((8 * i + first_byte(word) - offset) * reciprocal) >> 32
    event_x[count] = width


@compiled
def first_byte(word: np.uint64) -> int:
    """Index of the lowest byte that is not zero, of a word that is not zero."""
    index = 4 * int(word & np.uint64(0xFFFFFFFF) == 0)  # arithmetic: branches would be guessed wrong half of the time
    index += 2 * int(word >> np.uint64(8 * index) & np.uint64(0xFFFF) == 0)
    return index + int(word >> np.uint64(8 * index) & np.uint64(0xFF) == 0)


@compiled
def decode_row(
    kind: int,
    width: int,
    event_x: Int[np.ndarray, " x"],
    event_value: Int[np.ndarray, " v"],
    start: Int[np.ndarray, " m"],
    colour: Int[np.ndarray, " m"],
    above: int,
    at: int,
) -> int:
    """Write the runs of one row, of which `find_events` found the events.

    Args:
        kind: filter type.
        width: pixels.
        event_x: x of the pixels that are not zero, or differ from the one before for NONE; starts with 0.
        event_value: bytes of these pixels.
        start: x of all runs.
        colour: their colours.
        above: where in them the row above starts.
        at: where this one is to start, after all that is there.

    Returns:
        Where the row ends.
    """
    x = left = corner = event = 0
    if kind <= SUB:  # the row above does not matter
        while x < width:
            value = event_value[event]
            left = value if kind == NONE else add_bytes(left, value)
            start[at], colour[at] = x, left
            at += 1
            event += 1
            x = event_x[event]
        start[at] = width
        return at + 1
    up, up_end = colour[above], start[above + 1]
    next_event = 0
    while True:
        if kind == UP:
            value = up
        elif kind == AVERAGE:
            value = average_bytes(left, up)
        else:
            value = left if up == corner else paeth(left, up, corner)
        if x == next_event:
            value = add_bytes(value, event_value[event])
            event += 1
            next_event = event_x[event]
        if value != left or x == 0:
            start[at], colour[at] = x, value
            at += 1
        if kind == PAETH or value == up or (kind == AVERAGE and value == average_bytes(value, up)):
            x = min(next_event, up_end)  # until then the filter predicts `value`
        else:
            x += 1
        if x >= width:
            start[at] = width
            return at + 1
        left, corner = value, up
        if x == up_end:
            above += 1
            up, up_end = colour[above], start[above + 1]


@compiled
def add_bytes(a: int, b: int) -> int:
    """Sums of the four bytes, each modulo 256."""
    return ((a & 0x7F7F7F7F) + (b & 0x7F7F7F7F)) ^ ((a ^ b) & 0x80808080)


@compiled
def average_bytes(a: int, b: int) -> int:
    """Means of the four bytes, each rounded down."""
    return (a & b) + (((a ^ b) & 0xFEFEFEFE) >> 1)


@compiled
def paeth(left: int, up: int, corner: int) -> int:
    """Of each byte the neighbour nearest to left + up − corner; PNG specification, section 9.4."""
    value = 0
    for shift in range(0, 32, 8):
        a, b, c = left >> shift & 255, up >> shift & 255, corner >> shift & 255
        to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        nearest = a if to_a <= to_b and to_a <= to_c else b if to_b <= to_c else c
        value |= nearest << shift
    return value


@compiled
def merge_rows(
    gt_start: Int[np.ndarray, " m"],
    gt_colour: Int[np.ndarray, " m"],
    gt_at: int,
    pred_start: Int[np.ndarray, " n"],
    pred_colour: Int[np.ndarray, " n"],
    pred_at: int,
    y: int,
    rows: int,
    width: int,
    slots: Int[np.ndarray, " s"],
    colours: Int[np.ndarray, " c"],
    pixels: Int[np.ndarray, " c"],
    box: Int[np.ndarray, "c 4"],
    count: int,
) -> int:
    """Add what the runs of two images have in common to the table of pairs.

    Args:
        gt_start, gt_colour: runs of gt, row by row.
        gt_at: where in them the first row starts.
        pred_start, pred_colour, pred_at: the same of pred.
        y: of the first row.
        rows: how many.
        width: pixels.
        slots: of a hash table: index of a pair, or -1; their number is a power of two, larger than that of pairs.
        colours: of each pair, gt's in the upper half; room for all that these rows may add.
        pixels: that have both colours.
        box: around them.
        count: pairs that are there.

    Returns:
        Pairs that are there now.
    """
    mask = len(slots) - 1
    for row in range(y, y + rows):
        x = 0
        while x < width:
            gt_end, pred_end = gt_start[gt_at + 1], pred_start[pred_at + 1]
            end = min(gt_end, pred_end)
            both = gt_colour[gt_at] << 32 | pred_colour[pred_at]
            slot = hashed(both) & mask
            while slots[slot] >= 0 and colours[slots[slot]] != both:
                slot = (slot + 1) & mask
            pair = slots[slot]
            if pair < 0:
                pair = count
                count += 1
                slots[slot] = pair
                colours[pair] = both
                pixels[pair] = 0
                box[pair, 0], box[pair, 1], box[pair, 2] = x, row, end
            pixels[pair] += end - x
            box[pair, 0] = min(box[pair, 0], x)
            box[pair, 2] = max(box[pair, 2], end)
            box[pair, 3] = row + 1
            gt_at += gt_end == end
            pred_at += pred_end == end
            x = end
        gt_at += 1  # past the end of the row
        pred_at += 1
    return count


@compiled
def hash_again(slots: Int[np.ndarray, " s"], colours: Int[np.ndarray, " c"]) -> None:
    """Fill the empty slots of a hash table with the indices of pairs that differ from each other."""
    mask = len(slots) - 1
    for pair in range(len(colours)):
        slot = hashed(colours[pair]) & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = pair


@compiled
def hashed(colours: int) -> int:
    """Hash of a pair of colours, of which the lowest bits serve."""
    return colours * HASH >> 32


@compiled
def sums_by_key(
    keys: Int[np.ndarray, " k"], pixels: Int[np.ndarray, " k"], box: Int[np.ndarray, "k 4"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, "n 4"], Int[np.ndarray, " k"]]:
    """Distinct keys, ascending; of each its pixels and the box around its boxes; and which of them each entry has."""
    unique, at = np.empty_like(keys), np.empty(len(keys), np.int64)
    area, hull = np.zeros(len(keys), np.int64), np.empty((len(keys), 4), np.int32)
    n = 0
    for k in np.argsort(keys):
        if n == 0 or unique[n - 1] != keys[k]:
            unique[n] = keys[k]
            hull[n] = box[k]
            n += 1
        at[k] = n - 1
        area[n - 1] += pixels[k]
        for side in range(4):
            outer = min(hull[n - 1, side], box[k, side]) if side < 2 else max(hull[n - 1, side], box[k, side])
            hull[n - 1, side] = outer
    return unique[:n], area[:n], hull[:n], at
