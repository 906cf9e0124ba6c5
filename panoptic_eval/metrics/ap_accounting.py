"""Where the points of AP go: areas between precision-recall curves, each of which lies above the one before.

The curves are those of COCO's error analysis (Hoiem et al., "Diagnosing error in object detectors", ECCV 2012; COCO's
analysis tool): AP itself; then IoU of 0.1 is enough; then what lies on another category is no error either; then
nothing is spurious; then nothing is missed, which is 1. The areas between them and AP add up to 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.metrics import coco_matching
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.shapes import Float

TITLES = {"place": "place", "class": "class", "spurious": "spurious", "missed": "missed"}
"""Parts of 1 - AP. place: what an IoU of 0.1 instead of COCO's thresholds gains. class: what is gained then if
detections that lie on another category are left out; spurious: if all others without instance are, duplicates
included; missed: the rest."""
NEAR = 0.1
"""IoU from which a detection lies on an instance."""


def ap_account(
    table: PairTable, bins: Sequence[tuple[float, float]], exact: Float[np.ndarray, "a c"]
) -> Float[np.ndarray, "a c 4"]:
    """Compute the parts of 1 - AP of masks, for objects of all sizes and then for those of each bin.

    Args:
        table: of label maps or of detections with masks.
        bins: smallest and largest area in pixels, both included.
        exact: AP of each category, of all sizes and of each bin.

    Returns:
        The parts of each category, in the order of the titles; NaN where gt has no instance.
    """
    gt, pred = table.gt, table.pred
    ranges = [ap.COCO_RANGES["all"], *bins]
    sides = {"gt_outside": ap.outside(gt.area, ranges), "pred_outside": ap.outside(pred.area, ranges)}
    near = ap.match(table, ap.mask_overlaps(table, NEAR), **sides, thresholds=np.array([NEAR]))
    matched, skipped = near.matched[:, 0], near.skipped[:, 0]
    confused = _on_another_category(table)[near.pred]
    left_out = np.stack([skipped, skipped | (~matched & confused), skipped | ~matched], axis=1)
    every = np.broadcast_to(matched[:, None], left_out.shape)
    instances = near.instances.sum(1)
    better = coco_matching.accumulate(near.first, every, left_out, instances, ap.RECALLS).mean(2)
    defined = instances > 0
    areas = np.concatenate([exact[defined][:, None], better, np.ones((len(better), 1))], axis=1)
    return ap.where_defined(np.diff(areas), defined)


def _on_another_category(table: PairTable) -> np.ndarray:
    """Tell which predictions have an IoU of at least 0.1 with an instance of another category."""
    both = table.pairs.take(np.flatnonzero((table.pairs.gt >= 0) & (table.pairs.pred >= 0)))
    pairs = both.take(np.flatnonzero(table.gt.category[both.gt] != table.pred.category[both.pred]))
    lies = ap.mask_iou(table, pairs) >= NEAR
    lies &= table.catalogue.isthing[table.gt.category[pairs.gt]] & ~table.gt.crowd[pairs.gt]
    found = np.zeros(len(table.pred), bool)
    found[pairs.pred[lies]] = True
    return found
