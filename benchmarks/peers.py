"""Ours beside the tools that people use, on the same files: seconds, ratios, memory, and whether the scores agree.

    bash benchmarks/peers.sh                # makes both environments, half an hour on two idle cores
    python -m benchmarks.peers --data mvd   # a part of it; what was measured before of other parts stays on the page

Every measurement is two fresh processes: one is timed from start to end, the other warms up first. In each round all
tools take their turn, in an order drawn anew, so that what else the machine does meets all of them. Ratios are taken
within a round. Before the rounds each tool runs once uncounted, which leaves its byte code behind, as any first run of
an installation does. Data is drawn when it is missing.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tyro

from benchmarks import contenders, data
from benchmarks.environment import ROOT, require
from panoptic_eval.files import write_atomically

PEERS = ROOT / "runs/benchmarks/peers/bin/python"
PACKAGES = {
    "panopticapi": "panopticapi-lite",
    "cityscapesScripts": "cityscapesScripts",
    "hotcoco": "hotcoco",
    "vernier": "vernier",
    "torchmetrics": "torchmetrics",
    "pycocotools": "pycocotools",
    "faster-coco-eval": "faster-coco-eval",
    "Pillow, decoding only": "pillow",
    "panopticapi + pycocotools": "panopticapi-lite",
}
DATA = {
    "mvd": ("mvd", 1.0, None),
    "mvd, 8 images": ("mvd", 1.0, 8),
    "mvd, 100 images": ("mvd", 1.0, 100),
    "mvd, rough": ("mvd", 8.0, None),
    "mvd, large": ("mvd-large", 1.0, None),
    "cityscapes": ("cityscapes", 1.0, None),
    "small": ("small", 1.0, None),
    "small, 1,000 images": ("small", 1.0, 1000),
}
"""Preset, strength of the noise along edges, and number of images, if other than the preset's."""
WORK = (contenders.PQ, contenders.AP, contenders.EVERYTHING, contenders.ONE_THREAD)
Results = dict[tuple[str, str], dict[str, Any]]
"""Of each data set and kind of work, what was measured on what: `about`, and `rounds`."""


@dataclass(frozen=True)
class Options:
    """Measure ours and every peer that is installed."""

    data: tuple[str, ...] = tuple(DATA)
    """Names of the data sets to measure on, as in DATA."""
    work: tuple[str, ...] = WORK
    """Kinds of work to measure."""
    tools: tuple[str, ...] = ()
    """Names of the tools to measure beside ours. Default: all that are installed."""
    images: int | None = None
    """Number of images of each data set. Default: as DATA says."""
    rounds: int = 7
    """Number of turns that each tool takes."""
    seed: int = 0
    """Random seed of the order of turns."""
    folder: Path = ROOT / "runs/benchmarks"
    """Folder of the data."""
    out: Path = ROOT / "results/benchmarks"
    """Folder of the page and its numbers, peers.md and peers.json."""


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    require()
    installed = peer_versions()
    rng = random.Random(options.seed)
    tiny = drawn("tiny", 1.0, None, options.folder)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "peers.json"
    results: Results = read(kept) if kept.exists() else {}
    for name in options.data:
        preset, rough, images = DATA[name]
        folder = drawn(preset, rough, options.images or images, options.folder)
        for work in options.work:
            tools = [t for t, w in contenders.CONTENDERS if w == work and (t == "ours" or PACKAGES[t] in installed)]
            tools = [t for t in tools if t == "ours" or not options.tools or t in options.tools]
            if len(tools) > 1:
                for tool in tools:
                    measure(tool, work, tiny, tiny)
                rounds = [
                    turn(tools, work, folder, tiny, rng, f"{name}: {work}, {k + 1}") for k in range(options.rounds)
                ]
                results[name, work] = {"about": provenance(installed, options), "rounds": rounds}
        results = {key: results[key] for key in ((d, w) for d in DATA for w in WORK) if key in results}
        entries = [{"data": name, "work": work, **result} for (name, work), result in results.items()]
        write_atomically(kept, json.dumps(entries, indent=1))
        text = markdown(results)
        write_atomically(options.out / "peers.md", text)
    print(text)


def read(path: Path) -> Results:
    """Read what was measured before."""
    entries = json.loads(path.read_text())
    return {(e.pop("data"), e.pop("work")): e for e in entries}


def drawn(preset: str, rough: float, images: int | None, folder: Path) -> Path:
    """Return the folder of a data set, drawn if it is not there."""
    target = folder / f"{preset}-rough{rough:g}-{images or 'all'}"
    if not (target / "detections.json").exists():  # written last
        print(f"drawing {target}", file=sys.stderr)
        wanted = data.PRESETS[preset]
        data.write(wanted if images is None else replace(wanted, images=images), target, rough=rough)
    return target


def turn(tools: Sequence[str], work: str, folder: Path, tiny: Path, rng: random.Random, title: str) -> dict[str, Any]:
    """One measurement of each tool, in any order."""
    results = {}
    for tool in rng.sample(tools, len(tools)):
        print(f"{title}: {tool}", file=sys.stderr)
        results[tool] = measure(tool, work, folder, tiny)
    return {tool: results[tool] for tool in tools}


