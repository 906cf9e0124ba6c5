"""Mean intersection over union of categories over a whole data set, as Cityscapes' scripts count it."""

from __future__ import annotations

from typing import cast

import numpy as np
from jaxtyping import Float, Int

from panoptic_eval.metrics.panoptic_quality import divide
from panoptic_eval.pairs.table import PairTable


def confusion(table: PairTable) -> Int[np.ndarray, "c c1"]:
    """Pixels by gt category (row) and predicted category (column; the last one is void).

    Pixels without gt count nowhere; crowds keep their category.
    """
    annotated = table.pair_gt >= 0
    rows = table.gt.category[table.pair_gt[annotated]]
    n = len(table.catalogue)
    columns = np.append(table.pred.category, n)[table.pair_pred[annotated]]  # void, index -1, takes the last entry
    pixels = np.bincount(rows * np.int64(n + 1) + columns, table.pair_pixels[annotated], n * (n + 1))
    return cast("Int[np.ndarray, 'c c1']", pixels.astype(np.int64).reshape(n, n + 1))


def category_iou(matrix: Int[np.ndarray, "c c1"]) -> Float[np.ndarray, " c"]:
    """IoU of each category, 0 to 1: TP / (TP + FP + FN); NaN where neither side has a pixel of it.

    A predicted void is an error (FN); a category that is only predicted has IoU 0.

    >>> category_iou(np.array([[3, 1, 0], [0, 2, 2]])).tolist()
    [0.75, 0.4]
    """
    tp = np.diagonal(matrix)
    union = matrix.sum(1) + matrix[:, :-1].sum(0) - tp
    return divide(tp, union)
