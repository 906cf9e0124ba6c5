"""panopticapi's function: its arguments, its result, its numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from panoptic_eval.datasets import ground_truth
from panoptic_eval.evaluation import evaluate
from panoptic_eval.predictions import read_predictions
from panoptic_eval.rules import Rules

GROUPS = {"All": "all", "Things": "things", "Stuff": "stuff"}


def pq_compute(
    gt_json_file: Path | str,
    pred_json_file: Path | str,
    gt_folder: Path | str | None = None,
    pred_folder: Path | str | None = None,
) -> dict[str, Any]:
    """Compute PQ as panopticapi does, with its quirks, in place of `panopticapi.evaluation.pq_compute`.

    Args:
        gt_json_file, pred_json_file: JSONs in the COCO panoptic format.
        gt_folder, pred_folder: folders of their PNGs; those named like the JSONs if not given.

    Returns:
        `All`, `Things` and `Stuff`, each with pq, sq, rq and n, the number of categories; and `per_class`, with pq, sq
        and rq of each category id, 0 where neither side has a segment. Fractions.

    Raises:
        InputError: every fault that was found in the files.
    """
    gt = ground_truth(gt_json_file, folder=None if gt_folder is None else Path(gt_folder))
    pred = read_predictions(pred_json_file, gt, folder=None if pred_folder is None else Path(pred_folder))
    report = evaluate(pred, gt, rules=Rules(protocol="panopticapi"))
    of = {"All": (True, False), "Things": (True,), "Stuff": (False,)}
    result: dict[str, Any] = {
        name: {
            **{score.lower(): report.scores[score][group] for score in ("PQ", "SQ", "RQ")},
            "n": sum(row["isthing"] in of[name] and not math.isnan(row["PQ"]) for row in report.categories),
        }
        for name, group in GROUPS.items()
    }
    per_class = {
        row["id"]: {score.lower(): 0.0 if math.isnan(row[score]) else row[score] for score in ("PQ", "SQ", "RQ")}
        for row in report.categories
    }
    return {"All": result["All"], "per_class": per_class, "Things": result["Things"], "Stuff": result["Stuff"]}
