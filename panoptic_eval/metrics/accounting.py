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
from panoptic_eval.metrics.sums import column_sums, overlaps, remembered, void_overlap
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.rules import DEFAULT, Rules
from panoptic_eval.shapes import Float, Int

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
TOO_SMALL, TOO_LARGE, CLASS, MERGED, SPLIT, PLACE, MISSED, SPURIOUS = range(8)
"""Causes: the first two of matches, the others of segments without match; indices into the titles."""
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


@dataclass(frozen=True)
class SegmentLosses:
    """Loss at each segment to each cause, in the order of the titles, in units of 1 / D of the segment's category."""

    gt: Float[np.ndarray, "g 8"]
    """Both parts of a match stand at its gt segment."""
    pred: Float[np.ndarray, "p 8"]
    matching: Matching
    gt_counted: Float[np.ndarray, " g"]
    """What each gt segment adds to D of its category: 1 if it is matched, 1/2 if it is missed, else 0."""
    weight: Float[np.ndarray, " c"]
    """D = TP + FP/2 + FN/2 of each category."""

    @property
    def unit(self) -> Float[np.ndarray, " c"]:
        """Return by what losses of each category are divided to be parts of 1 - PQ over all categories."""
        return max(int((self.weight > 0).sum()), 1) * np.maximum(self.weight, 0.5)


@remembered
def segment_losses(table: PairTable) -> SegmentLosses:
    """Find what each segment costs. Areas are those of the PNGs."""
    matching, c = match(table), len(table.catalogue)
    gt, area = np.zeros((len(table.gt), len(TITLES))), table.gt.area[matching.gt]
    pred = np.zeros((len(table.pred), len(TITLES)))
    gt[matching.gt, TOO_SMALL] = (area - matching.shared) / matching.union
    gt[matching.gt, TOO_LARGE] = (matching.union - area) / matching.union
    for losses, cause in zip((gt, pred), causes(table, matching), strict=True):
        rows = np.flatnonzero(cause >= 0)
        losses[rows, cause[rows]] = 1 / 2
    counted = np.bincount(matching.gt, minlength=len(gt)) + matching.missed / 2
    weight = np.bincount(table.gt.category, counted, c) + np.bincount(table.pred.category, matching.spurious / 2, c)
    return SegmentLosses(gt, pred, matching, counted, weight)


def account_counts(table: PairTable, rules: Rules = DEFAULT) -> AccountCounts:
    """Count what each cause takes from each image and category, shape (images, categories).

    Areas are always those of the PNGs: with panopticapi's stated areas a part could be negative.
    """
    losses, c = segment_losses(table), len(table.catalogue)
    of_gt, of_pred = (
        column_sums(side.image * np.int64(c) + side.category, np.column_stack(columns), len(table) * c)
        for side, columns in (
            (table.gt, (losses.gt, losses.gt_counted)),
            (table.pred, (losses.pred, losses.matching.spurious / 2)),
        )
    )
    return AccountCounts(*(of_gt + of_pred).reshape(-1, len(table), c))


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


def segment_prices(table: PairTable) -> tuple[Float[np.ndarray, "g 8"], Float[np.ndarray, "p 8"]]:
    """Divide 1 - PQ among the segments of gt and of the prediction, by cause: all prices add up to it."""
    losses = segment_losses(table)
    unit = losses.unit
    return losses.gt / unit[table.gt.category, None], losses.pred / unit[table.pred.category, None]


def if_fixed(table: PairTable, losses: SegmentLosses) -> Float[np.ndarray, "8 c"]:
    """Compute by how much PQ of each category would rise if one cause alone were gone.

    Segments of gt without match for this cause are then found with an IoU of 1, predictions without match for it are
    not there, and pixels that a match lacks or adds are right. These gains do not add up: what one repair is worth
    depends on the others. NaN where a category has no segment.
    """
    c, weight = len(table.catalogue), losses.weight
    of_gt, of_pred = (
        column_sums(side.category, lost, c) for side, lost in ((table.gt, losses.gt), (table.pred, losses.pred))
    )
    iou = weight - of_gt.sum(0) - of_pred.sum(0)
    unmatched = np.arange(len(TITLES))[:, None] >= CLASS
    repaired = np.where(unmatched, 2 * of_gt, of_gt)
    new_weight = weight + np.where(unmatched, of_gt - of_pred, 0)
    fixed = np.where(new_weight > 0, divide(iou + repaired, new_weight), 1)  # nothing is left that could be wrong
    return np.where(weight > 0, fixed - divide(iou, weight), np.nan)


def pixel_flow(table: PairTable, losses: SegmentLosses) -> Float[np.ndarray, "c1 c1"]:
    """Divide 1 - PQ among true and predicted categories, pixel by pixel: who takes whose pixels.

    The price of a match goes to its lost pixels, by what is predicted there, and to its surplus pixels, by what is
    there in truth; that of a segment without match to all of its pixels. The diagonal is what lies in the right
    category and in the wrong segment.

    Returns:
        Row: true category, the last one void and pixels without entry. Column: predicted category, the last one
        nothing. The sum is 1 - PQ.
    """
    gt, pred, pairs, matching, c = table.gt, table.pred, table.pairs, losses.matching, len(table.catalogue)
    unit = np.append(losses.unit, np.inf)
    true, predicted = (np.append(side.category, c)[index] for side, index in ((gt, pairs.gt), (pred, pairs.pred)))
    partner, union = np.full(len(gt) + 1, -2), np.ones(len(gt) + 1)
    partner[matching.gt], union[matching.gt] = matching.pred, matching.union
    mate, pred_union = np.full(len(pred) + 1, -2), np.ones(len(pred) + 1)
    mate[matching.pred], pred_union[matching.pred] = matching.gt, matching.union
    lost = (partner[pairs.gt] > -2) & (pairs.gt >= 0) & (partner[pairs.gt] != pairs.pred)
    surplus = (mate[pairs.pred] > -2) & (pairs.pred >= 0) & (mate[pairs.pred] != pairs.gt) & (pairs.gt >= 0)
    missed = np.append(matching.missed, False)[pairs.gt]
    spurious = np.append(matching.spurious, False)[pairs.pred]
    gt_area, pred_area = np.append(gt.area, 1), np.append(pred.area, 1)
    of_gt = lost / union[pairs.gt] + missed / (2 * gt_area[pairs.gt])
    of_pred = surplus / pred_union[pairs.pred] + spurious / (2 * pred_area[pairs.pred])
    price = pairs.pixels * (of_gt / unit[true] + of_pred / unit[predicted])
    flow = np.bincount(true * (c + 1) + predicted, price, (c + 1) ** 2).reshape(c + 1, c + 1)
    # Pixels of gt ids that its JSON does not list are in no pair.
    unlisted = pred.area - np.bincount(pairs.pred[pairs.pred >= 0], pairs.pixels[pairs.pred >= 0], len(pred))
    share = (mate[:-1] > -2) / pred_union[:-1] + matching.spurious / (2 * pred.area)
    flow[c] += np.bincount(pred.category, unlisted * share / unit[pred.category], c + 1)
    return flow
