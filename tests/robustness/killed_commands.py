"""Commands killed at random: the old or the new result is there, and the same command then ends as if undisturbed.

    python tests/robustness/killed_commands.py --count 300 --seed 0

Tries `panoptic-eval score`, `rescore` in place and `merge` over an old result, `model.predict` and `model.train`. Each
runs in a forked process, which pays no imports. Half of the kills come after a random part of its time, half just
before one of its changes of files.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import folders
import numpy as np
import random_maps
import street_folders
import torch
import torch._dynamo  # optimizers do: once, before the forks
from tiny_training import CATALOGUE, config, network

from model import predict, train
from model.checkpoint import latest_state, load_network, save_network
from model.checkpoint_files import WEIGHTS
from model.config import to_json
from panoptic_eval import cli
from panoptic_eval.evaluation import load
from panoptic_eval.run_folder import RESULTS, RunFolder

EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
KILLS_IN_A_ROW = 3
Content = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command on tiny data."""

    main: Callable[[list[str]], None]
    arguments: tuple[str, ...]
    out: Path
    content: Callable[[Path], Content]
    """Reads all files of its folder; what differs between any two runs, such as the time, is left out."""
    check: Callable[[Path, Content, Content], None]
    """Raises AssertionError if a folder holds neither the old nor the new result, given both."""


def started(command: Command, changes: mmap.mmap, kill_at: int = 0) -> int:
    """Fork a process that does a command, counts its changes of files, and kills itself before one of them if told."""
    changes[:8] = bytes(8)
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["command", *command.arguments]  # a report states it

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if event not in EVENTS:
                return
            if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
                return
            path = "" if isinstance(arguments[0], int) else os.fsdecode(arguments[0])
            if path.startswith(str(command.out)) or not Path(path).is_absolute():  # those of rmtree are relative
                count = int.from_bytes(changes[:8], "little") + 1
                changes[:8] = count.to_bytes(8, "little")
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(audit)
        command.main([*command.arguments])
        os._exit(0)
    except SystemExit as end:
        print(end.code, file=sys.stderr)
        os._exit(0 if end.code in (0, None) else 1)
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)


