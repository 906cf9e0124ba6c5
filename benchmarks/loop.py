"""A metric in a training loop beside those of other tools: milliseconds for a pair of maps in memory, and ratios.

    bash benchmarks/loop.sh                 # makes both environments, ten minutes

A pair of maps of 2 megapixels with some 60 segments a side is drawn once. In each round every tool takes its turn, in
an order drawn anew, in a fresh process of one thread; ratios are taken within a round. Processor time, not the clock's.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks import data
from benchmarks.environment import ROOT, require
from benchmarks.loop_contenders import CONTENDERS
from benchmarks.peers import PEERS, peer_versions, provenance
from panoptic_eval.files import write_atomically

PRESET = replace(data.PRESETS["cityscapes"], objects=(52, 52))
PACKAGES = {"vernier": "vernier", "panopticapi": "panopticapi-lite", "torchmetrics": "torchmetrics"}
SLOW = "torchmetrics"
"""Takes seconds for what others do in milliseconds: a single repeat in each round."""
STEPS = ("update", "compute", "both")
Run = Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """Measure ours and every peer that is installed."""

    tools: tuple[str, ...] = ()
    """Names of the tools to measure beside ours. Default: all that are installed."""
    rounds: int = 5
    """Number of turns that each tool takes."""
    repeats: int = 20
    """Number of times that a tool does the work in its turn; the median counts."""
    seed: int = 0
    """Random seed of the order of turns."""
    folder: Path = ROOT / "runs/benchmarks"
    """Folder of the data."""
    out: Path = ROOT / "results/benchmarks"
    """Folder of the page and its numbers, loop.md and loop.csv."""


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    require()
    installed = peer_versions()
    tools = [t for t in CONTENDERS if t.startswith("ours") or PACKAGES[t] in installed]
    tools = [t for t in tools if t.startswith("ours") or not options.tools or t in options.tools]
    pair = drawn(options.folder / "loop-pair.npz")
    rng = random.Random(options.seed)
    rounds: list[dict[str, Run]] = []
    for k in range(options.rounds):
        results = {}
        for tool in rng.sample(tools, len(tools)):
            print(f"round {k + 1}: {tool}", file=sys.stderr)
            results[tool] = measure(tool, pair, 1 if tool == SLOW else options.repeats)
        rounds.append({tool: results[tool] for tool in tools})
    about = {
        **provenance(installed, options),  # type: ignore[arg-type]
        "command": " ".join(["python -m benchmarks.loop", *sys.argv[1:]]),
        "peers": {
            name: installed[name] for name in sorted({*PACKAGES.values(), "numpy", "torch"}) if name in installed
        },
        "repeats": options.repeats,
    }
    write_atomically(options.out / "loop.csv", table(rounds).encode())
    write_atomically(options.out / "loop.md", markdown(rounds, about, described(pair)).encode())
    print(markdown(rounds, about, described(pair)))


def drawn(path: Path, preset: data.Preset = PRESET) -> Path:
    """Return the file of the pair, drawn if it is not there: ids from 1 on, so that bytes can hold them."""
    if path.exists():
        return path
    maps, segments = [], []
    for side in data.draw_pair(0, preset, 1.0, 0):
        ids, numbered = np.unique(np.append(side["ids"], 0), return_inverse=True)  # void is the first of them
        numbered = numbered[:-1].astype(np.uint8).reshape(side["ids"].shape)
        areas = np.bincount(numbered.reshape(-1), minlength=len(ids)).tolist()
        maps.append(numbered)
        listed = []
        for k, id_ in enumerate(ids.tolist()[1:], 1):
            about = side["meaning"][id_]
            score = {"score": about["score"]} if "score" in about else {}
            listed.append({"id": k, "category_id": about["category_id"], "area": areas[k], **score})
        segments.append(listed)
    names = range(1, preset.things + preset.stuff + 1)
    categories = [{"id": c, "name": f"category {c}", "isthing": int(c <= preset.things)} for c in names]
    meaning = {"categories": categories, "gt_segments": segments[0], "pred_segments": segments[1]}
    stored = io.BytesIO()
    np.savez_compressed(stored, gt=maps[0], pred=maps[1], meaning=json.dumps(meaning))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, stored.getvalue())
    return path


def described(path: Path) -> str:
    """Say what the pair is."""
    with np.load(path) as pair:
        height, width = pair["gt"].shape
        meaning = json.loads(pair["meaning"].item())
    gt, pred = len(meaning["gt_segments"]), len(meaning["pred_segments"])
    return f"{width} x {height} pixels, {gt} segments in the ground truth, {pred} in the prediction"


def measure(tool: str, pair: Path, repeats: int) -> Run:
    """Take the medians of a tool's repeats, in a process of its own, in milliseconds."""
    python = sys.executable if tool.startswith("ours") else PEERS
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    environment = {**os.environ, **one}
    if tool.startswith("ours"):
        environment["PYTHONPATH"] = str(ROOT)
    command = [python, ROOT / "benchmarks/loop_contenders.py", tool, pair, str(repeats)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool} failed:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    both = [a + b for a, b in zip(found["update"], found["compute"], strict=True)]
    times = {"update": found["update"], "compute": found["compute"], "both": both}
    return {"PQ": found["PQ"], **{step: 1000 * statistics.median(values) for step, values in times.items()}}


def table(rounds: Sequence[Mapping[str, Run]]) -> str:
    """Every turn as a row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["tool", "round", *(f"{step}_ms" for step in STEPS), "update_by_ours", "both_by_ours", "PQ"])
    for tool in rounds[0]:
        for k, results in enumerate(rounds, 1):
            run = results[tool]
            numbers = [run[step] for step in STEPS] + [ratio(results, tool, step) for step in ("update", "both")]
            writer.writerow([tool, k, *(f"{number:.4g}" for number in numbers), repr(run["PQ"])])
    return out.getvalue()


def ratio(results: Mapping[str, Run], tool: str, step: str) -> float:
    """Divide a tool's time by ours in the same round."""
    return results[tool][step] / results["ours"][step]


def markdown(rounds: Sequence[Mapping[str, Run]], about: Mapping[str, Any], pair: str) -> str:
    lines = [
        "# A metric in a training loop",
        "",
        f"One pair of maps in memory: {pair}. Processor time",
        "of one thread, milliseconds: medians of the rounds (least to most). Update is paid for each image, compute",
        "once an epoch. x ours: the tool's time by ours in the same round. Ours computes every score: PQ and its",
        "account, PQ†, PC, mIoU, mask and box AP, by size; others PQ alone. Ours is of int32 maps unless the row says",
        "otherwise. torchmetrics, and ours of category and instance, count void as a category of stuff: their PQ is",
        "another one.",
        "",
        "| tool | update ms | x ours | compute ms | both ms | x ours | PQ |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for tool in rounds[0]:
        times = {step: spread([results[tool][step] for results in rounds]) for step in STEPS}
        by_ours = {step: spread([ratio(results, tool, step) for results in rounds]) for step in ("update", "both")}
        if tool == "ours":
            by_ours = dict.fromkeys(by_ours, "")
        cells = [tool, times["update"], by_ours["update"], times["compute"], times["both"], by_ours["both"]]
        lines.append("| " + " | ".join([*cells, f"{rounds[0][tool]['PQ']:.6f}"]) + " |")
    lines += ["", *(f"- {key}: {value}" for key, value in about.items()), ""]
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}–{max(values):.3g})"


if __name__ == "__main__":
    main()
