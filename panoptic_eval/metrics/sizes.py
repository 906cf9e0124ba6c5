"""Size percentiles of instances, the axis of Fig. 5 (Porzi et al., CVPR 2021, Sec. 4.3, arXiv 2012.07717)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from panoptic_eval.pairs.table import PairTable
from panoptic_eval.percentiles import percentiles
from panoptic_eval.rules import PERCENTILES
from panoptic_eval.shapes import Float


def area_edges(table: PairTable, percent: Sequence[float] = PERCENTILES) -> Float[np.ndarray, " e"]:
    """Return areas, pixels, at percentiles of all gt things but crowds, linearly interpolated; NaN without things."""
    gt = table.gt
    area = gt.area[table.catalogue.isthing[gt.category] & ~gt.crowd]
    return percentiles(area, percent) if len(area) else np.full(len(percent), np.nan)


def bins(edges: Sequence[float] | Float[np.ndarray, " e"]) -> list[tuple[float, float]]:
    """Pair neighboring edges to ranges, both ends included as COCO's are.

    >>> bins([1, 4, 9])
    [(1.0, 4.0), (4.0, 9.0)]
    """
    return [(float(low), float(high)) for low, high in pairwise(edges)]
