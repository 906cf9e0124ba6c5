"""Train one network:  python -m model.train streets --cabb --isus --data DIR --out DIR

Sample k of a run, and what is drawn at random for it, are functions of (seed, k); step s takes the samples from
s * batch on, however many ranks share them. All variants of a seed start from the same weights.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from model.averaging import averaged, put, update
from model.checkpoint import (
    Bits,
    State,
    latest_state,
    load_state,
    remove_leftovers,
    save_network,
    save_state,
    transfer,
)
from model.checkpoint_files import KEPT, WEIGHTS, CheckpointError
from model.config import Config, ConfigError, from_json
from model.data.index import cached_index
from model.data.loader import Batch, CropDataset
from model.distributed import Ranks, everybodys, joined, total
from model.families import PanopticNetwork, build_network
from model.memory import OutOfMemory, advised
from model.presets import Method, configure, method_named
from model.schedule import build_optimizer, learning_rate, with_steps
from model.weights import WeightsError, load_body_weights
from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import NAMES, ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.files import leftovers, write_atomically

METRICS = "metrics.jsonl"
ADVICE = "use --accumulate (parts of a batch one after the other), more ranks, or a smaller sample.crop"
WEIGHTS_STREAM, SAMPLING_STREAM = 1, 2
"""Tell apart what is drawn from one seed."""
SMOOTHING = 0.98
"""Smoothing of the loss beside the progress bar: an average over some 50 steps."""


class TrainingError(RuntimeError):
    """Training cannot go on: says why, and on what."""


@dataclass(frozen=True)
class Settings:
    """Seed, precision, saving and progress of a training run."""

    seed: int = 0
    """Random seed of weights, samples and all else."""
    accumulate: int = 1
    """Parts that a step is cut into, one after the other, to save memory. Normalization layers see one part."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Precision of most arithmetic. Default: bfloat16 on a GPU, float32 on a CPU."""
    save_every: int = 250
    """Number of steps between training states, of which the last two are kept."""
    keep_every: int = 0
    """Number of steps between networks that are kept for good in OUT/kept/STEP, to be scored. 0: none is."""
    bits: Bits = 32
    """Size of a weight in the file of the final network and of those that are kept, in bits: 32, 16 or 8."""
    tensorboard: bool = False
    """Write TensorBoard events to OUT/tensorboard as well."""
    quiet: bool = False
    """Show no progress bar."""


@dataclass(frozen=True)
class Options(Settings):
    """Train a network on a data set. Ranks that torchrun starts share each batch, and all must see --out."""

    preset: tyro.conf.Positional[str] = tyro.MISSING
    """Settings: a preset (mvd, idd, cityscapes, streets, streets-2, streets-large), or the path of a config.json."""
    method: tyro.conf.OmitArgPrefixes[Method] = Method()  # noqa: RUF009 (frozen)
    """Parts of the paper to switch on; only with the name of a preset."""
    arm: str | None = None
    """Name of a variant, in place of the switches: full, or a system, crop, cabb, isus, clipped, closed joined by +."""
    data: Annotated[
        str, tyro.conf.arg(help=f"Data set: {NAMES} (below --root or $PANOPTIC_DATA), or the path of one.")
    ] = tyro.MISSING
    out: Path = tyro.MISSING
    """Folder for the network, metrics.jsonl and checkpoints/. If it is interrupted, run the same command again."""
    root: Path | None = None
    """Folder of the data sets. Default: $PANOPTIC_DATA."""
    split: str | None = None
    """Split of the data set to train on. Default: the training split."""
    version: Literal["1.2", "2.0"] | None = None
    """Release of Mapillary Vistas to read, 1.2 or 2.0. Default: 1.2 if the data set has both."""
    steps: int | None = None
    """Number of steps, instead of the preset's. Its milestones move along."""
    initial: Path | None = None
    """Weights to begin with: a file for the body (timm's or the official names), or the folder of a network."""
    workers: int = 2
    """Processes per rank that make samples. 0: the rank makes them itself."""
    device: str | None = None
    """Device: cpu, cuda or cuda:N. Default: the GPU if there is one."""


Supply = Callable[[Iterable[range]], Iterable[Batch]]
"""Maker of samples: a batch of each range of sample numbers, in their order."""


