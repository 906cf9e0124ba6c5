"""Mutated masks of detections: each is refused, or read to the pixels that a plain decoder finds; nothing else happens.

    python tests/robustness/mutated_masks.py --count 100000 --seed 0

Masks are compressed and uncompressed run lengths and polygons, of images of all sizes that a PNG may declare.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from typing import Any

import numpy as np
from pycocotools import mask as coco

from panoptic_eval.detections import compressed
from panoptic_eval.png.rle import compressed as text
from panoptic_eval.png.rle import pixels

SIZES = ((2, 3), (1, 1), (7, 40), (1, 2**28), (2**14, 2**14))
ODD = (-1, 0, 1, 2**31, 2**32, 2**40, 2**63, 1.0, 1.5, 1e300, float("nan"), float("inf"), None, True, "1", [], {})
LARGE = 2**20
"""Pixels from which a mask is counted, but not drawn."""


def drawn(rng: random.Random, size: tuple[int, int]) -> Any:
    """A sound mask of an image."""
    height, width = size
    if rng.random() < 0.3:
        corners = [rng.uniform(-5, side + 5) for _ in range(rng.randrange(3, 6)) for side in (width, height)]
        return [corners]
    cuts = sorted(rng.randrange(height * width + 1) for _ in range(rng.randrange(0, 12)))
    runs = np.diff([0, *cuts, height * width]).tolist()
    rle = {"size": [height, width], "counts": runs}
    if rng.random() < 0.3:
        return rle
    return {"size": [height, width], "counts": text(np.array(runs), size)["counts"].decode()}


def mutated(rng: random.Random, mask: Any) -> Any:
    """The mask with one to three changes."""
    for _ in range(rng.randrange(0, 4)):
        if isinstance(mask, list):
            corners = mask[0] if mask and isinstance(mask[0], list) and mask[0] else [0]
            corners[rng.randrange(len(corners))] = rng.choice(ODD)
            if rng.random() < 0.2:
                corners.pop()
        elif isinstance(counts := mask.get("counts"), str):
            text = list(counts)
            at = rng.randrange(len(text) + 1)
            match rng.randrange(5):
                case 0:
                    text[at : at + 1] = chr(rng.choice((rng.randrange(128), 48 + rng.randrange(64))))
                case 1:
                    del text[at:]
                case 2:
                    text[at:at] = text[:at]
                case 3:
                    text[at:at] = rng.choice("oP0~") * rng.randrange(1, 40)
                case 4:
                    del text[at : at + 1]
            mask = {**mask, "counts": "".join(text)}
        elif isinstance(counts, list):
            counts = list(counts)
            at = rng.randrange(len(counts) + 1)
            counts[at : at + rng.randrange(2)] = [rng.choice((*ODD, rng.randrange(9)))]
            mask = {**mask, "counts": counts}
        if isinstance(mask, dict) and rng.random() < 0.1:
            mask = {**mask, rng.choice(("size", "counts")): rng.choice((*ODD, [2, 3], [3.0, 2], [2**31, 2**31]))}
    return mask


def plain(counts: bytes) -> list[int]:
    """Run lengths of COCO's compressed form, as its description has it."""
    runs: list[int] = []
    at = 0
    while at < len(counts):
        number = shift = 0
        while True:
            bits = counts[at] - 48
            number |= (bits & 31) << shift
            shift += 5
            at += 1
            if not bits & 32:
                break
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
    return runs


def outcome(rng: random.Random) -> str:
    """What became of one mask.

    Raises:
        AssertionError: it was read to other pixels than it holds.
    """
    size = rng.choice(SIZES)
    mask = mutated(rng, drawn(rng, size))
    try:
        rle = compressed(mask, size)
    except ValueError:
        return "refused"
    if int(pixels([rle["counts"]])[0]) != size[0] * size[1]:
        return "refused by its sum"
    runs = plain(rle["counts"])
    assert min(runs, default=0) >= 0
    assert sum(runs) == size[0] * size[1]
    assert int(coco.area(rle)) == sum(runs[1::2])
    if size[0] * size[1] <= LARGE:
        flat = np.repeat(np.arange(len(runs)) % 2, runs)
        assert (coco.decode(rle) == flat.reshape(size[::-1]).T).all()
    return "read"


def outcomes(count: int, seed: int) -> Counter[str]:
    """How often each outcome came."""
    rng = random.Random(seed)
    return Counter(outcome(rng) for _ in range(count))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(dict(outcomes(options.count, options.seed)))
