"""Scores the networks that training runs keep on their way, on the same few images each time.

    python -m reproduce.evaluation RUN ... --validation DIR --training DIR

RUN is the folder of a run of `model.train --keep-every N`, which may still go on: this is another process, so that what
is learned does not depend on whether it is scored. RUN/evaluation.jsonl gets a line for each kept network and part of
the data set that has none yet; killed at any point, the same command does the rest.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from model.checkpoint_files import fingerprint, kept_networks
from panoptic_eval.counting import count
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.labels import LabelMaps, Listed
from panoptic_eval.score import score
from reproduce.experiments import EVALUATION, LARGEST, SCORES, whole_lines
from reproduce.options import ending_at_faults
from reproduce.systems import predict_all

IMAGES = 40
"""Number of validation images by default; of training images half as many are scored."""


@dataclass(frozen=True)
class Options:
    """Score the networks that training runs keep on their way, on the same few images each time."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = tyro.MISSING
    """Folders of the runs."""
    validation: Path | None = None
    """Data set whose validation images are scored. Default: none is."""
    training: Path | None = None
    """Data set whose training images are scored. Default: none is."""
    images: int = IMAGES
    """Number of validation images, the first ones; of training images half as many are scored."""
    device: str | None = None
    """Device to predict on: cpu, cuda or cuda:N. Default: the GPU if there is one."""


def first_maps(gt: LabelMaps, images: int) -> LabelMaps:
    """Select the first images of a ground truth."""
    meaning = gt.meaning
    if isinstance(meaning, Listed):
        meaning = meaning.take(np.flatnonzero(meaning.image < images))
    return replace(gt, maps=gt.maps[:images], meaning=meaning)


def evaluate_run(run: Path, parts: Mapping[str, LabelMaps], *, device: str | None = None) -> None:
    """Score what is not scored yet of the networks that a run has kept so far.

    Args:
        run: its folder.
        parts: ground truth of the images, by the name of the part of the data set.
        device: to predict on.

    Raises:
        CheckpointError: a network cannot be read.
        InputError: the file of scores or an image cannot be read.
    """
    path = run / EVALUATION
    lines = whole_lines(path)
    for step, network in kept_networks(run):
        sha256 = fingerprint(network)
        for part, gt in parts.items():
            about = {"step": step, "split": part, "images": len(gt.maps), "weights_sha256": sha256}
            if any(about.items() <= line.items() for line in lines):
                continue
            scores = scores_of(network, gt, network / f"predictions-{part}", made_by=sha256, device=device)
            same = ("step", "split")
            lines = [line for line in lines if any(line[key] != about[key] for key in same)] + [about | scores]
            write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))


def scores_of(network: Path, gt: LabelMaps, work: Path, *, made_by: str, device: str | None) -> dict[str, Any]:
    """Predict and score some images; fractions, None where a score is undefined.

    Args:
        network: folder of it.
        gt: ground truth of the images.
        work: folder for the predictions: an interrupted call goes on there, and it is removed at the end.
        made_by: fingerprint of the network.
        device: to predict on.
    """
    predict_all(network, gt, work, device=device, made_by=made_by)
    report = score(count(work, gt))
    shutil.rmtree(work)
    largest = report.size_percentiles[-1]
    found = {column: report.scores[name][part] for column, (name, part) in SCORES.items()}
    found |= {LARGEST: largest["AP_box"]}
    return {name: None if np.isnan(value) else value for name, value in found.items()}


def main(arguments: list[str] | None = None) -> None:
    """Score the kept networks of all runs."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    with ending_at_faults("evaluation"):
        folders = {"validation": (options.validation, 1), "training": (options.training, 2)}
        parts = {
            part: first_maps(ground_truth(folder, split=part), max(1, options.images // share))
            for part, (folder, share) in folders.items()
            if folder is not None
        }
        if not parts:
            raise InputError("there is nothing to score on; expected --validation or --training")
        for run in options.runs:
            if not run.is_dir():
                raise InputError(f"{run}: does not exist; expected the folder of a run of model.train")
            evaluate_run(run, parts, device=options.device)


if __name__ == "__main__":
    main()
