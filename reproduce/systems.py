"""What tables and figures compare: predictions of shipped checkpoints, and of other systems, counted once.

Predictions are written below runs/, to a folder named by the checkpoint's hash. A second run uses them again, and an
interrupted one continues. What loads torch is imported where it is first needed, after the options are read.
"""

from __future__ import annotations

import csv
import hashlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from model.checkpoint_files import WEIGHTS, fingerprint
from panoptic_eval.counting import count
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import rescore, store
from panoptic_eval.labels import LabelMaps
from panoptic_eval.pairs import stored
from panoptic_eval.pairs.table import PairTable, take
from panoptic_eval.run_folder import RunFolder
from panoptic_eval.score import Tables
from reproduce.embedded import PAIRS, TABLE
from reproduce.options import Comparison, ground_truth
from reproduce.provenance import provenance
from reproduce.variants import VARIANTS

CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Checkpoint:
    """A trained network of a variant."""

    variant: str
    """Name of the variant."""
    seed: int | None
    """Seed it was trained from; None where a variant has one folder only."""
    folder: Path

    @property
    def label(self) -> str:
        """Name that no other network has: VARIANT, or VARIANT/seedN."""
        return self.variant if self.seed is None else f"{self.variant}/seed{self.seed}"


@dataclass(frozen=True)
class System:
    """The predictions of one system, counted."""

    name: str
    """Name of the variant, or of the folder of predictions."""
    seed: int | None
    checkpoint: Path | None
    weights_sha256: str | None
    predictions: Path
    tables: Tables

    @property
    def label(self) -> str:
        """Name that no other system has: VARIANT, or VARIANT/seedN."""
        return self.name if self.seed is None else f"{self.name}/seed{self.seed}"


def images(options: Comparison) -> LabelMaps:
    """Find the images that systems are compared on; those of the embedded data set are drawn.

    Raises:
        InputError: there is no such data set.
    """
    data = options.embedded
    return ground_truth(options, images=None if data is None or options.full else data.compared)


def checkpoints(options: Comparison) -> list[Checkpoint]:
    """List the checkpoints to predict with, in the order of the variants; only first seeds unless `full`."""
    root = options.shipped.checkpoints if options.shipped else options.checkpoints
    if root is None:
        return []
    listed: list[Checkpoint] = []
    for variant in VARIANTS:
        folder = root / variant.name
        if (folder / WEIGHTS).is_file():
            listed.append(Checkpoint(variant.name, None, folder))
        seeds = sorted((int(p.name.removeprefix("seed")), p) for p in folder.glob("seed[0-9]*"))
        trained = [Checkpoint(variant.name, seed, p) for seed, p in seeds if (p / WEIGHTS).is_file()]
        listed += trained if options.full else trained[:1]
    return listed


def systems(options: Comparison, gt: LabelMaps) -> list[System]:
    """Predict what is not predicted yet, and count the pixels of all predictions.

    Raises:
        InputError: there is nothing to compare, or predictions cannot be counted.
        CheckpointError: a checkpoint cannot be read.
    """
    if options.stored:
        return stored_systems(options, gt)
    trained = checkpoints(options)
    if not trained and not options.predictions:
        raise InputError(
            f"there is nothing to compare on {gt.source}; "
            f"expected --checkpoints with VARIANT/{WEIGHTS}, or --predictions"
        )
    at_a_time = min(options.side_by_side or (CORES if options.embedded else 1), len(trained))
    counted_systems = []
    with ExitStack() as stack:
        walk = stack.enter_context(processes(at_a_time))
        ours = walk(partial(predicted, options, gt), trained)
        others = (
            System(p.name, None, None, None, p, counted(_fused(options, gt, p), gt, None)) for p in options.predictions
        )
        total = len(trained) + len(options.predictions)
        bar = stack.enter_context(tqdm(total=total, unit="system", desc="predict and count"))
        for system in chain(ours, others):
            counted_systems.append(system)
            bar.set_postfix_str(f"{system.label} is done")
            bar.update()
    if options.shipped:
        counted_systems += later_seeds(counted_systems, options.shipped.results)
    order = {variant.name: k for k, variant in enumerate(VARIANTS)}
    return sorted(counted_systems, key=lambda s: (order.get(s.name, len(order)), s.seed or 0))


