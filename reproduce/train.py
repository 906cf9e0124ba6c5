"""Trains the variants of Table 1 on the embedded data set, and ships what they learned.

    python -m reproduce.train

Each run is `python -m model.train streets`, with the same steps and samples for all. If it is killed, run the same
command again: it continues. Writes results/streets/checkpoints/VARIANT/seedN/, in 8 bits, and training.csv.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import tyro
from tqdm import tqdm

from model.checkpoint_files import CATEGORIES, CONFIG, WEIGHTS, fingerprint
from model.data.index import cached_index
from model.train import METRICS, loss_names
from panoptic_eval.datasets import ground_truth
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.csv import write_rows
from panoptic_eval.provenance import commit
from reproduce.options import embedded, ending_at_faults
from reproduce.provenance import write_provenance
from reproduce.systems import CHECKPOINTS, PAIRS, TABLE
from reproduce.variants import BY_NAME, VARIANTS

IMAGES = 1000
"""Number of training images."""
MAX_BYTES = 5 * 2**19
"""Largest size of a checkpoint that is shipped."""
ORIGIN = "origin.json"
"""File in a run's folder that says with which code and on what hardware it began."""
LAST = 100
"""Number of steps over which final losses are averaged."""


@dataclass(frozen=True)
class Run:
    """One variant, trained from one seed."""

    variant: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return f"{self.variant}/seed{self.seed}"


PLAN = tuple(
    Run(variant.name, seed)
    for seed in range(max(v.seeds for v in VARIANTS))
    for variant in VARIANTS
    if seed < variant.seeds
)
"""All runs, the most wanted first: every variant once, then second and third seeds."""


@dataclass(frozen=True)
class Options:
    """Train the variants of Table 1 on the embedded data set."""

    variants: tuple[str, ...] = ()
    """Names of the variants to train. Default: all."""
    seeds: tuple[int, ...] = ()
    """Seeds to train from. Default: all that the plan has."""
    side_by_side: int = os.cpu_count() or 1
    """Number of runs at the same time. Default: one per core. A GPU has room for all of them."""
    data: Path | None = None
    """Folder of the data set. Default: the embedded data set, which is drawn."""
    runs: Path = Path("runs/streets/training")
    """Folder for the training states and metrics.jsonl of each run."""
    checkpoints: Path = CHECKPOINTS
    """Folder for the networks."""
    table: Path = TABLE
    """CSV file that gets a row for each finished run."""


def shipped(checkpoints: Path) -> tuple[Run, ...]:
    """List the runs of the plan whose network lies in a folder, or whose pair table lies beside it."""
    pairs = checkpoints.parent / PAIRS.name
    return tuple(
        run for run in PLAN if (checkpoints / run.name / WEIGHTS).is_file() or (pairs / f"{run.name}.npz").is_file()
    )


def train(run: Run, data: Path, options: Options) -> None:
    """Carry out one run to its end, and ship its network.

    Raises:
        subprocess.CalledProcessError: the run failed; it has printed why.
        ValueError: the network is too large to be shipped.
    """
    folder = options.runs / run.name
    if not (folder / ORIGIN).is_file():
        write_provenance(
            folder / ORIGIN,
            {"commit": commit() or "unknown", "torch": torch.__version__, "hardware": hardware(options)},
        )
    settings = ["--data", str(data), "--out", str(folder), "--seed", str(run.seed), "--bits", "8"]
    quiet = ["--quiet"] if options.side_by_side > 1 else []
    command = ["model.train", "streets", "--arm", run.variant, *settings, *quiet]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads(options))}
    subprocess.run([sys.executable, "-m", *command], check=True, env=environment)
    size = (folder / WEIGHTS).stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{folder / WEIGHTS}: has {size} bytes; expected {MAX_BYTES} at most, to be shipped")
    target = options.checkpoints / run.name
    target.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, CATEGORIES, WEIGHTS):
        write_atomically(target / name, (folder / name).read_bytes())


def threads(options: Options) -> int:
    """Return the number of CPU threads per run."""
    return max(1, (os.cpu_count() or 1) // options.side_by_side)


def hardware(options: Options) -> str:
    """Name the hardware of a run."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{threads(options)} of {os.cpu_count()} cores, {models[0] if models else platform.processor()}"


def row(run: Run, options: Options) -> dict[str, Any]:
    """Compute a run's row of training.csv.

    `seconds` are spent in steps; `instances` in a batch and positive `coarsest_anchors` (on the coarsest pyramid level)
    are means over all steps, losses over the last 100.
    """
    folder = options.runs / run.name
    steps = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    return {
        "variant": run.variant,
        "seed": run.seed,
        "steps": len(steps),
        "samples": steps[-1]["images"],
        "seconds": round(sum(step["seconds"] for step in steps)),
        "instances": round(fmean(step["instances"] for step in steps), 1),
        "coarsest_anchors": round(fmean(step["positive_anchors"][-1] for step in steps), 3),
        **{name: round(fmean(step[name] for step in steps[-LAST:]), 4) for name in loss_names(steps[-1])},
        **json.loads((folder / ORIGIN).read_text()),
        "weights_sha256": fingerprint(options.checkpoints / run.name),
    }


def record(run: Run, options: Options) -> None:
    """Write the row of a finished run to training.csv, and keep those of the other runs that are shipped."""
    rows: dict[Run, dict[str, Any]] = {}
    if options.table.is_file():
        with options.table.open(newline="") as file:
            rows = {Run(r["variant"], int(r["seed"])): r for r in csv.DictReader(file)}
    rows[run] = row(run, options)
    write_rows([rows[other] for other in shipped(options.checkpoints) if other in rows], options.table)


def main() -> None:
    """Carry out what is left of the plan."""
    options = tyro.cli(Options, description=__doc__)
    seeds, variants = options.seeds or range(len(PLAN)), options.variants or BY_NAME
    plan = [run for run in PLAN if run.seed in seeds and run.variant in variants]
    if not plan:
        last = max(run.seed for run in PLAN)
        sys.exit(f"train: the plan has no such run; its variants are {', '.join(BY_NAME)}, its seeds 0 to {last}")
    with ending_at_faults("train"):
        data = options.data or embedded("training", IMAGES)
        cached_index(ground_truth(data, split="training"), progress=True)  # or runs side by side would all make it
        with ThreadPoolExecutor(options.side_by_side) as pool, tqdm(total=len(plan), unit="run") as bar:
            for run, _ in zip(plan, pool.map(lambda run: train(run, data, options), plan), strict=True):
                bar.set_postfix_str(f"{run.name} is done")
                bar.update()
                record(run, options)


if __name__ == "__main__":
    main()
