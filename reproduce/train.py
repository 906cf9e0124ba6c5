"""Trains the variants of Table 1 on the embedded data set, and ships what they learned.

    python -m reproduce.train

Each run is `python -m model.train PRESET`, with the same steps and samples for all; where there are GPUs, the runs
take turns on all of them. While one trains, `python -m reproduce.evaluation` scores the networks that it keeps, on the
same few images each time. If it is killed, run the same command again: it continues. Writes
checkpoints/VARIANT/seedN/, in 8 bits, and training.csv to results/PRESET.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from statistics import fmean
from typing import Any

import torch
import tyro
from tqdm import tqdm

from model.checkpoint_files import CATEGORIES, CONFIG, WEIGHTS, fingerprint
from model.data.index import cached_index
from model.presets import configure
from model.train import METRICS, loss_names
from panoptic_eval.datasets import ground_truth
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.csv import write_rows
from panoptic_eval.provenance import commit
from reproduce.embedded import CHECKPOINTS, EMBEDDED, PAIRS, TABLE
from reproduce.evaluation import IMAGES as EVALUATION_IMAGES
from reproduce.follow import POLL, follow
from reproduce.options import ending_at_faults
from reproduce.provenance import processor, write_provenance
from reproduce.variants import BY_NAME, PLAN, VARIANTS, Run

TRAINING_IMAGES = {EMBEDDED.preset: EMBEDDED.training, "streets-large": 1000}
"""Number of training images of the embedded data set, by preset."""
EVALUATIONS = 4
"""Number of times that a run is scored, once after half of its steps, and the last time at its end."""
MAX_BYTES = 5 * 2**19
"""Largest size of a checkpoint that is shipped."""
ORIGIN = "origin.json"
"""File in a run's folder that says with which code and on what hardware it began."""
LAST = 100
"""Number of steps over which final losses are averaged."""


REGISTERED = tuple(variant.name for variant in VARIANTS if variant.registered)
"""Variants that are trained unless others are named."""


@dataclass(frozen=True)
class Options:
    """Train the variants of Table 1 on the embedded data set."""

    variants: tuple[str, ...] = ()
    """Names of the variants to train. Default: those that are registered."""
    seeds: tuple[int, ...] = ()
    """Seeds to train from. Default: all that the plan has."""
    preset: str = EMBEDDED.preset
    """Preset of the networks: streets-2, or streets-large for a GPU; others need --data."""
    side_by_side: int = os.cpu_count() or 1
    """Number of runs at the same time, on all GPUs in turn, else on cores. Default: one per core."""
    data: Path | None = None
    """Folder of the data set. Default: the embedded data set, which is drawn."""
    validation: Path | None = None
    """Folder of the data set whose validation images are scored on the way. Default: that of --data."""
    images: int = EVALUATION_IMAGES
    """Number of validation images that are scored on the way; of training images half as many are."""
    runs: Path | None = None
    """Folder for the training states and metrics.jsonl of each run. Default: runs/PRESET/training."""
    out: Path | None = None
    """Folder for the networks and training.csv, which gets a row for each finished run. Default: results/PRESET."""

    @property
    def results(self) -> Path:
        """Return the folder for the networks and training.csv."""
        return self.out or Path("results") / self.preset

    def folder(self, run: Run) -> Path:
        """Return the folder of a run."""
        return (self.runs or Path("runs") / self.preset / "training") / run.name


def shipped(results: Path) -> tuple[Run, ...]:
    """List the runs of the plan whose network or whose pair table lies in a folder of results."""
    return tuple(
        run
        for run in PLAN
        if (results / CHECKPOINTS / run.name / WEIGHTS).is_file() or (results / PAIRS / f"{run.name}.npz").is_file()
    )


def train(run: Run, options: Options, parts: Mapping[str, Path], device: str) -> None:
    """Carry out one run to its end, and score the networks that it keeps.

    Args:
        run: to be carried out.
        options: of the command.
        parts: folder of the data set, by the name of its part: training, and validation.
        device: of the run.

    Raises:
        subprocess.CalledProcessError: the run failed; it has printed why.
    """
    folder = options.folder(run)
    if not (folder / ORIGIN).is_file():
        write_provenance(
            folder / ORIGIN,
            {"commit": commit() or "unknown", "torch": torch.__version__, "hardware": hardware(options)},
        )
    every = -(-planned_steps(run, options) // EVALUATIONS)
    settings = ["--out", str(folder), "--seed", str(run.seed), "--bits", "8", "--keep-every", str(every)]
    training = ["--data", str(parts["training"]), "--arm", run.variant, *settings, "--device", device]
    scored = [argument for part, data in parts.items() for argument in (f"--{part}", str(data))]
    follow(
        folder,
        [sys.executable, "-m", "model.train", options.preset, *training, "--quiet"],
        [sys.executable, "-m", "reproduce.evaluation", str(folder), *scored, "--images", str(options.images),
         "--device", device],
        {**os.environ, "OMP_NUM_THREADS": str(threads(options))},
    )  # fmt: skip


def ship(run: Run, options: Options) -> None:
    """Copy the network of a finished run to the results, and write its row of training.csv.

    Raises:
        ValueError: the network is too large to be shipped.
    """
    folder = options.folder(run)
    size = (folder / WEIGHTS).stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{folder / WEIGHTS}: has {size} bytes; expected {MAX_BYTES} at most, to be shipped")
    target = options.results / CHECKPOINTS / run.name
    target.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, CATEGORIES, WEIGHTS):
        write_atomically(target / name, (folder / name).read_bytes())
    record(run, options)


