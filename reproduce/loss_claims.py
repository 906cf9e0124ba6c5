"""The claims about CABB itself, tested on random boxes: what its loss is, and what it costs."""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import binom

from crop_aware.cabb import crop_aware_loss
from crop_aware.coding import UNIT_WEIGHTS, AnyWeights, encode
from crop_aware.standard import box_loss
from reproduce.verdicts import Part, by_interval, certain

BATCH_MS = 10.0
"""Largest cost of CABB per batch, milliseconds (the paper: about 10)."""
BOXES = 8 * 128
"""Number of boxes of a batch in each head: eight crops with 128 positives."""


def random_boxes(
    rng: np.random.Generator, rows: int, *, weights: AnyWeights = UNIT_WEIGHTS, noise: float = 0.3
) -> tuple[torch.Tensor, ...]:
    """Draw deltas, proposals, visible boxes, open sides (float64) in a crop of 1024 pixels, half of the boxes cut.

    Args:
        rng: source of all that is random.
        rows: number of boxes.
        weights: factors of the deltas.
        noise: standard deviation of the deltas from those of the visible box.
    """
    side = np.exp(rng.uniform(np.log(16), np.log(900), (rows, 2)))
    corner = np.maximum(rng.uniform(-0.3, 0.9, (rows, 2)) * 1024, 1 - side)  # some of it is in the crop
    full = np.concatenate([corner, corner + side], -1)
    visible = np.clip(full, 0, 1024)
    jitter = rng.uniform(-0.2, 0.2, (rows, 4)) * np.tile(visible[:, 2:] - visible[:, :2], 2)
    proposals, boxes = torch.tensor(visible + jitter), torch.tensor(visible)
    deltas = encode(boxes, proposals, weights) + torch.tensor(rng.normal(0, noise, (rows, 4)))
    return deltas, proposals, boxes, torch.tensor(full != visible)


def loss_parts(rng: np.random.Generator) -> tuple[Part, ...]:
    """Test claim 1 on random boxes: by how much each law is kept, relative to what rounding allows."""
    deltas, proposals, visible, open_sides = random_boxes(rng, 4096)
    beta, tolerance, step = 1 / 9, 1e-6, 1e-5

    def loss(at: torch.Tensor) -> torch.Tensor:
        return crop_aware_loss(at, proposals, visible, open_sides, (1024, 1024), beta=beta)

    deltas.requires_grad_()
    ours = loss(deltas)
    (gradient,) = torch.autograd.grad(ours.sum(), deltas)
    with torch.no_grad():
        plain = box_loss(deltas, proposals, visible, beta=beta)
        steps = step * torch.eye(4, dtype=deltas.dtype)
        numeric = torch.stack([(loss(deltas + d) - loss(deltas - d)) / (2 * step) for d in steps], 1)
        # Where the minimiser jumps, or the Huber norm bends, the gradients of both sides differ.
        exact = ((gradient - numeric).abs() < 1e-3).all(1)
    whole = ~open_sides.any(1)
    return (
        certain("largest excess of L_CABB over L_BB on 4096 boxes, below 1e-6", "0", tolerance - _max(ours - plain)),
        certain(
            f"largest difference on the {int(whole.sum())} boxes that are whole, below 1e-6",
            "0",
            tolerance - _max((ours - plain)[whole].abs()),
        ),
        certain(
            "share of boxes whose gradient is the numerical one within 1e-3, above 0.99",
            "1",
            float(exact.double().mean()) - 0.99,
        ),
    )


def _max(values: torch.Tensor) -> float:
    return float(values.detach().max())


def overhead_parts(rng: np.random.Generator, repeat: int = 50) -> tuple[Part, ...]:
    """Test claim 2 on this machine: how many milliseconds longer a batch takes with the crop-aware loss (median).

    Processor time on one core, which is best for so small tensors; the interval is that of the median. All of it so
    that other work on the machine hardly shows.
    """
    batch = [tuple(t.float() if t.is_floating_point() else t for t in random_boxes(rng, BOXES)) for _ in range(2)]

    def seconds(open_: bool) -> float:
        began = time.process_time()
        for deltas, proposals, visible, open_sides in batch:
            deltas = deltas.detach().requires_grad_()
            if open_:
                loss = crop_aware_loss(deltas, proposals, visible, open_sides, (1024, 1024), beta=1 / 9)
            else:
                loss = F.smooth_l1_loss(deltas, encode(visible, proposals), reduction="none", beta=1 / 9)
            loss.sum().backward()
        return time.process_time() - began

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    beyond = np.sort([1e3 * (seconds(True) - seconds(False)) for _ in range(repeat + 5)][5:])
    torch.set_num_threads(threads)
    rank = int(binom.ppf(0.025, repeat, 0.5))  # the median lies between these ranks in 95 % of such runs
    low, high = (float(BATCH_MS - beyond[k]) for k in (repeat - rank, rank - 1))
    value = BATCH_MS - float(np.median(beyond))
    tested = f"{BATCH_MS:g} ms less what CABB adds to a batch of 2 x {BOXES} boxes on one core of this machine, ms"
    return (Part(tested, "about 10 ms added", value, low, high, by_interval(low, high)),)
