"""Parts of a report beside the scores: curves, groups of categories, reliability, candidates for label errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.metrics import reliability
from panoptic_eval.metrics.label_errors import candidates
from panoptic_eval.metrics.metric import divide, mean, summed
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.resampling import interval
from panoptic_eval.shapes import Float, Int

if TYPE_CHECKING:
    from panoptic_eval.groups import Groups


def curves(precision_by_name: Mapping[str, Float[np.ndarray, "10 101"]]) -> dict[str, Any]:
    """List the precision of each AP at each recall: over all thresholds of IoU (its mean is AP), at 0.5, at 0.75."""
    found: dict[str, Any] = {"recall": ap.RECALLS.tolist()}
    for name, precision in precision_by_name.items():
        lines = {"AP": precision.mean(0), "AP50": precision[ap.HALF], "AP75": precision[ap.THREE_QUARTERS]}
        found[name] = {part: line.tolist() for part, line in lines.items()}
    return found


def groups(by_category: Mapping[str, Float[np.ndarray, "w c"]], members_of: Groups) -> list[dict[str, Any]]:
    """Make a row for each group of categories: the mean of each score, with its interval."""
    rows = []
    for name, members in members_of.items():
        row: dict[str, Any] = {"group": name, "categories": len(members)}
        for score, values in by_category.items():
            of_group = mean(values[:, list(members)])
            low, high = interval(of_group)
            row |= {score: float(of_group[0]), f"{score}_low": low, f"{score}_high": high}
        rows.append(row)
    return rows


def calibration(table: PairTable, weights: Int[np.ndarray, "w i"] | None) -> dict[str, Any]:
    """Report the expected calibration error and what it is made of; empty where scores are no probabilities."""
    if not reliability.are_probabilities(table):
        return {}
    counts = summed(reliability.reliability_counts(table), None if weights is None else weights.astype(float))
    error = reliability.expected_error(counts)
    low, high = interval(error)
    segments, score, matched = (of_all[0] for of_all in vars(counts).values())
    columns = (segments.astype(np.int64), divide(score, segments), divide(matched, segments))
    bins = [
        {
            "from": k / reliability.BINS,
            "to": (k + 1) / reliability.BINS,
            "segments": in_bin,
            "mean_score": mean_score,
            "matched": share,
        }
        for k, (in_bin, mean_score, share) in enumerate(zip(*(c.tolist() for c in columns), strict=True))
    ]
    return {"ECE": float(error[0]), "low": low, "high": high, "bins": bins}


def label_errors(table: PairTable) -> list[dict[str, Any]]:
    """Make a row for each candidate for an error in the ground truth."""
    gt, pred, categories = table.gt, table.pred, table.catalogue.categories
    rows = []
    for c in candidates(table):
        category = categories[pred.category[c.pred]]
        other = None if c.gt < 0 else categories[gt.category[c.gt]]
        rows.append(
            {
                "image_id": table.image_id[c.image],
                "kind": c.kind,
                "category_id": category.id,
                "category": category.name,
                "score": None if math.isnan(c.score) else c.score,
                "segment": int(pred.id[c.pred]),
                "box": pred.box[c.pred].tolist(),
                "gt_segment": None if c.gt < 0 else int(gt.id[c.gt]),
                "gt_category": None if other is None else other.name,
                "iou": c.iou,
            }
        )
    return rows
