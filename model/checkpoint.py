"""Networks and training states on disk: safetensors and JSON, no pickle.

    DIR/model.safetensors, config.json, categories.json    a network: all that inference needs
    DIR/kept/STEP/              the network of that step, where a run keeps some on its way
    DIR/checkpoints/STEP/       a training state: the same, momentum.safetensors (of the optimizer), state.json, and
                                where weights are averaged average.safetensors

What is random in training is a function of (seed, step, sample), drawn from generators of its own: the position is the
whole random state. A state is written under a temporary name and renamed: it is whole, or not there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from model.checkpoint_files import CATEGORIES, CONFIG, KEPT, WEIGHTS, CheckpointError
from model.config import Config, ConfigError, from_json, to_json
from model.families import PanopticNetwork, build_network
from model.weights import dimensions
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.files import leftovers, write_atomically

MOMENTUM, AVERAGE, STATE = "momentum.safetensors", "average.safetensors", "state.json"
SCALE = ".scale_of_8_bits"
"""Ending of the name of the tensor that holds the scales of another one."""
Bits = Literal[32, 16, 8]
STAYING = 2
"""Training states that stay; older ones are removed."""


@dataclass(frozen=True)
class State:
    """Progress of a training run."""

    step: int
    """Number of steps that are done."""
    seed: int
    data: str
    """Fingerprint of the data set; other data give other samples."""


def save_network(
    directory: Path,
    network: PanopticNetwork,
    catalogue: Catalogue,
    *,
    bits: Bits = 32,
    average: Mapping[str, Tensor] | None = None,
) -> None:
    """Write all that inference needs.

    Args:
        directory: made where it is missing.
        network: on any device.
        catalogue: what its categories mean.
        bits: size of a stored weight; see `_rounded`.
        average: running average of the weights, by name, to be written in their place; None or empty where there is
            none.

    Raises:
        CheckpointError: weights that are not finite, or not once they are rounded; nothing is written then.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in _stored(network):
        tensors |= _rounded(name, (average or {}).get(name, tensor), bits)
    _check_finite(tensors, directory / WEIGHTS)
    write_atomically(directory / CONFIG, to_json(network.config))
    write_atomically(directory / CATEGORIES, _categories_json(catalogue))
    write_atomically(directory / WEIGHTS, save(tensors))


def load_network(directory: Path) -> tuple[PanopticNetwork, Catalogue]:
    """Load a network on the CPU, in float32, for inference, and the catalogue of its categories.

    Raises:
        CheckpointError: a file is missing, truncated, of another architecture or holds values that are not finite.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: does not exist; expected a folder with {WEIGHTS}, {CONFIG}, {CATEGORIES}")
    config, catalogue = _read_config(directory / CONFIG), _read_categories(directory / CATEGORIES)
    network = build_network(config, catalogue.isthing.tolist(), torch.Generator())
    load_weights(network, directory / WEIGHTS)
    return network.eval(), catalogue


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network in place; weights of 8 and 16 bits become its own type.

    Raises:
        CheckpointError: see `load_network`.
    """
    _fill(dict(_stored(network)), path)


def _fill(own: Mapping[str, Tensor], path: Path) -> None:
    """Fill tensors in place with those of a file that has the same names and shapes."""
    stored = _read_tensors(path)
    for name, tensor in own.items():
        if name not in stored:
            raise CheckpointError(f"{path}: has no {name}, which this configuration's network has")
        if stored[name].shape != tensor.shape:
            shapes = f"{dimensions(stored[name])}, and {dimensions(tensor)} in this configuration's network"
            raise CheckpointError(f"{path}: {name} is {shapes}")
    if unknown := [name for name in stored if name not in own]:
        raise CheckpointError(f"{path}: holds {unknown[0]}, which this configuration's network does not have")
    _check_finite(stored, path)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(stored[name])


def transfer(network: nn.Module, path: Path) -> str:
    """Take over every tensor of another network's file that has the same name and shape: Cityscapes from MVD.

    Returns:
        What was and was not taken over, for people.

    Raises:
        CheckpointError: the file cannot be read, holds values that are not finite, or nothing fits.
    """
    own, stored = dict(_stored(network)), _read_tensors(path)
    _check_finite(stored, path)
    fits = [name for name, tensor in own.items() if name in stored and stored[name].shape == tensor.shape]
    if not fits:
        raise CheckpointError(f"{path}: no tensor has the name and shape of one of this network's")
    with torch.no_grad():
        for name in fits:
            own[name].copy_(stored[name])
    left = [name for name in own if name not in fits]
    return f"{path}: {len(fits)} of {len(own)} tensors loaded" + (f"; as drawn: {', '.join(left)}" if left else "")


