"""What a training step and a prediction cost, as ratios of contenders that take turns in one run.

    python -m benchmarks.model                  # CPU, and GPU where there is one
    python -m benchmarks.model --parts steps    # steps, pooling, norm or loading alone

Prints Markdown; results/benchmarks/model.md is from --out.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.environment import require
from model.data.index import build_index
from model.data.loader import Batch, CropDataset
from model.ops import nms, roi_align
from model.ops.abn import ABN, SLOPE
from model.ops.compiled import compiled_ops
from model.presets import STREETS, configure
from model.schedule import build_optimizer
from model.train import initial_network, sample_generator
from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import ground_truth
from panoptic_eval.files import write_atomically
from reproduce.provenance import provenance, write_provenance
from reproduce.train import REGISTERED
from reproduce.variants import BY_NAME
from streets.dataset import write_dataset

Part = Literal["steps", "pooling", "norm", "loading"]


@dataclass(frozen=True)
class Options:
    """Time the network's parts."""

    parts: tuple[Part, ...] = ("steps", "pooling", "norm", "loading")
    """Parts to time."""
    rounds: int = 7
    """Number of turns of each contender; the median of their times is shown."""
    device: str | None = None
    """Device: cpu or cuda. Default: both, where there is a GPU."""
    out: Path | None = None
    """File for what is printed, with a JSON beside it that says where it comes from. Default: none is written."""


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each contender; they take turns, so that a busy machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first one warms up
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def ratios(seconds: Mapping[str, float], base: str) -> str:
    rows = [[name, f"{1e3 * value:.1f}", f"{value / seconds[base]:.3f}"] for name, value in seconds.items()]
    return table(["", "ms", f"times {base}"], rows)


def samples(root: Path, variant: str, preset: str = "streets") -> CropDataset:
    gt = ground_truth(root, split="training")
    config = configure(preset, BY_NAME[variant].method)
    return CropDataset(gt, build_index(gt), config.sample, config.levels, seed=0)


def stepper(
    variant: str, catalogue: Catalogue, device: torch.device, preset: str = "streets"
) -> Callable[[Batch], None]:
    """Training steps of a variant."""
    config = configure(preset, BY_NAME[variant].method)
    network = initial_network(config, catalogue, 0).to(device).train()
    optimizer = build_optimizer(network, config.schedule)

    def step(batch: Batch) -> None:
        images, targets = batch.images.to(device), [t.to(device) for t in batch.targets]
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            losses, _ = network(images, targets, [sample_generator(0, k) for k in range(len(targets))])
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()

    return step


def steps(root: Path, device: torch.device, rounds: int) -> str:
    """Step time of each variant; all that train on crops get the same samples, so that CABB's share can be told."""
    catalogue = ground_truth(root, split="training").catalogue
    size = STREETS.schedule.batch
    batches = {kind: next(samples(root, kind).batches([range(size)])) for kind in ("crop", "crop+isus", "full")}

    def batch_of(name: str) -> Batch:
        method = BY_NAME[name].method
        return batches["crop+isus" if method.isus else "crop" if method.crops else "full"]

    contenders = {name: partial(stepper(name, catalogue, device), batch_of(name)) for name in REGISTERED}
    seconds = interleaved(contenders, rounds, device)
    # For the two per cent, the two alone and more often, in both orders.
    pair = {name: contenders[name] for name in ("crop", "crop+cabb")}
    there, back = interleaved(pair, 3 * rounds, device), interleaved(dict(reversed(pair.items())), 3 * rounds, device)
    overhead = sum(d["crop+cabb"] for d in (there, back)) / sum(d["crop"] for d in (there, back)) - 1
    return (
        f"### A step of {size} samples, streets, {device.type}\n\n{ratios(seconds, 'crop')}\n"
        f"CABB adds {overhead:+.1%} to a step (the two in turns, {6 * rounds} times; at most +2 % is wanted).\n"
    )


