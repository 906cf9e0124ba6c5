"""Where a result comes from: code, command, settings, versions, seed and data, as JSON beside it."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from panoptic_eval.files import write_atomically
from panoptic_eval.provenance import commit, versions

PACKAGES = ("numpy", "pillow", "torch", "matplotlib", "pandas")


def provenance(*, seed: int, data: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what a result is made of and by what.

    Args:
        seed: random seed of the result.
        data: name or path as it was given, and a fingerprint of its contents.
        config: settings that the numbers depend on.
    """
    return {
        "commit": commit() or "unknown",
        "command": _command(),
        "seed": seed,
        "data": dict(data),
        "config": dict(config),
        "versions": versions(PACKAGES),
    }


def write_provenance(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record as indented JSON."""
    write_atomically(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def processor() -> str:
    """Name the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _command() -> str:
    """Return the command as it would be typed in the root of the repository."""
    program = Path(sys.argv[0])
    main = sys.modules["__main__"]
    module = getattr(getattr(main, "__spec__", None), "name", None)
    return shlex.join(["python", *(["-m", module] if module else [program.name]), *sys.argv[1:]])
