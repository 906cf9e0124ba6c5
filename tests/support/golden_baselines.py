"""Golden numbers of the baselines' own code, in any folder that has their form."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(os.environ.get("GOLDEN_BASELINES", Path(__file__).parents[3] / "shared/golden/baselines"))


def cases(name: str) -> list[object]:
    """All files of one kind as parameters of a test; one that skips, and says why, where there are none."""
    files = sorted((FOLDER / name).glob("*.npz"))
    reason = f"no golden numbers in {FOLDER / name}"
    return [pytest.param(f, id=f.stem) for f in files] or [pytest.param(None, marks=pytest.mark.skip(reason=reason))]


def read(file: Path) -> dict[str, np.ndarray]:
    """The arrays of one file by name."""
    with np.load(file) as arrays:
        return dict(arrays)