def save_state(
    out: Path,
    network: PanopticNetwork,
    optimizer: torch.optim.Optimizer,
    catalogue: Catalogue,
    state: State,
    average: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write a training state to OUT/checkpoints/STEP and remove all but the last two.

    Args:
        out: folder of the run.
        network: after the step.
        optimizer: of its parameters.
        catalogue: what its categories mean.
        state: how far the run is.
        average: running average of the weights, by name; None or empty where there is none.

    Raises:
        CheckpointError: weights that are not finite; the states that there are stay as they are.
    """
    final = out / "checkpoints" / str(state.step)
    partial = final.with_name(f".{state.step}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed here
    save_network(partial, network, catalogue)
    write_atomically(partial / MOMENTUM, save(_momentum(network, optimizer)))
    if average:
        write_atomically(partial / AVERAGE, save({name: _contiguous(tensor) for name, tensor in average.items()}))
    write_atomically(partial / STATE, json.dumps(asdict(state), indent=2) + "\n")
    _synchronise(partial)
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    _remove_old(out)
    return final


def remove_leftovers(out: Path) -> None:
    """Remove what a training run that was killed left half-written or half-removed."""
    for folder in (out, *(out / KEPT).glob("*")):
        for file in leftovers(folder, (WEIGHTS, CONFIG, CATEGORIES)):
            file.unlink()
    for partial in (out / "checkpoints").glob(".*.partial"):
        shutil.rmtree(partial)
    _remove_old(out)


def latest_state(out: Path) -> Path | None:
    """Return the folder of the last training state of a run; None if it has none."""
    states = _states(out)
    return states[-1] if states else None


def load_state(
    directory: Path,
    network: PanopticNetwork,
    optimizer: torch.optim.Optimizer,
    catalogue: Catalogue,
    expected: State,
    average: Mapping[str, Tensor] | None = None,
) -> State:
    """Put a training state into a network and its optimizer.

    Args:
        directory: as `latest_state` found it.
        network: of the configuration that this run has.
        optimizer: of its parameters.
        catalogue: of the data set.
        expected: seed and data of this run; its step is not looked at.
        average: tensors of the network's average, which are filled; None or empty where there is none.

    Raises:
        CheckpointError: a damaged file, or a run with another configuration, seed or data set.
    """
    config = _read_config(directory / CONFIG)
    if config != network.config:
        what = "; ".join(_differences(asdict(config), asdict(network.config)))
        raise CheckpointError(f"{directory}: is of a run with other settings ({what}); expected another --out")
    if _read_categories(directory / CATEGORIES) != catalogue:
        raise CheckpointError(f"{directory}: is of a run on other categories; expected another --out")
    try:
        state = State(**_read_json(directory / STATE))
    except TypeError as error:
        raise CheckpointError(f"{directory / STATE}: is not a training state ({error})") from error
    for name in ("seed", "data"):
        if getattr(state, name) != getattr(expected, name):
            values = f"{name} {getattr(state, name)}, not {getattr(expected, name)}"
            raise CheckpointError(f"{directory}: is of a run with {values}; expected another --out")
    load_weights(network, directory / WEIGHTS)
    _load_momentum(network, optimizer, directory / MOMENTUM)
    if average:
        _fill(average, directory / AVERAGE)
    return state


def _remove_old(out: Path) -> None:
    """Remove all training states but the last two."""
    for old in _states(out)[:-STAYING]:
        shutil.rmtree(old)


def _states(out: Path) -> list[Path]:
    """List the folders of training states, oldest first."""
    return sorted((p for p in (out / "checkpoints").glob("*") if p.name.isdecimal()), key=lambda p: int(p.name))


def _stored(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Return parameters and buffers by name; not the counters of batches, which nothing reads."""
    return [(n, t.detach()) for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")]


def _rounded(name: str, tensor: Tensor, bits: Bits) -> dict[str, Tensor]:
    """Return what is stored of a tensor, by name.

    32 bits: the tensor as it is. 16 bits: floats of half precision. 8 bits: tensors of two and more dimensions as
    integers from -127 to 127, and a scale for each index of the first dimension (the output channel of a convolution).
    No weight moves by more than half of its scale. Vectors stay, as they are few.
    """
    if bits == 32 or not tensor.is_floating_point() or (bits == 8 and tensor.ndim < 2):
        return {name: _contiguous(tensor)}
    if bits == 16:
        return {name: _contiguous(tensor.half())}
    scale = tensor.float().flatten(1).abs().amax(1) / 127
    steps = tensor.float() / scale.clamp(min=torch.finfo(torch.float32).tiny).view(-1, *[1] * (tensor.ndim - 1))
    return {name: _contiguous(steps.round().to(torch.int8)), name + SCALE: _contiguous(scale)}


def _contiguous(tensor: Tensor) -> Tensor:
    """Copy a tensor to the CPU, rows first: safetensors knows no channels-last."""
    return tensor.detach().cpu().contiguous()


def _momentum(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what the optimizer keeps of each parameter, as PARAMETER:KIND; momentum, which SGD keeps, as PARAMETER."""
    return {
        name if kind == "momentum_buffer" else f"{name}:{kind}": _contiguous(kept)
        for name, parameter in network.named_parameters()
        for kind, kept in optimizer.state[parameter].items()
        if kept is not None
    }


def _load_momentum(network: nn.Module, optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Give an optimizer what `_momentum` has stored: all of it, or training would go on in another way.

    Raises:
        CheckpointError: something of another network or optimizer, or a part is missing.
    """
    kinds = {"step", "exp_avg", "exp_avg_sq"} if isinstance(optimizer, torch.optim.Adam) else {"momentum_buffer"}
    parameters = dict(network.named_parameters())
    for key, tensor in _read_tensors(path).items():
        name, _, kind = key.partition(":")
        kind = kind or "momentum_buffer"
        if name not in parameters:
            like = None
        else:  # steps are a number, whatever the parameter's shape
            like = torch.zeros(()) if kind == "step" else torch.empty_like(parameters[name])
        if like is None or kind not in kinds or tensor.shape != like.shape:
            raise CheckpointError(
                f"{path}: {key} ({dimensions(tensor)}) is of no parameter of this configuration's network and optimizer"
            )
        optimizer.state[parameters[name]][kind] = like.copy_(tensor)
    for name, parameter in parameters.items():
        kept = optimizer.state[parameter]
        if kept and (missing := kinds - kept.keys()):
            raise CheckpointError(f"{path}: has no {min(missing)} of {name}, which it has other values of")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path}: does not exist")
    try:
        stored = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); it may be truncated") from error
    for name in [name for name in stored if name.endswith(SCALE)]:
        weights = name.removesuffix(SCALE)
        scale, steps = stored.pop(name), stored.get(weights)
        if steps is None or steps.dtype != torch.int8 or scale.shape != steps.shape[:1]:
            raise CheckpointError(f"{path}: {name} belongs to no tensor of 8 bits and as many channels")
        stored[weights] = steps.float() * scale.view(-1, *[1] * (steps.ndim - 1))
    return stored


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error})") from error


def _read_config(path: Path) -> Config:
    try:
        return from_json(path.read_text())
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _categories_json(catalogue: Catalogue) -> str:
    """Write categories as in COCO panoptic files."""
    return json.dumps([category.to_coco() for category in catalogue.categories], indent=1) + "\n"


def _read_categories(path: Path) -> Catalogue:
    entries = _read_json(path)
    try:
        return Catalogue(tuple(map(Category.from_coco, entries)))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: is no list of categories with id, name and isthing ({error!r})") from error


def _check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path}: {name} holds values that are not finite")


def _differences(stored: Any, asked: Any, key: str = "") -> list[str]:
    """List the settings that differ, by their dotted names."""
    if not isinstance(stored, dict) or not isinstance(asked, dict):
        return [] if stored == asked else [f"{key} {stored}, not {asked}"]
    names = [*stored, *(name for name in asked if name not in stored)]
    return [d for n in names for d in _differences(stored.get(n), asked.get(n), f"{key}.{n}".lstrip("."))]


def _synchronise(directory: Path) -> None:
    """Flush files and folder before the rename: a power cut cannot leave a state that only looks complete."""
    for path in [*directory.iterdir(), directory]:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
