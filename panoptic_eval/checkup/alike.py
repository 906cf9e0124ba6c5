"""Label maps that are the same, or nearly the same: copies, and frames of one video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from panoptic_eval.shapes import Int

BANDS = 16
"""Parts of the compared pixels; maps that differ in fewer pixels than this share one of the parts."""
COMPARED = 20
"""Maps that each is compared with in a part that they share."""
LEAST = 3
"""Categories that a map must have: nearly empty maps look alike and say nothing."""


def equal(digests: Sequence[str]) -> list[tuple[int, int]]:
    """List what is the same as something earlier, with the first of these; an empty digest is of nothing.

    >>> equal(["a", "b", "a", "", ""])
    [(0, 2)]
    """
    first: dict[str, int] = {}
    return [(at, k) for k, digest in enumerate(digests) if digest and (at := first.setdefault(digest, k)) != k]


def near(grids: Int[np.ndarray, "n g"]) -> list[tuple[int, int]]:
    """List pairs of maps that differ in fewer than BANDS of the compared pixels, each map at most once as the second.

    Args:
        grids: category of each compared pixel, -1 for void; -2 in the first place for a map that is not compared.
    """
    several = np.array([len(np.unique(g)) >= LEAST for g in grids], bool) & (grids[:, 0] != -2)
    kept = np.flatnonzero(several)
    found: dict[int, int] = {}
    for band in range(BANDS):
        parts = np.ascontiguousarray(grids[kept, band::BANDS])  # spread over the image: each part says something
        groups: dict[bytes, list[int]] = defaultdict(list)
        for k, part in zip(kept.tolist(), parts, strict=True):
            others = groups[part.tobytes()]
            if k not in found and others:
                differing = (grids[others[:COMPARED]] != grids[k]).sum(1)
                if differing.min() < BANDS:
                    found[k] = others[int(differing.argmin())]
            others.append(k)
    return sorted((a, b) for b, a in found.items())
