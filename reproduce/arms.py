"""Trains the arms of Table 1 on the embedded data set, one run after the other, and ships what they learned.

    python -m reproduce.arms

Each run is `python -m model.train streets`, with the same steps and samples for all; killed at any moment, the same
command goes on. Goes into results/streets: checkpoints/ARM/seedN/ in half precision, and training.csv.
"""

from __future__ import annotations

import csv
import hashlib
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

from model.checkpoint import CATEGORIES, CONFIG, WEIGHTS
from model.config import VARIANTS
from model.data.index import cached_index
from model.train import METRICS, loss_names
from panoptic_eval.datasets import ground_truth
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.csv import write_rows
from reproduce.provenance import commit, write_provenance
from streets.dataset import write_dataset

DATA = Path("runs/streets/data")
RUNS = Path("runs/streets/training")
CHECKPOINTS = Path("results/streets/checkpoints")
TABLE = Path("results/streets/training.csv")
CROP_ARMS = ("crop", "crop+cabb", "crop+isus", "crop+cabb+isus")
PAPER = ("full", *CROP_ARMS)
CLIPPED = ("crop+clipped", "crop+cabb+isus+clipped")
SEAMLESS = ("seamless", "seamless+crop", "seamless+cabb+isus")
MAX_BYTES = 4 * 2**20
"""Of a checkpoint that is shipped."""
ORIGIN = "origin.json"
"""Of a run's folder: what code, and on what hardware, began it."""
LAST = 100
"""Steps over which final losses are averaged."""


@dataclass(frozen=True)
class Run:
    """One arm, trained from one seed."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.arm}/seed{self.seed}"


PLAN = (
    *(Run(arm, 0) for arm in (*PAPER, *CLIPPED, *SEAMLESS)),
    *(Run(arm, seed) for seed in (1, 2) for arm in CROP_ARMS),
)
"""All runs, the most wanted first."""


@dataclass(frozen=True)
class Options:
    """Train the arms of Table 1 on the embedded data set."""

    arms: tuple[str, ...] = ()
    """Only these."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Only these."""
    side_by_side: int = os.cpu_count() or 1
    """Runs at a time. By default one a core: a step of so small a network gains nothing from a second core. A GPU has
    room for all of them."""
    data: Path = DATA
    """The data set, drawn if it is not there."""
    runs: Path = RUNS
    """Gets training states and metrics.jsonl of each run."""
    checkpoints: Path = CHECKPOINTS
    """Gets the networks."""
    table: Path = TABLE
    """Gets a row a finished run."""


def shipped(checkpoints: Path) -> tuple[Run, ...]:
    """The runs of the plan whose network lies in a folder."""
    return tuple(run for run in PLAN if (checkpoints / run.name / WEIGHTS).is_file())


def train(run: Run, options: Options) -> None:
    """Carries out one run to its end, and ships its network.

    Raises:
        subprocess.CalledProcessError: it failed; it has said why.
        ValueError: the network is larger than what can be shipped.
    """
    folder = options.runs / run.name
    if not (folder / ORIGIN).is_file():
        write_provenance(
            folder / ORIGIN, {"commit": commit(), "torch": torch.__version__, "hardware": hardware(options)}
        )
    settings = ["--arm", run.arm, "--data", str(options.data), "--out", str(folder), "--seed", str(run.seed), "--half"]
    quiet = ["--quiet"] if options.side_by_side > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads(options))}
    subprocess.run([sys.executable, "-m", "model.train", "streets", *settings, *quiet], check=True, env=environment)
    size = (folder / WEIGHTS).stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{folder / WEIGHTS}: has {size} bytes; expected {MAX_BYTES} at most, to be shipped")
    target = options.checkpoints / run.name
    target.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, CATEGORIES, WEIGHTS):
        write_atomically(target / name, (folder / name).read_bytes())


def threads(options: Options) -> int:
    """Of each run."""
    return max(1, (os.cpu_count() or 1) // options.side_by_side)


def hardware(options: Options) -> str:
    """What a run is carried out on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    models = [line.partition(": ")[2] for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{threads(options)} of {os.cpu_count()} cores, {models[0] if models else platform.processor()}"


def row(run: Run, options: Options) -> dict[str, Any]:
    """Of training.csv: seconds are those of the steps alone; instances in a batch, and positive anchors of the coarsest
    pyramid level, are means over all steps, losses over the last ones."""
    folder = options.runs / run.name
    steps = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    return {
        "arm": run.arm,
        "seed": run.seed,
        "steps": len(steps),
        "samples": steps[-1]["images"],
        "seconds": round(sum(step["seconds"] for step in steps)),
        "instances": round(fmean(step["instances"] for step in steps), 1),
        "coarsest_anchors": round(fmean(step["positive_anchors"][-1] for step in steps), 3),
        **{name: round(fmean(step[name] for step in steps[-LAST:]), 4) for name in loss_names(steps[-1])},
        **json.loads((folder / ORIGIN).read_text()),
        "weights_sha256": hashlib.sha256((options.checkpoints / run.name / WEIGHTS).read_bytes()).hexdigest(),
    }


def record(run: Run, options: Options) -> None:
    """Puts the row of a finished run into training.csv; rows of the other runs whose networks are shipped stay."""
    rows: dict[Run, dict[str, Any]] = {}
    if options.table.is_file():
        with options.table.open(newline="") as file:
            rows = {Run(r["arm"], int(r["seed"])): r for r in csv.DictReader(file)}
    rows[run] = row(run, options)
    write_rows([rows[other] for other in shipped(options.checkpoints) if other in rows], options.table)


def main() -> None:
    """Carry out what is left of the plan."""
    options = tyro.cli(Options, description=__doc__)
    plan = [run for run in PLAN if run.seed in options.seeds and (not options.arms or run.arm in options.arms)]
    if not plan:
        raise SystemExit(f"arms: no run of the plan is left; its arms are {', '.join(VARIANTS)}, its seeds 0, 1, 2")
    write_dataset(options.data, seed=0, counts={"training": 1000, "validation": 500, "testing": 500}, progress=True)
    cached_index(ground_truth(options.data, split="training"), progress=True)  # or runs side by side would all make it
    with ThreadPoolExecutor(options.side_by_side) as pool, tqdm(total=len(plan), unit="run") as bar:
        for run, _ in zip(plan, pool.map(lambda run: train(run, options), plan), strict=True):
            bar.set_postfix_str(f"{run.name} is done")
            bar.update()
            record(run, options)


if __name__ == "__main__":
    main()