@dataclass(frozen=True)
class Measured:
    """One step, over all ranks."""

    losses: dict[str, float]
    counts: dict[str, Any]
    """Counts that the network puts out, instances too little visible to learn from (dropped), pixels with padding."""
    waiting: float
    """Seconds that this rank waited for samples."""


def train(
    network: PanopticNetwork,
    catalogue: Catalogue,
    supply: Supply,
    out: Path,
    settings: Settings,
    ranks: Ranks,
    *,
    data: str,
) -> None:
    """Train a network from where the run in `out` is to the end of its schedule, and write it there.

    Args:
        network: as it is to begin with, on the ranks' device.
        catalogue: of its categories.
        supply: makes this rank's samples.
        out: folder of the run.
        settings: how it is carried out.
        ranks: this process among all.
        data: fingerprint of the data set; a run goes on with the same one only.

    Raises:
        TrainingError: a loss or a weight is not finite (the last training state is still good), or ranks and parts do
            not divide the batch.
        CheckpointError: the run in `out` is another one, or damaged.
        OutOfMemory: with advice.
    """
    schedule, accumulate = network.config.schedule, settings.accumulate
    optimizer = build_optimizer(network, schedule)
    average = averaged(network) if schedule.average else {}
    start = _resume(network, optimizer, catalogue, out, State(0, settings.seed, data), average)
    if ranks.first:
        remove_leftovers(out)
    parallel: nn.Module = network
    if ranks.count > 1:
        parallel = DistributedDataParallel(network, gradient_as_bucket_view=True)
    network.train()
    wanted = [
        share(step, part, batch=schedule.batch, accumulate=accumulate, ranks=ranks)
        for step in range(start, schedule.steps)
        for part in range(accumulate)
    ]
    with ExitStack() as stack:
        stack.enter_context(_same_bits(ranks.device))
        log = stack.enter_context(_Log(out, start, schedule.steps, settings)) if ranks.first else None
        batches = zip(wanted, supply(wanted), strict=True)
        for step in range(start, schedule.steps):
            began = time.perf_counter()
            rate = learning_rate(step, schedule)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with advised(ADVICE):
                measured = _step(parallel, optimizer, batches, settings, ranks, step)
            if average:
                update(average, network, step, schedule.average)
            if log is not None:
                log.add(step + 1, (step + 1) * schedule.batch, rate, measured, time.perf_counter() - began)
            done, last = step + 1, step + 1 == schedule.steps
            if ranks.first:
                try:
                    # Before the state: a run that is killed in between comes by here again.
                    if settings.keep_every and (done % settings.keep_every == 0 or last):
                        kept = out / KEPT / str(done)
                        save_network(kept, network, catalogue, bits=settings.bits, average=average)
                    if done % settings.save_every == 0 or last:
                        state = State(done, settings.seed, data)
                        save_state(out, network, optimizer, catalogue, state, average)
                except CheckpointError as error:
                    raise TrainingError(f"after step {done}: {error}; {_last_good(out)}") from error
    if average:
        put(average, network)
    if ranks.first:
        save_network(out, network.eval(), catalogue, bits=settings.bits)


def share(step: int, part: int, *, batch: int, accumulate: int, ranks: Ranks) -> range:
    """Return the numbers of the samples that a rank takes: a step's are cut into parts, a part into a run per rank.

    Raises:
        TrainingError: a batch cannot be cut evenly.

    >>> share(2, 1, batch=8, accumulate=2, ranks=Ranks(0, 2, torch.device("cpu")))
    range(20, 22)
    """
    if batch % (accumulate * ranks.count):
        raise TrainingError(f"a batch of {batch} cannot be cut evenly into {accumulate} parts for {ranks.count} ranks")
    size = batch // accumulate // ranks.count
    start = step * batch + (part * ranks.count + ranks.rank) * size
    return range(start, start + size)


def sample_generator(seed: int, k: int) -> torch.Generator:
    """Return the generator of all that is random about sample k in the network, such as which anchors are drawn."""
    return _generator(seed, SAMPLING_STREAM, k)


