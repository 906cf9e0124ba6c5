"""What the crop-aware box loss costs: milliseconds of one training batch, forward and backward, against the plain loss.

    python -m benchmarks.cabb --threads 2

A batch is 8 crops with 128 positive anchors and 128 positive proposals each: two calls of 1,024 boxes. The two losses
are timed in turns, so that both see the same load of the machine. The paper states an overhead of about 10 ms a batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
import tyro

from crop_aware.cabb import crop_aware_loss
from crop_aware.coding import UNIT_WEIGHTS, encode
from model.config import Weights
from reproduce.loss_claims import BOXES, random_boxes

CROP = (1024, 1024)
HEADS = {"region proposals": (1 / 9, UNIT_WEIGHTS), "box head": (1.0, Weights(10, 5))}


@dataclass(frozen=True)
class Options:
    """Time the crop-aware box loss."""

    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    """Device: cpu or cuda."""
    threads: int = 2
    """Threads of the CPU."""
    repeat: int = 200
    """Number of batches; the median of their times is shown."""
    compile: bool = False
    """Compile the crop-aware loss first (torch.compile)."""


def positives(seed: int, weights: Weights, device: str) -> tuple[torch.Tensor, ...]:
    """Deltas, proposals, visible boxes, open sides: proposals that overlap their box, half of the boxes cut."""
    drawn = random_boxes(np.random.default_rng(seed), BOXES, weights=weights, noise=0.1)
    return tuple((t.float() if t.is_floating_point() else t).to(device) for t in drawn)


def main() -> None:
    options = tyro.cli(Options)
    torch.set_num_threads(options.threads)
    batch = [(beta, weights, positives(i, weights, options.device)) for i, (beta, weights) in enumerate(HEADS.values())]
    loss = torch.compile(crop_aware_loss, fullgraph=True) if options.compile else crop_aware_loss

    def plain() -> None:
        for beta, weights, (deltas, proposals, visible, _) in batch:
            deltas = deltas.detach().requires_grad_()
            F.smooth_l1_loss(deltas, encode(visible, proposals, weights), beta=beta, reduction="sum").backward()

    def crop_aware() -> None:
        for beta, weights, (deltas, *others) in batch:
            deltas = deltas.detach().requires_grad_()
            loss(deltas, *others, CROP, beta=beta, weights=weights).sum().backward()

    def timed(step: Callable[[], None]) -> float:
        start = time.perf_counter()
        step()
        if options.device == "cuda":
            torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - start)

    for _ in range(10):
        plain(), crop_aware()
    times = np.array([[timed(plain), timed(crop_aware)] for _ in range(options.repeat)])
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} CPU threads"
    print(f"one batch, forward and backward, {name}, torch {torch.__version__}, {options.repeat} repetitions")
    print("| loss | median ms | fastest ms |\n| --- | --- | --- |")
    for label, column in zip(("plain", "crop-aware"), times.T, strict=True):
        print(f"| {label} | {np.median(column):.2f} | {column.min():.2f} |")


if __name__ == "__main__":
    main()
