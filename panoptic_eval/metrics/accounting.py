"""Where the points of PQ go: an account of 1 - PQ whose parts add up to it exactly.

With D = TP + FP/2 + FN/2 of a category,

    1 - PQ = (sum over matches of (1 - IoU) + FP/2 + FN/2) / D,

so that every segment has a price: a match (1 - IoU) / D, an unmatched segment of either side 1 / (2 D). Each price has
one cause, so that the causes add up, too, whatever they are. A match costs what it is too small and too large: with
areas as PQ takes them, 1 - IoU = |g \\ p| / |g ∪ p| + |p \\ g| / |g ∪ p|. Prices of images add; means over categories
keep the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from panoptic_eval.metrics.metric import Metric, divide
from panoptic_eval.metrics.panoptic_quality import Matching, match
from panoptic_eval.metrics.sums import histogram, overlaps, void_overlap
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.rules import DEFAULT, Rules
from panoptic_eval.shapes import Bool, Float, Int

TITLES = {
    "too_small": "too small",
    "too_large": "too large",
    "class": "class",
    "merged": "merged",
    "split": "split",
    "place": "place",
    "missed": "missed",
    "spurious": "spurious",
}
"""Names of the causes in all outputs, and for people."""
CLASS, MERGED, SPLIT, PLACE, MISSED, SPURIOUS = range(2, 8)
"""Causes that an unmatched segment may have: indices into the titles."""
NEAR = 0.1
"""Least IoU of two unmatched segments of one category for their place to be the cause."""


@dataclass(frozen=True)
class AccountCounts:
    """Losses of each category to each cause, in the order of the titles, in units of 1 / D; counts of images add."""

    too_small: Float[np.ndarray, "*b c"]
    """Matches: share of the union that the prediction leaves out, summed."""
    too_large: Float[np.ndarray, "*b c"]
    """Matches: share of the union that the prediction adds, summed."""
    class_: Float[np.ndarray, "*b c"]
    """Half of the unmatched segments that have an IoU above 0.5 with one of another category."""
    merged: Float[np.ndarray, "*b c"]
    """Half of those where one prediction covers more than half of two or more segments of its category."""
    split: Float[np.ndarray, "*b c"]
    """Half of those where several predictions lie mostly in one segment of their category."""
    place: Float[np.ndarray, "*b c"]
    """Half of those that have an IoU of at least 0.1 with an unmatched one of their category."""
    missed: Float[np.ndarray, "*b c"]
    """Half of all other gt segments without match."""
    spurious: Float[np.ndarray, "*b c"]
    """Half of all other predicted segments without match."""
    weight: Float[np.ndarray, "*b c"]
    """D = TP + FP/2 + FN/2."""

    def lost(self) -> dict[str, Float[np.ndarray, "*b c"]]:
        """Return the loss to each cause, by its name in outputs."""
        *losses, _ = vars(self).values()
        return dict(zip(TITLES, losses, strict=True))


def account_counts(table: PairTable, rules: Rules = DEFAULT) -> AccountCounts:
    """Count what each cause takes from each image and category, shape (images, categories).

    Areas are always those of the PNGs: with panopticapi's stated areas a part could be negative.
    """
    gt, pred, matching = table.gt, table.pred, match(table)
    image, category, area = (values[matching.gt] for values in (gt.image, gt.category, gt.area))
    gt_cause, pred_cause = causes(table, matching)

    def half(of_gt: Bool[np.ndarray, " g"], of_pred: Bool[np.ndarray, " p"]) -> Float[np.ndarray, "i c"]:
        missed = histogram(table, gt.image[of_gt], gt.category[of_gt])
        return (missed + histogram(table, pred.image[of_pred], pred.category[of_pred])) / 2

    unmatched = {cause: half(gt_cause == cause, pred_cause == cause) for cause in range(CLASS, len(TITLES))}
    return AccountCounts(
        too_small=histogram(table, image, category, weights=(area - matching.shared) / matching.union),
        too_large=histogram(table, image, category, weights=(matching.union - area) / matching.union),
        class_=unmatched[CLASS],
        merged=unmatched[MERGED],
        split=unmatched[SPLIT],
        place=unmatched[PLACE],
        missed=unmatched[MISSED],
        spurious=unmatched[SPURIOUS],
        weight=histogram(table, image, category) + half(matching.missed, matching.spurious),
    )


def causes(table: PairTable, matching: Matching) -> tuple[Int[np.ndarray, " g"], Int[np.ndarray, " p"]]:
    """Find why each segment has no match: index of the cause for gt and for predictions; -1 for one that costs nothing.

    Of several causes that fit, the first in the order of the titles counts. Segments that are matched, crowds, and
    predictions that PQ excuses cost nothing here.

    Args:
        table: of label maps.
        matching: of that table, with areas of the PNGs.
    """
    gt, pred, lost, wrong = table.gt, table.pred, matching.missed, matching.spurious
    g, p, shared = overlaps(table)
    solid = ~gt.crowd[g]
    g, p, shared = g[solid], p[solid], shared[solid]
    same = gt.category[g] == pred.category[p]
    area = pred.area - void_overlap(table)
    iou = shared / (gt.area[g] + area[p] - shared)

    def count(side: Int[np.ndarray, " k"], pairs: np.ndarray, size: int) -> Int[np.ndarray, " n"]:
        return np.bincount(side[pairs], minlength=size)

    confused = ~same & (iou > 0.5)
    swallowed = same & (shared > gt.area[g] / 2)
    merged = swallowed & (count(p, swallowed, len(pred)) >= 2)[p]
    inside = same & (shared > area[p] / 2)
    covered = np.bincount(g[inside], shared[inside], len(gt))
    in_pieces = lost & (count(g, inside, len(gt)) >= 2) & (covered > gt.area / 2)
    near = same & (iou >= NEAR) & lost[g] & wrong[p]
    fits = [
        (CLASS, confused, confused),
        (MERGED, merged, merged),
        (SPLIT, inside & in_pieces[g], inside & (~lost[g] | in_pieces[g])),
        (PLACE, near, near),
    ]
    gt_cause, pred_cause = np.where(lost, MISSED, -1), np.where(wrong, SPURIOUS, -1)
    for cause, of_gt, of_pred in fits[::-1]:  # from the last to the first, which overwrites the others
        gt_cause[g[of_gt & lost[g]]] = cause
        pred_cause[p[of_pred & wrong[p]]] = cause
    return gt_cause, pred_cause


def _share(name: str, counts: AccountCounts) -> Float[np.ndarray, "*b c"]:
    return divide(counts.lost()[name], counts.weight)


CAUSES = tuple(
    Metric(name, f"lost: {title}", account_counts, partial(_share, name), "has a segment in gt or in the predictions")
    for name, title in TITLES.items()
)
"""Shares of PQ lost to each cause: their sum is 1 - PQ, of each category and of every mean."""


def image_costs(counts: AccountCounts) -> Float[np.ndarray, " i"]:
    """Divide 1 - PQ among the images: the prices of an image's segments, which add up to it over all images.

    Args:
        counts: of each image and category.
    """
    total = counts.weight.sum(0)
    lost = sum(counts.lost().values())
    return (lost / np.maximum(total, 0.5)).sum(1) / max((total > 0).sum(), 1)
