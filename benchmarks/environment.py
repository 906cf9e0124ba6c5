"""What a benchmark whose results are kept is measured in: the environment that the README's commands make."""

from __future__ import annotations

import sys
from pathlib import Path

from panoptic_eval.pairs import path

ROOT = Path(__file__).resolve().parents[1]


def require() -> None:
    """End the program where results would not be those of an installation, before anything is measured."""
    if Path(sys.prefix).resolve() != ROOT / ".venv":
        raise SystemExit(f"{sys.prefix} is not {ROOT / '.venv'}, as  source reproduce/setup.sh  makes it: not measured")
    if path() != "fast":
        raise SystemExit("the compiled core is missing (python hatch_build.py makes it): not measured")
