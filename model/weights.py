"""ImageNet weights for a body, from a local file of the official or timm's naming."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn


@dataclass(frozen=True)
class LoadReport:
    """Which tensors of a file went where."""

    path: Path
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    """Names in the body that the file lacks: left as they were."""
    unexpected: tuple[str, ...]
    """Names in the file that the body lacks: unused. A classification head is expected to be here."""

    def __str__(self) -> str:
        lines = [f"{self.path}: {len(self.matched)} tensors loaded"]
        for what, names in (("missing, left as drawn", self.missing), ("not used", self.unexpected)):
            if names:
                roots = sorted({name.split(".")[0] for name in names})
                lines.append(f"{len(names)} {what}: of {', '.join(roots)}")
        return "\n".join(lines)


class WeightsError(ValueError):
    """A file of weights that does not fit: names it, and says why."""


def load_body_weights(body: nn.Module, path: Path) -> LoadReport:
    """Load a body's weights in place.

    Args:
        body: an HRNet, ResNet or EfficientNet, whose file has layers for squeeze-and-excitation as well: unused.
        path: safetensors, or a .pth that holds tensors only (it is read without running code), under `state_dict` or
            not, with or without a leading `module.`.

    Raises:
        WeightsError: the file cannot be read, a tensor has another shape or a value that is not finite, or not one name
            is the body's.
    """
    stored = _read(path)
    expected = body.state_dict()
    matched = tuple(name for name in expected if name in stored)
    # Batches seen are a counter that old files lack and nothing reads.
    missing = tuple(name for name in expected if name not in stored and not name.endswith("num_batches_tracked"))
    if not matched:
        names = ", ".join(list(stored)[:3])
        raise WeightsError(f"{path}: no tensor has a name of this body's; it holds {names}, …")
    for name in matched:
        if stored[name].shape != expected[name].shape:
            raise WeightsError(
                f"{path}: {name} is {dimensions(stored[name])}, this body's is {dimensions(expected[name])}"
            )
        if not stored[name].isfinite().all():
            raise WeightsError(f"{path}: {name} holds values that are not finite")
    body.load_state_dict({name: stored[name] for name in matched}, strict=False)
    return LoadReport(path, matched, missing, tuple(name for name in stored if name not in expected))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        safe = path.suffix == ".safetensors"
        tensors: Any = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: cannot be read as weights: {error}") from error
    if isinstance(tensors, dict) and isinstance(tensors.get("state_dict"), dict):
        tensors = tensors["state_dict"]
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise WeightsError(f"{path}: must hold a dictionary of tensors, or one under 'state_dict'")
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def dimensions(tensor: Tensor) -> str:
    """Write the shape of a tensor for messages, such as 64x3x7x7."""
    return "x".join(map(str, tensor.shape)) or "a number"
