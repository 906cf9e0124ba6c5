"""COCO's compressed run lengths: written, and what can be wrong with them, found before other code reads them.

pycocotools trusts its input: run lengths cut short make it read beyond their end, and ones that do not add up to the
image give some number or other. When it writes it counts on six characters a run, which four runs of 16 million pixels
exceed by a byte: what follows in memory is overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from panoptic_eval import core
from panoptic_eval.png.ids import Ids
from panoptic_eval.png.reference import decode
from panoptic_eval.shapes import Bool, Int

Rle = Mapping[str, Any]
"""size (height, width) and counts."""


def compressed(runs: Int[np.ndarray, " n"], size: tuple[int, int]) -> dict[str, Any]:
    """Write run lengths, which go down the columns and begin with one of pixels outside, as COCO's compressed text.

    >>> compressed(np.array([2, 1, 1, 2]), (2, 3))
    {'size': [2, 3], 'counts': b'2111'}
    """
    rest = runs.astype(np.int64)
    rest[3:] -= runs[1:-2]
    characters = np.zeros((len(runs), 8), np.uint8)  # 0: none
    more = np.ones(len(runs), bool)
    for k in range(characters.shape[1]):
        bits, rest = rest & 31, rest >> 5
        goes_on = np.where(bits & 16, rest != -1, rest != 0)
        characters[more, k] = (48 + bits + 32 * goes_on)[more]
        more &= goes_on
    return {"size": [*size], "counts": characters[characters > 0].tobytes()}


def encode_window(mask: Bool[np.ndarray, "h w"], corner: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """Encode an image that is False but for a window, without making that image.

    Args:
        mask: the window.
        corner: row, column of its first pixel in the image.
        size: height, width of the image.
    """
    height, width = size
    top, left = corner
    columns = np.zeros((mask.shape[1], mask.shape[0] + 2), bool)  # False above and below each column
    columns[:, 1:-1] = mask.T
    column, row = np.nonzero(columns[:, 1:] != columns[:, :-1])
    changes = (left + column) * height + top + row
    # A run that reaches the foot of the image may go on at the head of the next column: that is no change.
    goes_on = np.flatnonzero(changes[1:] == changes[:-1])
    changes = np.delete(changes, np.concatenate([goes_on, goes_on + 1]))
    return compressed(np.diff(changes[changes < height * width], prepend=0, append=height * width), size)


def encode_segments(png: bytes, ids: Ids, size: tuple[int, int]) -> list[Rle]:
    """Encode the pixels of each id of a label PNG.

    Args:
        png: the file.
        ids: of the file.
        size: height, width of the image.

    Raises:
        PngError: as for `panoptic_eval.png.reference.decode`.
    """
    library = core.library()
    if library is not None:
        masks = core.Masks()
        given = core.addresses((ids.id, np.uint32))
        if core.check(library.core_encode_segments(png, len(png), *given, len(ids.id), masks)):
            ends = masks.ends.array(np.int64, len(ids.id)).tolist()
            text = masks.text.array(np.uint8, masks.size).tobytes()
            library.core_release_masks(masks)
            return [{"size": [*size], "counts": text[first:last]} for first, last in pairwise([0, *ends])]
    labels = decode(png)
    return [
        encode_window(labels[y0:y1, x0:x1] == id_, (y0, x0), size)
        for id_, (x0, y0, x1, y1) in zip(ids.id.tolist(), ids.box.tolist(), strict=True)
    ]


def pixels(counts: Sequence[bytes]) -> Int[np.ndarray, " n"]:
    """Return the sum of the run lengths of each mask, which is to be height * width; -1 where the text is malformed.

    >>> pixels([b"13", b"1P", b"~", b""]).tolist()
    [4, -1, -1, 0]
    """
    text = b"".join(counts)
    ends = np.cumsum([len(mask) for mask in counts], dtype=np.int64)
    total = np.zeros(len(ends), np.int64)
    library = core.library()
    if library is not None:
        library.core_mask_pixels(text, core.address(ends, np.int64), len(ends), core.address(total, np.int64))
        return total
    return np.array([_pixels(mask) for mask in counts], np.int64)


def _pixels(text: bytes) -> int:
    """Return the sum of one mask's run lengths. The code is that of cocoapi, maskApi.c:

    five bits a character, least significant first, plus 48; 32 says that more follow. From the fourth run on the
    number is the difference to the run before last.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = character - 48
        if not 0 <= bits <= 63 or shift > 30:  # runs have 32 bits at most
            return -1
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        if len(runs) > 2:
            number += runs[-2]
        if not 0 <= number < 2**32:
            return -1
        runs.append(number)
        number = shift = 0
    return -1 if shift else sum(runs)