@contextmanager
def processes(at_a_time: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give a `map` over so many processes, each with its share of the cores; of one, that of this process."""
    if at_a_time <= 1:
        yield map
        return
    threads = max(1, CORES // at_a_time)
    with ProcessPoolExecutor(at_a_time, get_context("spawn"), _prepare, (threads,)) as pool:
        yield pool.map


def stored_systems(options: Comparison, gt: LabelMaps) -> list[System]:
    """Load the shipped pair tables of the first images, of all seeds.

    Raises:
        InputError: none are there, one is of other images, or something else is to be compared, too.
    """
    if options.shipped is None or options.predictions:
        raise InputError(
            "--stored: reads the shipped pair tables alone; expected the embedded data set, no --checkpoints and no "
            "--predictions"
        )
    found = shipped_tables(options.shipped.results)
    if not found:
        raise InputError(f"{options.shipped.pairs}: holds no pair table; expected those of the shipped checkpoints")
    ids = [m.image_id for m in gt.maps]
    if others := [s.predictions for s in found if list(s.tables.panoptic.image_id[: len(ids)]) != ids]:
        wanted = f"does not begin with the {len(ids)} images of {gt.source}"
        raise InputError([f"{path}: {wanted}; expected what python -m reproduce.pair_tables makes" for path in others])
    return [replace(s, tables=first_images(s.tables, len(ids))) for s in found]


def first_images(tables: Tables, images: int) -> Tables:
    """Select the first images of a system's panoptic maps."""
    return Tables(take(tables.panoptic, np.arange(min(images, len(tables.panoptic)))))


def same_images(found: Sequence[System]) -> list[System]:
    """Cut systems to the first images that all of them have."""
    images = min((len(system.tables.panoptic) for system in found), default=0)
    return [replace(system, tables=first_images(system.tables, images)) for system in found]


def later_seeds(counted_systems: Sequence[System], results: Path) -> list[System]:
    """Load the shipped pair tables of seeds that were not predicted, as most networks are not shipped.

    Args:
        counted_systems: what was counted already, on the same images.
        results: folder of the results.

    Raises:
        InputError: a table does not begin with these images.
    """
    gt = gt_digests(counted_systems[0].tables.panoptic)
    labels = {system.label for system in counted_systems}
    loaded = [
        replace(system, tables=first_images(system.tables, len(gt)))
        for system in shipped_tables(results)
        if system.label not in labels
    ]
    for system in loaded:
        if gt_digests(system.tables.panoptic) != gt:
            raise InputError(
                f"{system.predictions}: is of other images, or of fewer; expected those that were drawn, as "
                "python -m reproduce.pair_tables makes it"
            )
    return loaded


def gt_digests(table: PairTable) -> list[str]:
    """Return the SHA-256 of each image's label PNG."""
    return [digest.split("-")[0] for digest in table.digest]


def gt_sha256(table: PairTable) -> str:
    """Return one SHA-256 of all label PNGs."""
    return hashlib.sha256(" ".join(gt_digests(table)).encode()).hexdigest()


def shipped_tables(results: Path) -> list[System]:
    """Load the systems whose pair tables are shipped, in the order of the variants."""
    trained: dict[tuple[str, int], str] = {}
    if (results / TABLE).is_file():
        with (results / TABLE).open(newline="") as file:
            trained = {(r["variant"], int(r["seed"])): r["weights_sha256"] for r in csv.DictReader(file)}
    loaded = []
    for variant in VARIANTS:
        for path in sorted((results / PAIRS / variant.name).glob("seed*.npz")):
            seed = int(path.stem.removeprefix("seed"))
            tables = Tables(**stored.load(path))
            loaded.append(System(variant.name, seed, None, trained.get((variant.name, seed)), path, tables))
    return loaded


def _prepare(threads: int) -> None:
    """Prepare a process: it ends at once when interrupted, as predictions on the disk are used again."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(threads)


def predicted(options: Comparison, gt: LabelMaps, checkpoint: Checkpoint, scale: float = 1.0) -> System:
    """Predict with one checkpoint what is not predicted yet, and count it.

    Args:
        options: of the command.
        gt: the images.
        checkpoint: whose predictions are wanted.
        scale: factor on the network's resolution.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        InputError: predictions cannot be counted.
    """
    sha256 = fingerprint(checkpoint.folder)
    name = sha256[:12] if scale == 1 else f"{sha256[:12]}-scale{scale:g}"
    folder = options.folder / f"{Path(options.gt).name}-{len(gt.maps)}" / checkpoint.variant / name
    predict_all(checkpoint.folder, gt, folder / "predictions", device=options.device, made_by=sha256, scale=scale)
    tables = counted(folder / "predictions", gt, folder / "report")
    return System(checkpoint.variant, checkpoint.seed, checkpoint.folder, sha256, folder / "predictions", tables)


def _fused(options: Comparison, gt: LabelMaps, predictions: Path) -> Path:
    """Return a folder that can be counted: raw predictions of the Seamless code become one, any other is one."""
    if not any(predictions.rglob("*.pth.tar")):
        return predictions
    from reproduce.seamseg import fuse_raw

    digest = hashlib.sha256(str(predictions.resolve()).encode()).hexdigest()[:12]
    out = options.folder / f"{Path(options.gt).name}-{len(gt.maps)}" / predictions.name / digest
    fuse_raw(predictions, gt, out)
    return out


def predict_all(
    checkpoint: Path, gt: LabelMaps, out: Path, *, device: str | None, made_by: str, scale: float = 1.0
) -> None:
    """Do what `python -m model.predict` does, for the images of a ground truth."""
    from model.checkpoint import load_network
    from model.distributed import joined
    from model.predict import photographs_of, predict

    images = photographs_of(gt)
    with joined(device) as ranks:
        network, catalogue = load_network(checkpoint)
        network.to(ranks.device)
        predict(network, catalogue, images, out, made_by=made_by, ranks=ranks, scale=scale, progress=False)


def counted(predictions: Path, gt: LabelMaps, out: Path | None) -> Tables:
    """Count a folder of predictions; store the pair tables and the report if `out` is given."""
    if out is None:
        return count(predictions, gt)
    with RunFolder(out) as folder:
        tables = count(predictions, gt, out=folder)
        store(rescore(tables), tables, folder)
    return tables


def about(options: Comparison, gt: LabelMaps, compared: Sequence[System]) -> dict[str, Any]:
    """Describe what a result is made of: code, images, checkpoints, predictions."""
    record = provenance(
        seed=0,
        data={"gt": gt.source, "images": len(gt.maps), "gt_sha256": gt_sha256(compared[0].tables.panoptic)},
        config={"full": options.full},
    )
    weights = {s.label: s.weights_sha256 for s in compared if s.weights_sha256}
    others = [str(s.predictions) for s in compared if not s.weights_sha256]
    return record | {"checkpoints": weights, "predictions": others}