def loss_names(line: Mapping[str, Any]) -> list[str]:
    """Return the names of the losses in a line of metrics.jsonl, which depend on the network's family."""
    names = list(line)
    return names[names.index("loss") + 1 : names.index("learning_rate")]


def initial_network(config: Config, catalogue: Catalogue, seed: int) -> PanopticNetwork:
    """Build a fresh network on the CPU: variants that share architecture and seed start from the same weights."""
    return build_network(config, catalogue.isthing.tolist(), _generator(seed, WEIGHTS_STREAM))


def _generator(*key: int) -> torch.Generator:
    (state,) = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state) >> 1)  # which takes 63 bits


def _step(
    parallel: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[range, Batch]],
    settings: Settings,
    ranks: Ranks,
    step: int,
) -> Measured:
    """Take one step of the optimizer.

    Raises:
        TrainingError: a loss is not finite; the weights are as they were before the step.
    """
    optimizer.zero_grad()
    device = ranks.device
    precision = settings.precision or ("bfloat16" if device.type == "cuda" else "float32")
    waiting, names, losses, counts = 0.0, list[str](), dict[str, Tensor](), dict[str, Tensor]()
    for part in range(settings.accumulate):
        began = time.perf_counter()
        samples, batch = next(batches)
        waiting += time.perf_counter() - began
        names += batch.names
        last = part == settings.accumulate - 1
        alone = not last and isinstance(parallel, DistributedDataParallel)
        with parallel.no_sync() if alone else nullcontext():  # type: ignore[operator]  # ranks exchange gradients once a step
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                found, counted = parallel(
                    batch.images.to(device, non_blocking=True),
                    [target.to(device) for target in batch.targets],
                    [sample_generator(settings.seed, k) for k in samples],
                )
            (torch.stack(list(found.values())).sum() / settings.accumulate).backward()
        for name, value in found.items():
            losses[name] = losses.get(name, 0) + value.detach() / (settings.accumulate * ranks.count)
        b, _, h, w = batch.images.shape
        seen = {"dropped": torch.tensor(batch.dropped), "pixels": torch.tensor(b * h * w)}
        for name, value in (counted | seen).items():
            counts[name] = counts.get(name, 0) + value.to(device)
    values = dict(zip(losses, total(torch.stack(list(losses.values())), ranks).tolist(), strict=True))
    if not np.isfinite(list(values.values())).all():
        images = ", ".join(name for own in everybodys(names, ranks) for name in own)
        parts = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise TrainingError(f"the loss of step {step + 1} is not finite ({parts}); its images: {images}")
    optimizer.step()
    return Measured(values, {name: total(value, ranks).tolist() for name, value in counts.items()}, waiting)


def _resume(
    network: PanopticNetwork,
    optimizer: torch.optim.Optimizer,
    catalogue: Catalogue,
    out: Path,
    expected: State,
    average: dict[str, Tensor],
) -> int:
    """Return the number of steps done, after the last training state of the run has been loaded; 0 of a new run."""
    directory = latest_state(out)
    if directory is not None:
        return load_state(directory, network, optimizer, catalogue, expected, average).step
    if (out / WEIGHTS).exists():
        raise CheckpointError(f"{out}: holds a network and no checkpoints to go on from; expected a new --out")
    return 0


def _last_good(out: Path) -> str:
    directory = latest_state(out)
    return "there is no training state" if directory is None else f"the last good training state is {directory}"


@contextmanager
def _same_bits(device: torch.device) -> Iterator[None]:
    """Make the same input give the same bits: on CPUs it costs nothing; on GPUs some operators know no such way."""
    memory: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(before[0] or device.type == "cpu")
    memory.fill_uninitialized_memory = False  # which is to find bugs, and does cost
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        memory.fill_uninitialized_memory = before[1]