def ended(child: int) -> bool:
    """Wait for a process; False if it was killed."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"the command failed with {code}"
    return code == 0


def kills(command: Command, count: int, rng: random.Random) -> int:
    """Kill a command so many times; return how many results were finished on the way.

    Raises:
        AssertionError: a kill left neither the old nor the new result, or a result that was finished differs from that
            of an undisturbed run.
    """
    changes = mmap.mmap(-1, 8)
    before = command.out.with_name("before")
    if command.out.exists():
        shutil.copytree(command.out, before)
    old = command.content(command.out)
    start = time.monotonic()
    assert ended(started(command, changes))
    seconds, events = time.monotonic() - start, int.from_bytes(changes[:8], "little")
    new = command.content(command.out)
    assert not any(name.startswith(".") for path in new for name in Path(path).parts), f"temporary files: {[*new]}"
    killed = finished = 0
    while killed < count:
        shutil.rmtree(command.out)
        if before.exists():
            shutil.copytree(before, command.out)
        for _ in range(min(rng.randint(1, KILLS_IN_A_ROW), count - killed)):
            if rng.random() < 0.5:
                child = started(command, changes, kill_at=rng.randint(1, events))
            else:
                child = started(command, changes)
                time.sleep(rng.uniform(0, seconds))
                os.kill(child, signal.SIGKILL)
            killed += not ended(child)
            command.check(command.out, old, new)
        assert ended(started(command, changes))
        result = command.content(command.out)
        assert [*result] == [*new], f"files differ: {sorted(set(result) ^ set(new))}"
        assert not (other := [name for name in new if result[name] != new[name]]), f"{other} differ"
        finished += 1
    return finished


def scored(folder: Path) -> Content:
    """Files of a run of panoptic-eval, without the time."""
    content = folders.contents(folder)
    if "report.json" in content:
        report = json.loads(content["report.json"])
        content["report.json"] = {**report, "provenance": {**report["provenance"], "time": None}}
    return content


def check_scored(folder: Path, old: Content, new: Content) -> None:
    """Tables are the old or the new ones and a report is of its tables; opened, all files are of one run."""
    now = scored(folder) if folder.exists() else {}
    assert now.get("tables.npz") in (old.get("tables.npz"), new["tables.npz"]), "the tables are neither old nor new"
    if "tables.npz" in now:
        load(folder)
    if "report.json" in now:
        assert any(all(now[n] == run.get(n) for n in ("report.json", "tables.npz")) for run in (old, new))
    if folder.exists():
        opened = folder.with_name("opened")
        shutil.copytree(folder, opened)
        with RunFolder(opened):
            pass
        now = scored(opened)
        shutil.rmtree(opened)
        results = {name: now[name] for name in RESULTS if name in now}
        if "report.json" in now:
            assert results in [{n: run[n] for n in RESULTS if n in run} for run in (old, new)], "files of two runs"


def check_predicted(folder: Path, old: Content, new: Content) -> None:
    """Every image that the JSON names has its PNGs, and all its detections."""
    if (folder / "panoptic.json").exists():
        images = {a["image_id"] for a in json.loads((folder / "panoptic.json").read_text())["annotations"]}
        detections = json.loads((folder / "instances.json").read_text())
        wanted = [one for one in json.loads(new["instances.json"]) if one["image_id"] in images]
        assert [one for one in detections if one["image_id"] in images] == wanted
        for png in (f"{kind}/{image}.png" for kind in ("panoptic", "semantic") for image in images):
            assert (folder / png).read_bytes() == new[png]


def trained(folder: Path) -> Content:
    """Files of a training run, without times."""
    content = folders.contents(folder)
    if "metrics.jsonl" in content:
        lines = map(json.loads, content["metrics.jsonl"].splitlines())
        content["metrics.jsonl"] = [{**line, "seconds": None, "waiting": None} for line in lines]
    return content


def check_trained(folder: Path, old: Content, new: Content) -> None:
    """The last training state is whole, and so is a network."""
    state = latest_state(folder)
    if state is not None:
        load_network(state)
        assert {p.name for p in state.iterdir()} >= {"momentum.safetensors", "state.json"}
    if (folder / WEIGHTS).exists():
        load_network(folder)


def commands(root: Path) -> dict[str, Command]:
    """Make tiny data, and the commands on them."""
    rng = np.random.default_rng(11)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=4)
    gt, pred = random_maps.write(root / "data", categories, images)
    worse = [replace(image, pred=np.roll(image.pred, 3, 1)) for image in images]
    _, other = random_maps.write(root / "other", categories, worse)
    thing = next(c.id for c in categories.categories if c.isthing)
    boxes = [{"image_id": i.image_id, "category_id": thing, "bbox": [0, 0, 5, 5], "score": 0.5} for i in images]
    for folder in (pred.parent, other.parent):
        folders.write_json(folder / "instances.json", boxes)
        for image in images:
            category = np.full(image.pred.shape, thing)
            folders.write_gray(folder / "semantic" / f"{image.image_id:03}.png", category, bits=8)

    def score(pred: Path, out: Path, *options: str) -> tuple[str, ...]:
        return ("score", "--pred", str(pred), "--gt", str(gt), "--out", str(out), "--quiet", *options)

    outs = {name: root / name / "out" for name in ("score", "rescore", "merge", "predict", "train")}
    shards = [root / "shards" / str(k) for k in (1, 2)]
    with contextlib.redirect_stdout(None):
        for k, shard in enumerate(shards, 1):
            cli.main([*score(pred, shard, "--shard", f"{k}/2")])
        for name in ("score", "merge"):
            cli.main([*score(other, outs[name])])
        cli.main([*score(pred, outs["rescore"])])
    merge = ("merge", *map(str, shards), "--out", str(outs["merge"]))
    rescore = ("rescore", str(outs["rescore"]), "--out", str(outs["rescore"]), "--percentiles", "0", "50", "100")

    streets = street_folders.write_scenes(
        root / "streets", {name: street_folders.scene(k, 64, 96, 5) for k, name in enumerate("abc")}
    )
    settings = config(batch=2, steps=5)
    (root / "tiny.json").write_text(to_json(settings))
    save_network(root / "network", network(), CATALOGUE)
    options = ("--device", "cpu", "--quiet")
    predicting = ("--checkpoint", str(root / "network"), "--images", str(streets / "training" / "images"), "--semantic")
    training = (str(root / "tiny.json"), "--data", str(streets), "--version", "2.0", "--workers", "0")
    return {
        "score": Command(cli.main, score(pred, outs["score"]), outs["score"], scored, check_scored),
        "rescore": Command(cli.main, rescore, outs["rescore"], scored, check_scored),
        "merge": Command(cli.main, merge, outs["merge"], scored, check_scored),
        "predict": Command(
            predict.main,
            (*predicting, "--out", str(outs["predict"]), *options),
            outs["predict"],
            folders.contents,
            check_predicted,
        ),
        "train": Command(
            train.main,
            (*training, "--save-every", "1", "--out", str(outs["train"]), *options),
            outs["train"],
            trained,
            check_trained,
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)  # threads do not survive a fork, and their number decides the order of sums
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        tried = commands(Path(folder))
        counts = Counter([*tried][k % len(tried)] for k in range(options.count))
        for name, count in counts.items():
            finished = kills(tried[name], count, rng)
            print(f"{name}: {count} kills, {finished} results, all as if undisturbed", flush=True)


if __name__ == "__main__":
    main()
