"""Files of a network on disk: their names, what tells one network from another, and the error of those that are unfit.

Commands that only name checkpoints import this, and not torch with it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

WEIGHTS, CONFIG, CATEGORIES = "model.safetensors", "config.json", "categories.json"


class CheckpointError(ValueError):
    """A checkpoint that does not fit or cannot be read: names the file and, where it is one, the parameter."""


def fingerprint(checkpoint: Path) -> str:
    """Return the SHA-256 of a checkpoint's weights."""
    return hashlib.sha256((checkpoint / WEIGHTS).read_bytes()).hexdigest()
