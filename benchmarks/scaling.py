"""How the cost of a whole run grows: with images, with threads, and with segments in an image.

    python -m benchmarks.scaling --parts images       # five minutes on two cores
    python -m benchmarks.scaling --parts threads segments

Each number is a process of `panoptic-eval score` from its start to its end. Many images are links to the same files.
What was measured before of other parts stays on the page.
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
from typing import Any, Literal

import numpy as np
import orjson
import tyro
from PIL import Image

from benchmarks.environment import ROOT, require
from benchmarks.peers import code_and_machine, drawn, without_caches_off
from panoptic_eval.files import write_atomically

Part = Literal["images", "threads", "segments"]
TITLES: dict[Part, str] = {
    "images": "Images of 640 x 480 pixels",
    "threads": "Threads, for 1,000 of these images",
    "segments": "Segments in each of 4 images of 2048 x 1024 pixels",
}


@dataclass(frozen=True)
class Options:
    """Measure how the cost grows."""

    parts: tuple[Part, ...] = ("images", "threads", "segments")
    """What to measure."""
    images: tuple[int, ...] = (100, 1000, 10_000, 100_000)
    """Numbers of images."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of threads."""
    segments: tuple[int, ...] = (100, 1000, 10_000, 60_000)
    """Numbers of segments in an image."""
    rounds: int = 3
    """Number of measurements of each; the page has their median."""
    folder: Path = ROOT / "runs/benchmarks"
    """Folder of the data."""
    out: Path = ROOT / "results/benchmarks"
    """Folder of the page and its numbers, scaling.md and scaling.json."""


@dataclass(frozen=True)
class Row:
    """Processes of one size."""

    n: int
    wall: list[float]
    """Seconds from start to end."""
    processor: list[float]
    """Seconds of all threads."""


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    require()
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "scaling.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for part in options.parts:
        rows = measured(part, options)
        about = {**code_and_machine("benchmarks.scaling"), "rounds": options.rounds}
        results[part] = {"about": about, "rows": [vars(row) for row in rows]}
        write_atomically(kept, json.dumps(results, indent=1))
        text = markdown(results)
        write_atomically(options.out / "scaling.md", text)
    print(text)


def measured(part: Part, options: Options) -> list[Row]:
    """Measure processes of each size."""
    small = drawn("small", 1.0, 1000, options.folder)
    whole_process(small, None)  # uncounted: byte code, and the files in memory
    rows = []
    for n in getattr(options, part):
        data, workers = small, None
        if part == "images":
            data = linked(small, n, options.folder / "scaling-images")
        elif part == "threads":
            workers = n
        else:
            data = tiled(n, options.folder / "scaling-segments")
        runs = [whole_process(data, workers) for _ in range(options.rounds)]
        rows.append(Row(n, [wall for wall, _ in runs], [processor for _, processor in runs]))
        print(part, rows[-1], file=sys.stderr)
        if data != small:
            shutil.rmtree(data)
    return rows


def whole_process(data: Path, workers: int | None) -> tuple[float, float]:
    """Seconds of a process that scores, from start to end, and of the processor."""
    command = [sys.executable, "-m", "panoptic_eval.cli", "score", "--quiet", "--resamples", "0"]
    command += ["--pred", str(data / "pred"), "--gt", str(data / "gt.json")]
    command += [] if workers is None else ["--workers", str(workers)]
    environment = without_caches_off({**os.environ, "PYTHONPATH": str(ROOT)})
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used


def linked(data: Path, n: int, out: Path) -> Path:
    """Return a data set of n images that are those of another one, again and again."""
    contents = [orjson.loads((data / name).read_bytes()) for name in ("gt.json", "pred/panoptic.json")]
    shutil.rmtree(out, ignore_errors=True)
    for content, folder in zip(contents, ("gt", "pred/panoptic"), strict=True):
        (out / folder).mkdir(parents=True)
        for key in ("images", "annotations"):
            content[key] = list(again(content[key], n, "id" if key == "images" else "image_id"))
        for k, annotation in enumerate(content["annotations"]):
            file, annotation["file_name"] = annotation["file_name"], f"{k:06d}.png"
            os.link(data / folder / file, out / folder / annotation["file_name"])
    (out / "gt.json").write_bytes(orjson.dumps(contents[0]))
    (out / "pred/panoptic.json").write_bytes(orjson.dumps(contents[1]))
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


def line(n: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return a and b of the line a + b n whose relative errors have the least squares.

    >>> line([1, 2, 10], [5.0, 7.0, 23.0])
    (3.0, 2.0)
    """
    weights = 1 / np.asarray(seconds)
    columns = np.stack([weights, weights * np.asarray(n)], 1)
    a, b = np.linalg.lstsq(columns, np.ones(len(n)), rcond=None)[0].round(12).tolist()
    return a, b


def markdown(results: dict[str, Any]) -> str:
    """Write the page."""
    lines = [
        "# How the cost of a whole run grows",
        "",
        "Seconds of a process of `panoptic-eval score` from its start to its end, without intervals: medians (least to",
        "most). The line has the least squares of relative errors; off it: how far the measured seconds are from it.",
    ]
    for part, title in TITLES.items():
        if part not in results:
            continue
        rows = [Row(**row) for row in results[part]["rows"]]
        n, wall = [row.n for row in rows], [statistics.median(row.wall) for row in rows]
        straight = part != "threads" and len(rows) > 2
        lines += ["", f"## {title}", ""]
        if straight:
            a, b = line(n, wall)
            lines += [f"The line: {a:.3g} s, and {1e6 * b:.3g} µs for each.", ""]
        lines += [
            f"| {part} | seconds | processor seconds |{' off the line |' if straight else ''}",
            f"| ---: | --- | ---: |{' ---: |' if straight else ''}",
        ]
        for row, seconds in zip(rows, wall, strict=True):
            spread = f"{seconds:.3g} ({min(row.wall):.3g}–{max(row.wall):.3g})"
            off = f" {100 * (seconds / (a + b * row.n) - 1):+.1f} % |" if straight else ""
            lines.append(f"| {row.n:,} | {spread} | {statistics.median(row.processor):.3g} |{off}")
        lines += ["", *(f"- {key}: {value}" for key, value in results[part]["about"].items())]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
