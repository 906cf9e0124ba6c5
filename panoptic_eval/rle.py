"""COCO's compressed run lengths: what can be wrong with them, found before C code reads them.

pycocotools trusts its input: run lengths cut short make it read beyond their end, and ones that do not add up to the
image give some number or other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panoptic_eval import core
from panoptic_eval.shapes import Int


def pixels(counts: Sequence[bytes]) -> Int[np.ndarray, " n"]:
    """The sum of the run lengths of each mask, which is to be height * width; -1 where the text is malformed.

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
    """The sum of one mask's run lengths. The code is that of cocoapi, maskApi.c:

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
