"""Inputs that other tools have scored, and their scores, kept beside the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3] / "shared" / "golden"


def folder(name: str) -> Path:
    """A golden folder; the test is skipped where there are none."""
    if not ROOT.is_dir():
        pytest.skip(f"golden files are kept beside the repository, and {ROOT} is not there")
    return ROOT / name


def expected(name: str) -> Any:
    """What EXPECTED.json of a golden folder says."""
    return json.loads((folder(name) / "EXPECTED.json").read_text())
