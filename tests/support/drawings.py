"""Label maps as text: one character a pixel, one line a row, '.' is void."""

from collections.abc import Mapping

import numpy as np

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.pairs.table import PairTable

CAR, BUS, SKY, ROAD = 3, 0, 7, 21
"""Category ids with gaps, out of order, and a legal 0."""
CATALOGUE = Catalogue(
    (Category(CAR, "car", True), Category(BUS, "bus", True), Category(SKY, "sky", False), Category(ROAD, "road", False))
)
INDEX = {CAR: 0, BUS: 1, SKY: 2, ROAD: 3}


def draw(text: str) -> np.ndarray:
    """Segment ids: the characters' codes."""
    rows = text.split()
    return np.array([[0 if c == "." else ord(c) for c in row] for row in rows], np.uint32)


def segments(labels: np.ndarray, categories: Mapping[str, int], crowds: str = "", scores: Mapping[str, float] = {}):
    """As in COCO panoptic JSON, in the order of the categories given."""
    present = set(np.unique(labels).tolist())
    return [
        {"id": ord(c), "category_id": k, "iscrowd": int(c in crowds), "score": scores.get(c, 1.0)}
        for c, k in categories.items()
        if ord(c) in present
    ]


def table(
    gt: str, pred: str, *, crowds: str = "", scores: Mapping[str, float] = {}, image_id: int = 0, **categories: int
) -> PairTable:
    """The pair table of two drawings; keywords say the category of each character."""
    gt_map, pred_map = draw(gt), draw(pred)
    return pair_table(
        CATALOGUE,
        gt_map,
        segments(gt_map, categories, crowds),
        pred_map,
        segments(pred_map, categories, scores=scores),
        image_id=image_id,
    )