def planned_steps(run: Run, options: Options) -> int:
    """Return the number of steps of a run."""
    return configure(options.preset, BY_NAME[run.variant].method).schedule.steps


def steps_done(run: Run, options: Options) -> int:
    """Return the number of steps that a run has logged so far."""
    path = options.folder(run) / METRICS
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**14))
        lines = file.read().split(b"\n")
    return int(json.loads(lines[-2])["step"]) if len(lines) > 1 else 0


def devices(options: Options, gpus: int) -> list[str]:
    """Return the device of each of the runs that are carried out at the same time.

    >>> devices(Options(side_by_side=3), 2), devices(Options(side_by_side=2), 0)
    (['cuda:0', 'cuda:1', 'cuda:0'], ['cpu', 'cpu'])
    """
    return [f"cuda:{k % gpus}" if gpus else "cpu" for k in range(options.side_by_side)]


def threads(options: Options) -> int:
    """Return the number of CPU threads per run."""
    return max(1, (os.cpu_count() or 1) // options.side_by_side)


def hardware(options: Options) -> str:
    """Name the hardware of a run."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{threads(options)} of {os.cpu_count()} cores, {processor()}"


def row(run: Run, options: Options) -> dict[str, Any]:
    """Compute a run's row of training.csv.

    `seconds` are spent in steps; `instances` in a batch and positive `coarsest_anchors` (on the coarsest pyramid level;
    empty of a network without anchors) are means over all steps, losses over the last 100.
    """
    folder = options.folder(run)
    steps = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    anchors = [step["positive_anchors"][-1] for step in steps if "positive_anchors" in step]
    return {
        "variant": run.variant,
        "seed": run.seed,
        "steps": len(steps),
        "samples": steps[-1]["images"],
        "seconds": round(sum(step["seconds"] for step in steps)),
        "instances": round(fmean(step["instances"] for step in steps), 1),
        "coarsest_anchors": round(fmean(anchors), 3) if anchors else "",
        **{name: round(fmean(step[name] for step in steps[-LAST:]), 4) for name in loss_names(steps[-1])},
        **json.loads((folder / ORIGIN).read_text()),
        "weights_sha256": fingerprint(options.results / CHECKPOINTS / run.name),
    }


def record(run: Run, options: Options) -> None:
    """Write the row of a finished run to training.csv, and keep those of the other runs that are shipped."""
    rows: dict[Run, dict[str, Any]] = {}
    table = options.results / TABLE
    if table.is_file():
        with table.open(newline="") as file:
            rows = {Run(r["variant"], int(r["seed"])): r for r in csv.DictReader(file)}
    rows[run] = row(run, options)
    kept = [rows[other] for other in shipped(options.results) if other in rows]
    columns = dict.fromkeys(name for one in kept for name in one)  # networks of different kinds have different losses
    write_rows([{name: one.get(name, "") for name in columns} for one in kept], table)


def main() -> None:
    """Carry out what is left of the plan."""
    options = tyro.cli(Options, description=__doc__)
    seeds, variants = options.seeds or range(len(PLAN)), options.variants or REGISTERED
    plan = [run for run in PLAN if run.seed in seeds and run.variant in variants]
    if not plan:
        last = max(run.seed for run in PLAN)
        sys.exit(f"train: the plan has no such run; its variants are {', '.join(BY_NAME)}, its seeds 0 to {last}")
    if options.data is None and options.preset not in TRAINING_IMAGES:
        sys.exit(
            f"train: no data set is drawn for the preset {options.preset}; expected --data, or one of "
            f"{', '.join(TRAINING_IMAGES)}"
        )
    with ending_at_faults("train"):
        carry_out(plan, options, parts_of(options))


def parts_of(options: Options) -> dict[str, Path]:
    """Return the folders of the training and the validation images; those of the embedded data set are drawn."""
    if options.data is not None:
        return {"training": options.data, "validation": options.validation or options.data}
    validation = options.validation or EMBEDDED.draw("validation", options.images)
    return {"training": EMBEDDED.draw("training", TRAINING_IMAGES[options.preset]), "validation": validation}


def carry_out(plan: Sequence[Run], options: Options, parts: Mapping[str, Path]) -> None:
    """Carry out runs, as many at a time as is asked for.

    The bar says how many steps of all runs are done, and how much time is left.

    Raises:
        subprocess.CalledProcessError: a run failed; those that have begun are finished first, the others are left.
        ValueError: a network is too large to be shipped.
    """
    cached_index(ground_truth(parts["training"], split="training"), progress=True)  # or each run would make it
    free: SimpleQueue[str] = SimpleQueue()
    for device in devices(options, torch.cuda.device_count()):
        free.put(device)

    def one(run: Run) -> None:
        device = free.get()
        try:
            train(run, options, parts, device)
        finally:
            free.put(device)

    done = sum(steps_done(run, options) for run in plan)
    total = sum(planned_steps(run, options) for run in plan)
    with ThreadPoolExecutor(options.side_by_side) as pool, tqdm(total=total, initial=done, unit="step") as bar:
        left = {pool.submit(one, run): run for run in plan}
        try:
            while left:
                finished, _ = wait(left, POLL, FIRST_COMPLETED)
                for future in finished:
                    run = left.pop(future)
                    future.result()
                    ship(run, options)
                    bar.set_postfix_str(f"{run.name} is done")
                bar.update(sum(steps_done(run, options) for run in plan) - bar.n)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


if __name__ == "__main__":
    main()
