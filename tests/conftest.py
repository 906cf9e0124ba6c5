"""Compiles the core of a checkout where it is missing or older than its sources, so that the tests are of these."""

from __future__ import annotations

import pytest
from hypothesis import settings

import hatch_build

settings.register_profile("any machine", deadline=None)  # a busy one is no fault
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    sources = max(path.stat().st_mtime for path in hatch_build.FOLDER.glob("*.[ch]"))
    library = hatch_build.LIBRARY
    compiler = hatch_build.compiler()
    stale = not library.exists() or library.stat().st_mtime < sources
    if stale and compiler is not None and not hasattr(config, "workerinput"):
        hatch_build.compile_core(compiler, library)