def measure(tool: str, work: str, folder: Path, tiny: Path) -> dict[str, Any]:
    python = sys.executable if tool == "ours" else PEERS
    workers = 1 if work == contenders.ONE_THREAD else os.cpu_count() or 1
    environment = without_caches_off(os.environ)
    environment |= {"BENCHMARK_WORKERS": str(workers), "RAYON_NUM_THREADS": str(workers)}
    if tool == "ours":
        environment["PYTHONPATH"] = str(ROOT)
    command = [python, ROOT / "benchmarks/contenders.py", tool, work, folder]

    def run(*more: Path) -> tuple[dict[str, Any], float]:
        start = time.perf_counter()
        done = subprocess.run([*command, *more], env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{tool} failed at {work} of {folder}:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1]), seconds

    _, whole = run()
    return {**run(tiny)[0], "whole": whole}


def without_caches_off(environment: Mapping[str, str]) -> dict[str, str]:
    """Let Python keep byte code: else ours alone, which runs from a checkout, would be compiled in each process."""
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


def peer_versions() -> dict[str, str]:
    """Packages of the peers' environment."""
    if not PEERS.exists():
        raise SystemExit(f"{PEERS} is not there; make it with: bash benchmarks/setup.sh")
    listing = subprocess.run(
        [PEERS, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {p["name"]: p["version"] for p in json.loads(listing.stdout)}


def provenance(installed: dict[str, str], options: Options) -> dict[str, Any]:
    return {
        **code_and_machine("benchmarks.peers"),
        "peers": {name: installed[name] for name in sorted({*PACKAGES.values(), "numpy"}) if name in installed},
        "rounds": options.rounds,
        "seed": options.seed,
    }


def code_and_machine(module: str) -> dict[str, Any]:
    """What was measured, on what: commit, command, time, processors, versions.

    Args:
        module: that was run.
    """
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "-uno", "panoptic_eval"], capture_output=True, check=False)
    cpu = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
    ours = ("numpy", "pillow")
    return {
        "commit": commit + (" and uncommitted changes" if changed.stdout.strip() else ""),
        "command": " ".join([f"python -m {module}", *sys.argv[1:]]),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": f"{os.cpu_count()} x {cpu[0].partition(': ')[2] if cpu else platform.machine()}",
        "python": platform.python_version(),
        "ours": {name: version(name) for name in ours},
    }


def markdown(results: Results) -> str:
    """Write the page."""
    lines = [
        "# Speed and memory beside other tools",
        "",
        "Whole: seconds of a process from its start to its end. Warm: seconds of the work alone, in a process that has",
        "done it on a tiny data set before. Medians of the rounds (least to most); x ours: the tool's seconds by ours",
        "in the same round. Peak: resident memory of the main process. Start: from the process's start to warmth.",
        "AP: matching and accumulation of masks and boxes, ours from the pair table, the others' from run lengths.",
        "Everything: PQ and both APs from files on disk, ours with PQ†, PC, mIoU and size percentiles besides.",
        "",
        "| data | work | tool | whole | x ours | warm | x ours | processor s | peak MiB | start s | scores |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (name, work), result in results.items():
        rounds = result["rounds"]
        for tool in rounds[0]:
            runs = [r[tool] for r in rounds]
            ratio = {
                kind: spread([r[tool][kind] / r["ours"][kind] for r in rounds], 3) if tool != "ours" else ""
                for kind in ("whole", "seconds")
            }
            cells = [
                name,
                work,
                tool,
                spread([r["whole"] for r in runs], 3),
                ratio["whole"],
                spread([r["seconds"] for r in runs], 3),
                ratio["seconds"],
                f"{statistics.median(r['cpu'] for r in runs):.3g}",
                f"{statistics.median(r['peak_mib'] for r in runs):.0f}",
                f"{statistics.median(r['ready'] for r in runs):.2f}",
                agreement(runs[0]["scores"], rounds[0]["ours"]["scores"])
                if tool != "ours"
                else shown(runs[0]["scores"]),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    runs_of: dict[str, list[str]] = {}  # parts that were measured by one command
    for (name, work), result in results.items():
        about = "\n".join(f"- {key}: {value}" for key, value in result["about"].items() if key != "time")
        runs_of.setdefault(about, []).append(f"{name}: {work} ({result['about']['time']})")
    for about, parts in runs_of.items():
        lines += ["", "; ".join(parts), "", about]
    return "\n".join([*lines, ""])


def spread(values: Sequence[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}g} ({min(values):.{digits}g}–{max(values):.{digits}g})"


def shown(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {100 * value:.2f}" for name, value in scores.items())


def agreement(scores: dict[str, float], ours: dict[str, float]) -> str:
    """Largest difference of the scores that both give; those that only the tool gives are shown."""
    common = [name for name in scores if name in ours]
    if not common:
        return shown(scores)
    return f"differ by {max(abs(scores[name] - ours[name]) for name in common):.0e}"


if __name__ == "__main__":
    main()
