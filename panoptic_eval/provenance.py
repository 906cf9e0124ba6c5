"""What made a result: the commit of the code, and the versions of what it runs on."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL

ROOT = Path(__file__).resolve().parents[1]


def commit(root: Path = ROOT) -> str | None:
    """Return the commit checked out, with "-modified" if a tracked file differs from it; None outside a checkout."""
    if not (root / ".git").exists():  # a package that is installed below somebody else's checkout is not of it
        return None
    import subprocess

    command = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        lines = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    head = next(line.split()[-1] for line in lines if line.startswith("# branch.oid "))
    if head == "(initial)":  # there is no commit yet
        return None
    return head + ("-modified" if any(not line.startswith("#") for line in lines) else "")


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of those packages that are installed."""
    from importlib.metadata import PackageNotFoundError, version

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

    # Modules that say their own version are asked: asking the installation takes longer than scoring some images.
    known = {"python": platform.python_version(), "numpy": np.__version__, "pillow": PIL.__version__}
    used = versions(["pycocotools"]) if "pycocotools" in sys.modules else {}
    return {"version": __version__, "commit": commit(), "versions": known | used}