class _Log:
    """metrics.jsonl, a line a step; a progress bar; TensorBoard's events if asked for."""

    def __init__(self, out: Path, start: int, steps: int, settings: Settings) -> None:
        path = out / METRICS
        for file in leftovers(out, [METRICS]):
            file.unlink()
        lines = path.read_text().splitlines() if path.is_file() else []
        # A run that was killed may have logged steps that it now does again, and half a line.
        write_atomically(path, "".join(f"{line}\n" for line in lines[:start]))
        self._file = path.open("a")
        self._bar = tqdm(total=steps, initial=start, unit="step", disable=settings.quiet, dynamic_ncols=True)
        self._events = _events(out / "tensorboard", start) if settings.tensorboard else None
        self._smooth: dict[str, float] = {}
        self._seconds = self._waiting = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._bar.close()
        if self._events is not None:
            self._events.close()

    def add(self, step: int, images: int, rate: float, measured: Measured, seconds: float) -> None:
        """Log a step, counted from 1, which took some seconds."""
        line = {
            "step": step,
            "images": images,
            "loss": sum(measured.losses.values()),
            **measured.losses,
            "learning_rate": rate,
            **measured.counts,
            "seconds": round(seconds, 4),
            "waiting": round(measured.waiting, 4),
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        for name, value in measured.losses.items():
            self._smooth[name] = SMOOTHING * self._smooth.get(name, value) + (1 - SMOOTHING) * value
        self._seconds += seconds
        self._waiting += measured.waiting
        shown = {name: f"{value:.3f}" for name, value in self._smooth.items()}
        self._bar.set_postfix({**shown, "waiting": f"{self._waiting / self._seconds:.0%}"}, refresh=False)
        self._bar.update()
        if self._events is not None:
            for name, value in line.items():
                for i, number in enumerate(value if isinstance(value, list) else [value]):
                    self._events.add_scalar(f"{name}/{i}" if isinstance(value, list) else name, number, step)


def _events(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("--tensorboard needs the extra:  pip install 'panoptic-eval[tensorboard]'") from error
    return SummaryWriter(folder, purge_step=start + 1)


def _config(options: Options) -> Config:
    """Return the settings that were asked for: a preset's with a method, or those of a file.

    Raises:
        InputError: there is no such preset or file, or a method is given beside a file.
    """
    path = Path(options.preset)
    stored = path.suffix == ".json"
    if (stored or options.arm is not None) and options.method != Method():
        what = path if stored else f"--arm {options.arm}"
        raise InputError(f"{what}: says everything; expected no --cabb, --isus or other part of a method with it")
    if stored and options.arm is not None:
        raise InputError(f"{path}: says everything; expected no --arm with it")
    try:
        method = options.method if options.arm is None else method_named(options.arm)
        config = from_json(path.read_text()) if stored else configure(options.preset, method)
        return config if options.steps is None else replace(config, schedule=with_steps(config.schedule, options.steps))
    except ConfigError as error:
        raise InputError(f"{path}: {error}") from error
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error


def _begin(network: PanopticNetwork, initial: Path) -> str:
    """Fill a fresh network with given weights, and say with how much."""
    return transfer(network, initial / WEIGHTS) if initial.is_dir() else str(load_body_weights(network.body, initial))


def _run(options: Options, ranks: Ranks) -> None:
    config = _config(options)
    split = options.split or (None if Path(options.data).is_file() else "training")
    gt = ground_truth(options.data, root=options.root, split=split, version=options.version)
    if not gt.catalogue.isthing.any():
        raise InputError(f"{gt.source}: has no thing category; expected one at least, for boxes and masks to learn")
    index = cached_index(gt, progress=ranks.first and not options.quiet)
    samples = CropDataset(gt, index, config.sample, config.levels, seed=options.seed)
    network = initial_network(config, gt.catalogue, options.seed)
    if options.initial is not None and latest_state(options.out) is None:
        says = _begin(network, options.initial)
        if ranks.first:
            print(says)
    supply = partial(samples.batches, workers=options.workers, pin=ranks.device.type == "cuda")
    train(
        network.to(ranks.device),
        gt.catalogue,
        supply,
        options.out,
        options,
        ranks,
        data=index.fingerprint,
    )
    if ranks.first and not options.quiet:
        print(f"{config.schedule.steps} steps done: {options.out / WEIGHTS}")


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m model.train", description=Options.__doc__)
    try:
        with joined(options.device) as ranks:
            _run(options, ranks)
    except (CheckpointError, ConfigError, InputError, OutOfMemory, TrainingError, WeightsError) as error:
        sys.exit(f"model.train: {error}")
    except KeyboardInterrupt:
        print("model.train: interrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
