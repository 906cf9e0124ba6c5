"""A PredictionWriter killed at random: what was finished stays, and the next writers end with the same files.

    python tests/robustness/killed_writer.py --count 300 --seed 0

Each process is killed just before one of the next files is opened, renamed, removed or cut. Some write a directory
anew; some add images to one that was closed, of which the old result must stay readable or be gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
from folders import contents

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.predictions import PredictionWriter

CATALOGUE = Catalogue((Category(1, "car", True), Category(2, "sky", False)))
LABELS = np.array([[1, 1, 7], [0, 7, 7]])
SEGMENTS = [{"id": 7, "category_id": 1, "score": 0.5}, {"id": 1, "category_id": 2}]
EVENTS = ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir")
IMAGES = 6


def write(folder: Path, images: int) -> None:
    """Write the images that are not written yet."""
    with PredictionWriter(folder, CATALOGUE) as writer:
        for image in range(images):
            if not writer.done(image):
                instance = {"category_id": 1, "score": 1 / (image + 2), "segmentation": LABELS == 7}
                writer.write(image, LABELS, SEGMENTS, instances=[instance], semantic=np.where(LABELS == 7, 1, 2))


def die_at(event: int, folder: str) -> None:
    """Kill this process just before something happens to a file of the folder for the n-th time."""
    left = event

    def count(name: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if name in EVENTS and arguments and folder in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def finished_images(folder: Path) -> set[int]:
    """Images that the records or else panoptic.json list, each with its PNGs."""
    records, json_ = folder / "records.jsonl", folder / "panoptic.json"
    if records.exists():
        _, *lines = records.read_bytes().splitlines(keepends=True) or [b""]
        images = {json.loads(line[9:])["annotation"]["image_id"] for line in lines if line.endswith(b"\n")}
    else:
        images = {a["image_id"] for a in json.loads(json_.read_text())["annotations"]} if json_.exists() else set()
    assert all((folder / kind / f"{image}.png").exists() for image in images for kind in ("panoptic", "semantic"))
    return images


def kills(folder: Path, count: int, seed: int) -> int:
    """Kill writers until as many were killed; return how many directories were finished on the way.

    Raises:
        AssertionError: a directory that was finished differs from one that was written undisturbed, or images that were
            finished are not there any more.
    """
    rng = random.Random(seed)
    write(folder / "whole", IMAGES)
    whole = contents(folder / "whole")
    killed = finished = 0
    while killed < count:
        out = folder / f"out{finished}"
        if rng.random() < 0.5:
            write(out, rng.randrange(1, IMAGES))
        kept = finished_images(out)
        code = None
        while code != 0:
            command = [sys.executable, __file__, "--event", str(rng.randrange(1, 60)), "--folder", str(out)]
            code = subprocess.run(command, check=False).returncode
            assert code in (0, -signal.SIGKILL)
            killed += code != 0
            now = finished_images(out)
            assert kept <= now, f"{kept - now} were lost"
            kept = now
        assert contents(out) == whole
        finished += 1
    return finished


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--event", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.event is not None:
        die_at(options.event, str(options.folder))
        write(options.folder, IMAGES)
        return
    with tempfile.TemporaryDirectory() as folder:
        finished = kills(Path(folder), options.count, options.seed)
    print(f"{options.count} kills, {finished} directories finished, all as if undisturbed")


if __name__ == "__main__":
    main()
