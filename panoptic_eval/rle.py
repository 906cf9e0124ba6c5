"""COCO's compressed run lengths: what can be wrong with them, found before C code reads them.

pycocotools trusts its input: run lengths cut short make it read beyond their end, and ones that do not add up to the
image give some number or other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8

from panoptic_eval.compiled import compiled


def pixels(counts: Sequence[bytes]) -> Int[np.ndarray, " n"]:
    """The sum of the run lengths of each mask, which is to be height * width; -1 where the text is malformed.

    >>> pixels([b"13", b"1P", b"~", b""]).tolist()
    [4, -1, -1, 0]
    """
    ends = np.cumsum([len(text) for text in counts], dtype=np.int64)
    return _pixels(np.frombuffer(b"".join(counts), np.uint8), ends)


@compiled
def _pixels(text: UInt8[np.ndarray, " c"], ends: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Text of all masks, one after the other, and where each one ends. The code is that of cocoapi, maskApi.c:

    five bits a character, least significant first, plus 48; 32 says that more follow. From the fourth run on the
    number is the difference to the run before last.
    """
    total = np.zeros(len(ends), np.int64)
    start = 0
    for mask in range(len(ends)):
        last = before_last = np.int64(0)
        number = np.int64(0)
        shift = runs = 0
        for at in range(start, ends[mask]):
            bits = np.int64(text[at]) - 48
            if bits < 0 or bits > 63 or shift > 30:  # runs have 32 bits at most
                total[mask] = -1
                break
            number |= (bits & 31) << shift
            shift += 5
            if bits & 32:
                continue
            if bits & 16:
                number -= np.int64(1) << shift
            if runs > 2:
                number += before_last
            if number < 0:
                total[mask] = -1
                break
            total[mask] += number
            before_last, last = last, number
            number = np.int64(0)
            shift = 0
            runs += 1
        if shift:  # cut short, or left above
            total[mask] = -1
        start = ends[mask]
    return total
