"""Where a result comes from: code, command, settings, versions, seed and data, as JSON beside it."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from panoptic_eval.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("numpy", "pillow", "torch", "matplotlib", "pandas")


def provenance(*, seed: int, data: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a result has to say about itself.

    Args:
        seed: of all that was random.
        data: the data set: its name or path as it was given, and a fingerprint of its contents.
        config: settings that numbers depend on.
    """
    return {
        "commit": commit(),
        "command": _command(),
        "seed": seed,
        "data": dict(data),
        "config": dict(config),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def write_provenance(path: Path, record: Mapping[str, Any]) -> None:
    """The record as indented JSON."""
    write_atomically(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def commit() -> str:
    """The checked-out commit, with "-modified" if a tracked file differs from it; "unknown" outside of git."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("-modified" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _command() -> str:
    """As it would be typed in the root of the repository."""
    program = Path(sys.argv[0])
    main = sys.modules["__main__"]
    module = getattr(getattr(main, "__spec__", None), "name", None)
    return shlex.join(["python", *(["-m", module] if module else [program.name]), *sys.argv[1:]])


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
