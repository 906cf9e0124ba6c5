"""What made a result: the commit of the code, and the versions of what it runs on."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def commit(root: Path = ROOT) -> str | None:
    """Return the commit checked out, with "-modified" if a tracked file differs from it; None outside a checkout."""
    if not (root / ".git").exists():  # a package that is installed below somebody else's checkout is not of it
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("-modified" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of those packages that are installed."""
    installed = {"python": platform.python_version()}
    for package in packages:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


@cache
def environment() -> dict[str, Any]:
    """Return what an evaluation ran on."""
    from panoptic_eval import __version__

    return {"version": __version__, "commit": commit(), "versions": versions(("numpy", "pillow", "pycocotools"))}


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()
