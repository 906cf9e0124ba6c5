"""Files of a network on disk: their names, what tells one network from another, and the error of those that are unfit.

Commands that only name checkpoints import this, and not torch with it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

WEIGHTS, CONFIG, CATEGORIES = "model.safetensors", "config.json", "categories.json"

KEPT = "kept"
"""Folder of a training run with the networks that it keeps on its way, KEPT/STEP."""


class CheckpointError(ValueError):
    """A checkpoint that does not fit or cannot be read: names the file and, where it is one, the parameter."""


def kept_networks(run: Path) -> list[tuple[int, Path]]:
    """List the networks that a training run has kept so far: number of steps done, and folder; the first ones first."""
    folders = [path.parent for path in (run / KEPT).glob(f"*/{WEIGHTS}") if path.parent.name.isdecimal()]
    return sorted((int(folder.name), folder) for folder in folders)


def fingerprint(checkpoint: Path) -> str:
    """Return the SHA-256 of a checkpoint's weights."""
    return hashlib.sha256((checkpoint / WEIGHTS).read_bytes()).hexdigest()
