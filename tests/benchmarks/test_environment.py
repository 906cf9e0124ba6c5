import sys

import pytest

from benchmarks import environment


def test_only_an_installation_with_the_core_is_measured(monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(environment.ROOT / ".venv"))
    monkeypatch.setattr(environment, "path", lambda: "fast")
    environment.require()
    monkeypatch.setattr(environment, "path", lambda: "reference")
    with pytest.raises(SystemExit, match="core is missing"):
        environment.require()
    monkeypatch.setattr(sys, "prefix", "/usr")
    with pytest.raises(SystemExit, match=r"/usr is not .*\.venv"):
        environment.require()
