"""What each system of Table 1 costs: an image of 12 megapixels, and of the small networks a step and an image.

    python -m benchmarks.systems                                       # on one core
    python -m benchmarks.systems --parts full --systems efficientps    # a part of it

Seconds are those of the processor, on one thread: other work on the machine changes them little. Rows of
results/benchmarks/systems.csv that are measured again are replaced, the others stay. `python -m reproduce.systems_page`
shows them.

Full networks are untrained, and would see nothing in the image: between network and map, what they say is replaced by a
drawn scene. Small ones are those that are shipped, on images of the data set that they learned from.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro

from benchmarks.drawn_scene import say_the_scene
from benchmarks.environment import require
from benchmarks.model import samples, stepper
from model.checkpoint import load_network
from model.checkpoint_files import WEIGHTS
from model.families import build_network
from model.predict import coco_result, photographs_of, predict_image, read_image
from model.presets import configure, method_named
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import ground_truth
from panoptic_eval.outputs.csv import write_rows
from panoptic_eval.provenance import commit
from reproduce.embedded import EMBEDDED
from reproduce.provenance import processor
from reproduce.systems_page import COSTS, SMALL, Cost
from streets.dataset import write_dataset

SYSTEMS = ("crop", "seamless", "tascnet", "adaptis", "deeplab-x71", "efficientps", "deeplab-hr48")
"""Variants, each in the way in which Table 1 has its network: ours on crops, Seamless on whole images."""
SIZE = (3000, 4000)
Part = Literal["full", "steps", "images"]


@dataclass(frozen=True)
class Options:
    """Measure what systems cost."""

    parts: tuple[Part, ...] = ("full", "steps", "images")
    """full: the networks of the preset mvd. steps, images: those of the preset streets-2."""
    systems: tuple[str, ...] = SYSTEMS
    """Names of variants."""
    rounds: int = 3
    """Turns in which each step and each image is measured, after one that is not; the least counts."""
    out: Path = COSTS
    """CSV file whose rows are replaced."""
    one: str | None = None
    """Measure the full network of one system, and print JSON: this command runs itself so, for a peak of its own."""


def full(systems: Sequence[str]) -> Iterator[Cost]:
    """Measure one image with each network of the preset mvd, in a process of its own."""
    for name in systems:
        command = [sys.executable, "-m", "benchmarks.systems", "--one", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        for quantity, value in json.loads(done.stdout).items():
            yield Cost(name, quantity, value)


def one_image(name: str) -> dict[str, float]:
    """Predict one image with the full network of a system: processor seconds, and gibibytes at the peak."""
    catalogue = Catalogue(tuple(Category(i, str(i), i < 37) for i in range(65)))
    config = configure("mvd", method_named(name))
    network = build_network(config, catalogue.isthing.tolist(), torch.Generator().manual_seed(0)).eval()
    height = config.sample.shortest
    frame = (height, round(height * SIZE[1] / SIZE[0]))
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, *frame), np.uint8))
    with torch.inference_mode():
        began = time.process_time()
        (prediction,) = network.predict(image)
        predicted = time.process_time()
        prediction = say_the_scene(network, prediction, frame)
        drawn = time.process_time()
        fused = network.fuse(prediction, frame, SIZE)
        results = [coco_result(instance, catalogue, SIZE) for instance in fused.instances]
        ended = time.process_time()
    assert results
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # kilobytes
    del fused, results, prediction
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        restarted = time.process_time()
        network.predict(image)
        half = time.process_time() - restarted
    return {"network, s": predicted - began, "half, s": half, "map, s": ended - drawn, "peak, GiB": peak}


def steps(systems: Sequence[str], rounds: int) -> Iterator[Cost]:
    """Measure a training step of each small network, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_dataset(root, seed=0, counts={"training": 24}, version=EMBEDDED.version, workers=1)
        catalogue = ground_truth(root, split="training").catalogue
        contenders = {}
        for name in systems:
            size = configure(SMALL, method_named(name)).schedule.batch
            batch = next(samples(root, name, SMALL).batches([range(size)]))
            contenders[name] = partial(stepper(name, catalogue, torch.device("cpu"), SMALL), batch)
        for name, seconds in least(contenders, rounds).items():
            yield Cost(name, "step, s", seconds)


def images(systems: Sequence[str], rounds: int) -> Iterator[Cost]:
    """Measure the prediction of an image with each small network that is shipped, in turns: the mean of four images."""
    folders = {name: EMBEDDED.checkpoints / name / "seed0" for name in systems}
    shipped = {name: folder for name, folder in folders.items() if (folder / WEIGHTS).is_file()}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_dataset(root, seed=0, counts={"validation": 4}, version=EMBEDDED.version, workers=1)
        photographs = photographs_of(ground_truth(root, split="validation"))
        contenders = {}
        for name, folder in shipped.items():
            network, catalogue = load_network(folder)
            read = [read_image(p.path, network.config.sample.shortest) for p in photographs]
            for k, (image, size) in enumerate(read):
                contenders[name, k] = partial(predict_image, network, catalogue, image, size, semantic=False)
        seconds = least(contenders, rounds)
        for name in shipped:
            yield Cost(name, "image, s", sum(seconds[name, k] for k in range(len(photographs))) / len(photographs))


def least(contenders: Mapping[Any, Callable[[], object]], rounds: int) -> dict[Any, float]:
    """Return the least processor seconds of each contender; they take turns, and the first one warms up."""
    taken: dict[Any, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            began = time.process_time()
            run()
            if turn:
                taken[name].append(time.process_time() - began)
    return {name: min(values) for name, values in taken.items()}


def record(found: Sequence[Cost], path: Path) -> None:
    """Write costs, in place of those of the same names and quantities that a file has."""
    rows: dict[tuple[str, str], dict[str, str | float]] = {}
    if path.is_file():
        with path.open(newline="") as file:
            rows = {(row["name"], row["quantity"]): dict(row) for row in csv.DictReader(file)}
    about = {"commit": commit() or "unknown", "torch": torch.__version__, "processor": processor()}
    for cost in found:
        rows[cost.name, cost.quantity] = {
            "name": cost.name, "quantity": cost.quantity, "value": f"{cost.value:.3g}", **about
        }  # fmt: skip
    write_rows(list(rows.values()), path)


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options, description=__doc__)
    torch.set_num_threads(1)
    if options.one is not None:
        print(json.dumps(one_image(options.one)))
        return
    require()
    measured: dict[Part, Callable[[], Iterator[Cost]]] = {
        "full": partial(full, options.systems),
        "steps": partial(steps, options.systems, options.rounds),
        "images": partial(images, options.systems, options.rounds),
    }
    for part in options.parts:
        for cost in measured[part]():
            print(f"{cost.name:24}{cost.quantity:12}{cost.value:8.2f}", flush=True)
            record([cost], options.out)


if __name__ == "__main__":
    main()
