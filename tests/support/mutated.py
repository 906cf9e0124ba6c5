"""Label PNGs with damage, and whether the compiled core and the reference make the same of each.

    python tests/support/mutated.py --cases 1000000 --seed 0

Damage is done to the file as it is; or, with the checksums mended, to the compressed stream, to the rows before they
are compressed, to the header, or to the chunks around. PANOPTIC_EVAL_CORE may name a library with sanitizers.
"""

from __future__ import annotations

import argparse
import random
import struct
import time
import zlib
from collections import Counter

import numpy as np
import png

from panoptic_eval import core
from panoptic_eval.errors import PngError
from panoptic_eval.pairs import compiled, reference
from panoptic_eval.png.container import compressed_rows, header, read_chunks

KINDS = (
    *((depth, png.GRAY) for depth in (1, 2, 4, 8, 16)),
    *((depth, png.PALETTE) for depth in (1, 2, 4, 8)),
    (8, png.GRAY_ALPHA),
    *2 * ((8, png.RGB), (8, png.RGBA)),
)
STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)
CHUNKS = (b"tRNS", b"gAMA", b"PLTE", b"tEXt", b"iCCP", b"cHRM", b"pHYs", b"zTXt", b"IDAT", b"IEND", b"abCd")


def label_image(rng: random.Random) -> bytes:
    """A label PNG of overlapping rectangles, of any kind that the core reads."""
    depth, color_type = rng.choice(KINDS)
    height, width = rng.choice(((1, 1), (12, 15), (3, 40), (30, 5), (25, 33)))
    top = 2**24 if color_type in (png.RGB, png.RGBA) else 2**depth
    ids = np.full((height, width), rng.randrange(top))
    for _ in range(rng.randrange(9)):
        y, x = rng.randrange(height), rng.randrange(width)
        ids[y : y + rng.randrange(1, 9), x : x + rng.randrange(1, 12)] = rng.randrange(top)
    return png.write(
        png.samples(ids, color_type, alpha=rng.choice((0, 255))),
        depth=depth,
        color_type=color_type,
        filters=[rng.randrange(5) for _ in range(rng.randrange(1, 9))],
        level=rng.choice((0, 1, 6, 9)),
        strategy=rng.choice(STRATEGIES),
        idat_bytes=rng.choice((7, 40, 2**20)),
        before=png.chunk(b"PLTE", bytes(3 * 2**depth)) if color_type == png.PALETTE else b"",
    )


def damaged(rng: random.Random, data: bytes) -> bytes:
    """A few bytes changed, dropped, doubled or cut off."""
    out = bytearray(data or b"\0")
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(out))
        match rng.randrange(6):
            case 0 | 1:
                out[at] ^= 1 << rng.randrange(8)
            case 2:
                out[at] = rng.randrange(256)
            case 3:
                del out[at + 1 : at + rng.randrange(2, 9)]
            case 4:
                out[at:at] = out[at : at + rng.randrange(1, 9)]
            case 5:
                del out[max(1, at) :]
    return bytes(out)


def mutated(rng: random.Random, file: bytes) -> bytes:
    """The file with damage, of which checksums tell nothing but in one case of four."""
    head, stream = file[8 : file.index(b"IDAT") - 4], compressed_rows(read_chunks(file))
    match rng.randrange(8):
        case 0 | 1:
            return damaged(rng, file)
        case 2 | 3:
            stream = damaged(rng, stream)
        case 4 | 5:
            stream = png.compress(damaged(rng, zlib.decompress(stream)), rng.choice((0, 1, 6)), rng.choice(STRATEGIES))
        case 6:
            fields = list(struct.unpack(">II5B", file[16:29]))
            fields[rng.randrange(7)] = rng.choice((0, 1, 2, 3, 8, 16, 255, 2**31 - 1)) % (
                2**31 if rng.random() < 0.5 else 256
            )
            fields[2:] = [value % 256 for value in fields[2:]]
            head = png.chunk(b"IHDR", struct.pack(">II5B", *fields)) + head[25:]
        case 7:
            head += png.chunk(rng.choice(CHUNKS), rng.randbytes(rng.randrange(9)))
    return png.assemble(head, stream, rng.choice((5, 60, 2**20)))


def check(gt: bytes, pred: bytes) -> str:
    """What became of a pair: counted, refused, or left to the reference.

    Raises:
        AssertionError: the core and the reference do not agree.
    """
    (counts,) = compiled.count_files(core.library(), [(gt, pred)])
    try:
        expected = reference.count_pair(gt, pred)
    except PngError:
        assert counts is None, "the core counts what the reference refuses"
        return "refused"
    if counts is None:
        assert not (header(gt).supported and header(pred).supported), "the core refuses what the reference counts"
        return "left to the reference"
    for mine, its in zip(arrays(counts), arrays(expected), strict=True):
        assert mine.dtype == its.dtype
        assert mine.tolist() == its.tolist()
    return "counted"


def arrays(counts):
    sides = (getattr(side, name) for side in (counts.gt, counts.pred) for name in ("id", "area", "box"))
    return [*sides, counts.pairs.gt, counts.pairs.pred, counts.pairs.pixels]


def run(cases: int, seed: int) -> Counter[str]:
    """How many cases went which way."""
    outcomes: Counter[str] = Counter()
    rng = random.Random(seed)
    while outcomes.total() < cases:
        whole = label_image(rng)
        for _ in range(20):
            bad = mutated(rng, whole)
            pair = (bad, whole) if rng.random() < 0.5 else (whole, bad)
            try:
                outcomes[check(*pair)] += 1
            except AssertionError:
                print(f"seed {seed}, case {outcomes.total()}: {bad.hex()}, of {whole.hex()}")
                raise
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    assert core.library() is not None
    start = time.monotonic()
    outcomes = run(options.cases, options.seed)
    print(f"{outcomes.total()} cases, {dict(outcomes)}, {time.monotonic() - start:.0f} s, all agree")


if __name__ == "__main__":
    main()
