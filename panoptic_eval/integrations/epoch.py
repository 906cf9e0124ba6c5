"""What evaluators of detectron2 and mmdetection share: predictions that each epoch writes anew, and their scores."""

from __future__ import annotations

import shutil
from pathlib import Path

from panoptic_eval.categories import Catalogue
from panoptic_eval.evaluation import evaluate
from panoptic_eval.labels import LabelMaps
from panoptic_eval.prediction_writer import WRITTEN, PredictionWriter

SCORES = ("PQ", "SQ", "RQ")
GROUPS = {"": "all", "_th": "things", "_st": "stuff"}


def begin(out: Path, catalogue: Catalogue) -> PredictionWriter:
    """Open `out`/predictions without what an earlier epoch or run has written there; other files stay.

    Raises:
        InputError: the folder holds predictions that no such writer has made, or of other categories.
    """
    folder = out / "predictions"
    PredictionWriter(folder, catalogue).close()  # refuses what is somebody else's, and removes what is half-written
    for name, files in WRITTEN.items():
        if name:
            shutil.rmtree(folder / name, ignore_errors=True)
        else:
            for file in files:
                (folder / file).unlink(missing_ok=True)
    return PredictionWriter(folder, catalogue)


def finish(writer: PredictionWriter, gt: LabelMaps, out: Path) -> dict[str, float]:
    """Score what was written, to `out`/scores; return PQ, SQ, RQ in percent as both libraries name them.

    Raises:
        InputError: a fault of the predictions, such as an image that the ground truth has not.
    """
    writer.close()
    report = evaluate(writer.directory, gt, out=out / "scores")
    return {
        f"{score}{suffix}": 100 * report.scores[score][group] for suffix, group in GROUPS.items() for score in SCORES
    }
