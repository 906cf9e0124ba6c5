"""Training runs of seconds, without a data set. As a command, in processes of their own, which may be killed:

python -m tiny_training OUT --steps 6 [--family boxes] [--ranks 2] [--accumulate 2] [--events-until-kill 3 8 5]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # optimisers do, which takes longer than all else here: once, before the fork
from tiny import FAMILIES, ISTHING, rectangles

from model import checkpoint, train
from model.config import Config
from model.data.loader import Batch
from model.distributed import Ranks, joined
from model.families import PanopticNetwork
from panoptic_eval.categories import Catalogue, Category

NAMES = ("ground", "sky", "box", "pole")
CATALOGUE = Catalogue(
    tuple(
        Category(id_, *of) for id_, *of in zip((7, 3, 5, 4), NAMES, ISTHING, (None, (9, 9, 9), None, None), strict=True)
    )
)
"""Ids are neither sorted nor indices."""
ALONE = Ranks(0, 1, torch.device("cpu"))


def config(family: str = "boxes", **schedule: Any) -> Config:
    """The configuration of a family's tiny network, with a schedule of a few steps."""
    tiny = FAMILIES[family]
    few = replace(tiny.schedule, batch=4, steps=4, milestones=(3,), warmup=2)
    return replace(tiny, schedule=replace(few, **schedule))


def network(family: str = "boxes", **schedule: Any) -> PanopticNetwork:
    return train.initial_network(config(family, **schedule), CATALOGUE, 0)


def supply(wanted: Iterable[range]) -> Iterator[Batch]:
    """Samples of `model.train.train`: a few objects, but none on every fifth."""
    for numbers in wanted:
        images, targets = zip(*[rectangles(k, count=0 if k % 5 == 4 else 3) for k in numbers], strict=True)
        yield Batch(torch.stack(images), list(targets), [f"image{k}" for k in numbers], dropped=0)


def run(
    out: Path, steps: int, accumulate: int, dtype: torch.dtype, family: str = "boxes", average: float = 0.0
) -> None:
    settings = train.Settings(accumulate=accumulate, save_every=2, keep_every=3, quiet=True)
    with joined("cpu") as ranks:
        learner = network(family, steps=steps, batch=8, average=average).to(dtype)
        train.train(learner, CATALOGUE, supply, out, settings, ranks, data="rectangles")


def kill_after(events: int) -> None:
    """Has this process killed as soon as it has begun so many events: files written, moved or removed, steps logged."""
    left = [events]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return wrapper

    checkpoint.write_atomically = counted(checkpoint.write_atomically)
    shutil.rmtree = counted(shutil.rmtree)
    Path.rename = counted(Path.rename)
    train._Log.add = counted(train._Log.add)


def in_a_child(work: Callable[[], None]) -> int:
    """The id of a child that does some work. Forked before this process has used any thread."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--family", default="boxes")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--events-until-kill", type=int, nargs="*", default=())
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--average", type=float, default=0.0)
    options = parser.parse_args()
    dtype = torch.float64 if options.double else torch.float32
    work = partial(run, options.out, options.steps, options.accumulate, dtype, options.family, options.average)

    for events in options.events_until_kill:
        child = in_a_child(lambda events=events: (kill_after(events), work()))
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"was to be killed after {events} events, ended with {status}"

    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in range(options.ranks):
        world = {"RANK": rank, "WORLD_SIZE": options.ranks, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in world.items()})
        children.append(in_a_child(work))
    assert all(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 for child in children)


if __name__ == "__main__":
    main()
