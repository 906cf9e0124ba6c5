"""Mutated panoptic JSONs that panopticapi scores, too: the numbers are the same, or ours is an error.

    python tests/robustness/mutated_against_panopticapi.py --count 2000 --seed 0

Where panopticapi takes what has two meanings (docs/accepted.md lists it) the case is only counted.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from mutated_jsons import mutated  # noqa: E402
from outcomes import main, of_scene  # noqa: E402
from panopticapi.evaluation import pq_compute_single_core  # noqa: E402
from scene import Scene  # noqa: E402

from panoptic_eval import InputError, evaluate  # noqa: E402
from panoptic_eval.rules import Rules  # noqa: E402

TOLERANCE = 1e-9
OTHERWISE = ("written twice",)
"""Warnings of what panopticapi counts otherwise, see docs/accepted.md: a ground truth's annotation twice."""


def reference(data: Scene, gt: Any, pred: Any) -> float | None:
    """PQ over all categories as `panopticapi.evaluation.pq_compute` gives it; None where it fails."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            categories = {c["id"]: c for c in gt["categories"]}
            predicted = {a["image_id"]: a for a in pred["annotations"]}
            matched = [(a, predicted[a["image_id"]]) for a in gt["annotations"]]
            folders = (str(path.with_suffix("")) for path in (data.gt_json, data.pred_json))
            stat = pq_compute_single_core(0, matched, *folders, categories)
            result, _ = stat.pq_average(categories, isthing=None)
            return float(result["pq"])
    except Exception:
        return None


def outcome(data: Scene, rng: random.Random) -> str:
    """What became of one mutation."""
    contents = [data.gt.json, data.pred.json]
    for _ in range(rng.randint(1, 2)):
        side = rng.randrange(2)
        contents[side] = mutated(contents[side], rng)
    try:
        texts = [json.dumps(content).encode() for content in contents]
    except (UnicodeEncodeError, ValueError):
        return "no JSON"
    for path, text in zip((data.gt_json, data.pred_json), texts, strict=True):
        path.write_bytes(text)
    expected = reference(data, *map(json.loads, texts))
    try:
        report = evaluate(data.pred_json.parent, data.gt_json, workers=1, rules=Rules(protocol="panopticapi"))
    except InputError:
        return "refused by both" if expected is None else "refused by ours alone"
    if expected is None:
        return "scored by ours alone"
    found = report.scores["PQ"]["all"]
    if np.isclose(found, expected, rtol=0, atol=TOLERANCE, equal_nan=True):
        return "the same"
    if any(what in warning for warning in report.warnings for what in OTHERWISE):
        return "differs, as documented"
    return f"PQ is {found}, panopticapi says {expected}; warnings: {report.warnings}; {texts}"


outcomes = partial(of_scene, outcome)


if __name__ == "__main__":
    main(__doc__, outcomes)
