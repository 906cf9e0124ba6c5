"""How the cost of a whole run grows: with images, with threads, and with segments in an image.

    python -m benchmarks.scaling            # an hour

Each number is a process of `panoptic-eval score` from its start to its end. Many images are links to the same files.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image

from benchmarks.peers import ROOT, drawn
from panoptic_eval.files import write_atomically


@dataclass(frozen=True)
class Options:
    """Measure how the cost grows."""

    images: tuple[int, ...] = (100, 1000, 10_000, 100_000)
    """Numbers of images of 640 x 480 pixels."""
    threads: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Numbers of threads, for 1,000 of these images."""
    segments: tuple[int, ...] = (100, 1000, 10_000, 60_000)
    """Numbers of segments in each of 4 images of 2048 x 1024 pixels."""
    rounds: int = 3
    """Number of measurements of each; the page has their median."""
    folder: Path = ROOT / "runs/benchmarks"
    """Folder of the data."""
    out: Path = ROOT / "results/benchmarks/scaling.md"
    """File of the page."""


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    small = drawn("small", 1.0, 1000, options.folder)
    rows: list[tuple[str, int, int, list[float]]] = []

    def measure(what: str, n: int, images: int, data: Path, workers: int | None = None) -> None:
        seconds = [whole_process(data, workers) for _ in range(options.rounds)]
        rows.append((what, n, images, seconds))
        print(what, n, seconds, file=sys.stderr)

    for n in options.images:
        data = linked(small, n, options.folder / f"scaling-{n}-images")
        measure("images", n, n, data)
        shutil.rmtree(data)
    for n in options.threads:
        measure("threads", n, 1000, small, workers=n)
    for n in options.segments:
        measure("segments in an image", n, 4, tiled(n, options.folder / f"scaling-{n}-segments"))
    write_atomically(options.out, markdown(rows))
    print(markdown(rows))


def whole_process(data: Path, workers: int | None) -> float:
    """Seconds of a process that scores, from start to end."""
    command = [sys.executable, "-m", "panoptic_eval.cli", "score", "--quiet", "--resamples", "0"]
    command += ["--pred", str(data / "pred"), "--gt", str(data / "gt.json")]
    command += [] if workers is None else ["--workers", str(workers)]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return time.perf_counter() - start


def linked(data: Path, n: int, out: Path) -> Path:
    """Return a data set of n images that are those of another one, again and again."""
    contents = [json.loads((data / name).read_text()) for name in ("gt.json", "pred/panoptic.json")]
    for content, folder in zip(contents, ("gt", "pred/panoptic"), strict=True):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for key in ("images", "annotations"):
            content[key] = list(again(content[key], n, "id" if key == "images" else "image_id"))
        for k, annotation in enumerate(content["annotations"]):
            file, annotation["file_name"] = annotation["file_name"], f"{k:06d}.png"
            (out / folder / annotation["file_name"]).unlink(missing_ok=True)
            os.link(data / folder / file, out / folder / annotation["file_name"])
    (out / "gt.json").write_text(json.dumps(contents[0]))
    (out / "pred/panoptic.json").write_text(json.dumps(contents[1]))
    return out


def again(entries: Sequence[dict[str, Any]], n: int, id_: str) -> Iterable[dict[str, Any]]:
    return ({**entries[k % len(entries)], id_: k} for k in range(n))


def tiled(n: int, out: Path) -> Path:
    """Four images of n square segments each, that the prediction shifts by a pixel."""
    side = max(1, int((1024 * 2048 / n) ** 0.5))
    y, x = np.mgrid[:1024, :2048] // side
    ids = (1 + (y * (x.max() + 1) + x) % n).astype(np.uint32)
    categories = [{"id": c, "name": f"category {c}", "isthing": 1} for c in range(1, 11)]
    for labels, folder, name in ((ids, "gt", "gt.json"), (np.roll(ids, 1, 1), "pred/panoptic", "pred/panoptic.json")):
        (out / folder).mkdir(parents=True, exist_ok=True)
        segments = [{"id": i, "category_id": 1 + i % 10} for i in np.unique(labels).tolist()]
        colors = np.stack([labels & 255, labels >> 8 & 255, labels >> 16], -1).astype(np.uint8)
        for k in range(4):
            Image.fromarray(colors).save(out / folder / f"{k}.png")
        annotations = [{"image_id": k, "file_name": f"{k}.png", "segments_info": segments} for k in range(4)]
        images = [{"id": k, "file_name": f"{k}.jpg", "height": 1024, "width": 2048} for k in range(4)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (out / name).write_text(json.dumps(content))
    return out


def markdown(rows: Sequence[tuple[str, int, int, list[float]]]) -> str:
    lines = [
        "# How the cost of a whole run grows",
        "",
        "Seconds of a process of `panoptic-eval score` from its start to its end, median (least to most).",
        f"Command: python -m benchmarks.scaling; {os.cpu_count()} processors.",
        "",
        "| what grows | to | seconds | milliseconds an image |",
        "| --- | ---: | --- | ---: |",
    ]
    for what, n, images, seconds in rows:
        middle = statistics.median(seconds)
        spread = f"{middle:.2f} ({min(seconds):.2f}–{max(seconds):.2f})"
        lines.append(f"| {what} | {n:,} | {spread} | {1000 * middle / images:.2f} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
