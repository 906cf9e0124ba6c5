"""What objects of each size cost: the part of 1 - PQ of things that falls on each bin of size.

A segment's price (`panoptic_eval.metrics.accounting`) goes to the bin of its area: that of the gt segment, or of the
prediction where it is a false positive. Each area is in one bin, so that the bins add up to 1 - PQ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panoptic_eval.metrics.accounting import TITLES, SegmentLosses, segment_losses
from panoptic_eval.metrics.metric import divide
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.shapes import Float, Int


@dataclass(frozen=True)
class SizeCosts:
    """Prices of things in units of 1 / D, and D itself; counts of images add."""

    lost: Float[np.ndarray, "i t b"]
    """Of each image, thing category and bin."""
    weight: Float[np.ndarray, "i t"]
    """D = TP + FP/2 + FN/2."""


def bin_of(area: Float[np.ndarray, " n"], edges: Float[np.ndarray, " e"]) -> Int[np.ndarray, " n"]:
    """Find the bin of each area: from its lower edge to before its upper one; the outer bins hold all beyond them.

    >>> bin_of(np.array([0, 4, 5, 9]), np.array([1, 5, 9])).tolist()
    [0, 0, 1, 1]
    """
    return np.searchsorted(edges[1:-1], area, side="right")


def size_costs(table: PairTable, edges: Float[np.ndarray, " e"]) -> SizeCosts:
    """Count what the things of each image lose, by category and bin of size.

    Args:
        table: of label maps.
        edges: of the bins, pixels of area, ascending.
    """
    losses, thing = segment_losses(table), table.catalogue.isthing
    position = np.where(thing, np.cumsum(thing) - 1, -1)
    shape = len(table), int(thing.sum()), len(edges) - 1
    lost, weight = np.zeros(shape), np.zeros(shape[:2])
    sides = ((table.gt, losses.gt, losses.gt_counted), (table.pred, losses.pred, losses.matching.spurious / 2))
    for side, of_side, counted in sides:
        rows = np.flatnonzero(thing[side.category])
        image, at = side.image[rows], position[side.category[rows]]
        np.add.at(lost, (image, at, bin_of(side.area[rows], edges)), of_side[rows].sum(1))
        np.add.at(weight, (image, at), counted[rows])
    return SizeCosts(lost, weight)


def cost_of_bins(costs: SizeCosts, weights: Float[np.ndarray, "w i"]) -> Float[np.ndarray, "w b"]:
    """Return the part of 1 - PQ of things that each bin takes; NaN where neither side has a thing.

    Args:
        costs: of images.
        weights: how often each image counts, one row for each resample.
    """
    lost, weight = np.tensordot(weights, costs.lost, 1), weights @ costs.weight
    present = (weight > 0).sum(-1, keepdims=True)
    shares = np.where(weight[..., None] > 0, lost / np.maximum(weight, 0.5)[..., None], 0)
    return divide(shares.sum(1), present)


def lost_by_size(table: PairTable, edges: Float[np.ndarray, " e"], losses: SegmentLosses) -> Float[np.ndarray, "b 8"]:
    """Return the part of 1 - PQ of things that each bin loses to each cause; zeros where neither side has a thing."""
    isthing, weight = table.catalogue.isthing, losses.weight
    unit = max(int(((weight > 0) & isthing).sum()), 1) * np.maximum(weight, 0.5)
    lost = np.zeros((len(edges) - 1, len(TITLES)))
    for side, of_side in ((table.gt, losses.gt), (table.pred, losses.pred)):
        rows = np.flatnonzero(isthing[side.category])
        np.add.at(lost, bin_of(side.area[rows], edges), of_side[rows] / unit[side.category[rows], None])
    return lost
