"""What the tables and figures compare: predictions of shipped checkpoints, and of others' systems, counted once.

Predictions go to runs/, in a folder that is named by the checkpoint's hash: what is there already is kept, and what was
interrupted goes on.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

from model.checkpoint import WEIGHTS, load_network
from model.config import VARIANTS
from model.distributed import joined
from model.predict import Photograph, fingerprint, predict
from panoptic_eval import datasets
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import count, rescore, store
from panoptic_eval.labels import LabelMaps
from panoptic_eval.run_folder import RunFolder
from panoptic_eval.score import Tables
from reproduce.arms import CHECKPOINTS
from reproduce.provenance import provenance
from streets.dataset import write_dataset

IMAGES, ALL_IMAGES = 200, 500
"""Of the embedded validation split: by default, and with --full."""
RUNS = Path("runs/reproduce")
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Source:
    """What is compared, and on which images."""

    gt: str = "streets"
    """streets (the embedded data set), mvd, idd, cityscapes, coco, or the path of a ground truth."""
    root: Path | None = None
    """Where the data sets are; $PANOPTIC_DATA if not given."""
    split: str | None = None
    """Of the data set; validation if not given."""
    gt_version: Literal["1.2", "2.0"] | None = None
    """Of Mapillary Vistas."""
    full: bool = False
    """All seeds, and all 500 validation images of the embedded data set; else the first seed, and 200."""
    checkpoints: Path | None = None
    """Holds ARM/ or ARM/seedN/, as model.train writes them; of the embedded data set, by default those shipped."""
    predictions: tuple[Path, ...] = ()
    """Directories of predictions of any other system, on the same images."""
    folder: Path = RUNS
    """Gets predictions and pair tables."""
    device: str | None = None
    """cpu, cuda; the GPU if there is one."""
    side_by_side: int | None = None
    """Checkpoints at a time. By default one a core on the embedded data set, where an image of so small a network gains
    little from a second core, and one on all others."""


@dataclass(frozen=True)
class Entry:
    """One system's predictions, counted."""

    name: str
    """The arm, or the name of the folder of predictions."""
    seed: int | None
    checkpoint: Path | None
    weights_sha256: str | None
    predictions: Path
    tables: Tables

    @property
    def label(self) -> str:
        """Tells it from all others: ARM, or ARM/seedN."""
        return self.name if self.seed is None else f"{self.name}/seed{self.seed}"


def ground_truth(source: Source) -> LabelMaps:
    """The images that systems are compared on; those of the embedded data set are drawn.

    Raises:
        InputError: there is no such data set.
    """
    if source.gt != "streets":
        return datasets.ground_truth(source.gt, root=source.root, split=source.split, version=source.gt_version)
    images = ALL_IMAGES if source.full else IMAGES
    root = Path("runs/streets") / f"validation-{images}"
    write_dataset(root, seed=0, counts={"validation": images}, progress=True)
    return datasets.ground_truth(root)


def found_checkpoints(source: Source) -> list[tuple[str, int | None, Path]]:
    """Arm, seed and folder of each checkpoint, in the order of the arms; only first seeds unless `full`."""
    root = source.checkpoints or (CHECKPOINTS if source.gt == "streets" else None)
    if root is None:
        return []
    found: list[tuple[str, int | None, Path]] = []
    for arm in VARIANTS:
        if (root / arm / WEIGHTS).is_file():
            found.append((arm, None, root / arm))
        seeds = sorted((int(p.name.removeprefix("seed")), p) for p in (root / arm).glob("seed[0-9]*"))
        found += [(arm, seed, p) for seed, p in seeds[: None if source.full else 1] if (p / WEIGHTS).is_file()]
    return found


def entries(source: Source, gt: LabelMaps) -> list[Entry]:
    """Predicts what is not predicted yet, and counts all of it.

    Raises:
        InputError: nothing to compare, or predictions that cannot be counted.
        CheckpointError: a checkpoint that cannot be read.
    """
    checkpoints = found_checkpoints(source)
    if not checkpoints and not source.predictions:
        raise InputError(
            f"there is nothing to compare on {gt.source}; expected --checkpoints with ARM/{WEIGHTS}, or --predictions"
        )
    at_a_time = min(source.side_by_side or (CORES if source.gt == "streets" else 1), len(checkpoints))
    done = []
    try:
        with ExitStack() as stack:
            walk: Callable[..., Iterator[Entry]] = map
            if at_a_time > 1:
                pool = ProcessPoolExecutor(at_a_time, get_context("spawn"), _prepare, (max(1, CORES // at_a_time),))
                walk = stack.enter_context(pool).map
            predicted = walk(partial(_predicted, source, gt), checkpoints)
            given = (Entry(p.name, None, None, None, p, counted(p, gt, None)) for p in source.predictions)
            total = len(checkpoints) + len(source.predictions)
            bar = stack.enter_context(tqdm(total=total, unit="system", desc="predict and count"))
            for entry in chain(predicted, given):
                done.append(entry)
                bar.set_postfix_str(f"{entry.label} is done")
                bar.update()
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on where it stopped")
    return done


def _prepare(threads: int) -> None:
    """A process of those side by side: ends at once when interrupted, as what is predicted is kept."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(threads)


def _predicted(source: Source, gt: LabelMaps, found: tuple[str, int | None, Path]) -> Entry:
    """One checkpoint's predictions, made where they are missing, and counted."""
    arm, seed, checkpoint = found
    sha256 = fingerprint(checkpoint)
    folder = source.folder / f"{Path(source.gt).name}-{len(gt.maps)}" / arm / sha256[:12]
    predict_all(checkpoint, gt, folder / "predictions", device=source.device, made_by=sha256)
    tables = counted(folder / "predictions", gt, folder / "report")
    return Entry(arm, seed, checkpoint, sha256, folder / "predictions", tables)


def predict_all(checkpoint: Path, gt: LabelMaps, out: Path, *, device: str | None, made_by: str) -> None:
    """What `python -m model.predict` does, for images of a ground truth that is at hand."""
    without = [m.image_id for m in gt.maps if m.photograph is None]
    if without:
        raise InputError(f"{gt.source}: does not say where image {without[0]} is; expected a folder of images")
    images = [Photograph(m.image_id, m.photograph) for m in gt.maps if m.photograph is not None]
    with joined(device) as ranks:
        network, catalogue = load_network(checkpoint)
        predict(network.to(ranks.device), catalogue, images, out, made_by=made_by, ranks=ranks, progress=False)


def counted(predictions: Path, gt: LabelMaps, out: Path | None) -> Tables:
    """Pair tables of a directory of predictions, stored with their report if `out` is given."""
    if out is None:
        return count(predictions, gt)
    with RunFolder(out) as folder:
        tables = count(predictions, gt, out=folder)
        store(rescore(tables), tables, folder)
    return tables


def about(source: Source, gt: LabelMaps, found: Sequence[Entry]) -> dict[str, Any]:
    """Provenance of what is made of entries."""
    gt_digests = " ".join(digest.split("-")[0] for digest in found[0].tables.panoptic.digest)
    record = provenance(
        seed=0,
        data={"gt": gt.source, "images": len(gt.maps), "gt_sha256": hashlib.sha256(gt_digests.encode()).hexdigest()},
        config={"full": source.full},
    )
    weights = {e.label: e.weights_sha256 for e in found if e.weights_sha256}
    return record | {"checkpoints": weights, "predictions": [str(e.predictions) for e in found if not e.weights_sha256]}