def pooling(device: torch.device, rounds: int) -> str:
    """RoIAlign, forward and backward, and non-maximum suppression, against torchvision's where it is there."""
    generator = torch.Generator().manual_seed(0)
    levels = [torch.randn(2, 64, 256 // s, 256 // s, generator=generator) for s in (1, 2, 4, 8)]
    levels = [x.to(device).contiguous(memory_format=torch.channels_last).requires_grad_() for x in levels]
    corner, size = (torch.rand(1024, 2, generator=generator) * scale for scale in (700, 300))
    boxes = torch.cat([corner, corner + size + 4], 1).to(device)
    image, level = (torch.randint(0, high, (1024,), generator=generator).to(device) for high in (2, 4))
    scores = torch.rand(1024, generator=generator).to(device)

    def pooled(pool: Callable[..., Tensor]) -> None:
        out = pool(levels, (4, 8, 16, 32), boxes, image, level, bins=14, samples=1)
        torch.autograd.grad(out.sum(), levels)

    ops = compiled_ops(device)
    contenders = {"RoIAlign, ours": partial(pooled, roi_align.gathered)}
    contenders["NMS, ours"] = lambda: nms.suppress(boxes[scores.argsort(descending=True)], None, 0.5, None)
    title = f"### 1024 regions of 14x14 bins and 64 channels; NMS of 1024 boxes; {device.type}\n\n"
    if ops is not None:
        contenders["RoIAlign, torchvision"] = partial(pooled, roi_align.roi_align)
        contenders["NMS, torchvision"] = lambda: ops.nms(boxes, scores, 0.5)
    seconds = interleaved(contenders, rounds, device)
    if ops is None:
        rows = [[name, f"{1e3 * value:.1f}"] for name, value in seconds.items()]
        return f"{title}{table(['', 'ms'], rows)}\ntorchvision is not here: nothing to compare with.\n"
    pairs = ({name: seconds[name] for name in seconds if name.startswith(kind)} for kind in ("RoIAlign", "NMS"))
    return title + "\n".join(ratios(pair, next(reversed(pair))) for pair in pairs)


class Plain(nn.Module):
    """What ABN stands for."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(x), SLOPE)


def kept_bytes(network: nn.Module, x: Tensor) -> int:
    """Return what the forward pass keeps for the backward pass, each block of memory once, weights not counted."""
    own = {p.untyped_storage().data_ptr() for p in [*network.parameters(), *network.buffers()]}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = network(x)
    assert out.requires_grad
    return sum(kept.values())


def norm(device: torch.device, rounds: int) -> str:
    """Activated batch norm against batch norm and leaky ReLU: chains of convolutions, each with one of them."""

    def chain(kind: type[nn.Module]) -> nn.Module:
        layers = [part for _ in range(8) for part in (nn.Conv2d(64, 64, 3, padding=1, bias=False), kind(64))]
        return nn.Sequential(*layers).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    x = torch.randn(8, 64, 64, 64, device=device).contiguous(memory_format=torch.channels_last)
    networks = {"BatchNorm + leaky ReLU": chain(Plain), "ABN, in place": chain(ABN)}
    seconds = interleaved({name: lambda n=n: n(x).sum().backward() for name, n in networks.items()}, rounds, device)
    kept = {name: kept_bytes(network, x) for name, network in networks.items()}
    base = next(iter(networks))

    def row(name: str) -> list[str]:
        time_, memory_ = seconds[name], kept[name]
        shares = f"{time_ / seconds[base]:.2f}", f"{memory_ / kept[base]:.2f}"
        return [name, f"{1000 * time_:.1f}", shares[0], f"{memory_ / 2**20:.0f}", shares[1]]

    head = ["", "ms", "times the first", "MiB kept", "times the first"]
    shown = table(head, [row(name) for name in networks])
    return f"### Eight 3x3 convolutions, 64 channels, 8x64x64, {device.type}\n\n{shown}"


def loading(root: Path, device: torch.device, rounds: int) -> str:
    """Share of a training run's time that is spent waiting for samples."""
    size, count = STREETS.schedule.batch, 4 * rounds
    rows = []
    for variant in ("crop", "crop+cabb+isus", "full"):
        catalogue = ground_truth(root, split="training").catalogue
        for workers in (0, 2):
            wanted = [range(k * size, (k + 1) * size) for k in range(count + 2)]
            batches = samples(root, variant).batches(wanted, workers=workers)
            step = stepper(variant, catalogue, device)
            for _ in range(2):  # workers and network warm up
                step(next(batches))
            waiting, began = 0.0, time.perf_counter()
            for _ in range(count):
                asked = time.perf_counter()
                batch = next(batches)
                waiting += time.perf_counter() - asked
                step(batch)
            rows.append([variant, workers, f"{waiting / (time.perf_counter() - began):.1%}"])
    return f"### Waiting for samples, streets, {device.type}\n\n{table(['variant', 'workers', 'of the time'], rows)}"


def main() -> None:
    options = tyro.cli(Options)
    if options.out is not None:
        require()
    kinds = [options.device] if options.device else ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    title = f"## The network\n\ntorch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}\n"
    said = [title]
    print(title)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if {"steps", "loading"} & set(options.parts):
            write_dataset(root, seed=0, counts={"training": 24}, workers=1)
        for device in map(torch.device, kinds):
            parts: dict[Part, Callable[[], str]] = {
                "steps": partial(steps, root, device, options.rounds),
                "pooling": partial(pooling, device, options.rounds),
                "norm": partial(norm, device, options.rounds),
                "loading": partial(loading, root, device, options.rounds),
            }
            for part in options.parts:
                said.append(parts[part]())
                print(said[-1])
    if options.out is not None:
        write_atomically(options.out, "\n".join(said))
        record = provenance(seed=0, data={"streets": "24 training images, seed 0"}, config=asdict(STREETS))
        write_provenance(options.out.with_suffix(".json"), record)


if __name__ == "__main__":
    main()
