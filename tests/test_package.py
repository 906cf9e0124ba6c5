"""What would be published: both archives are valid. tests/release says what they hold."""

import subprocess
import sys
from pathlib import Path

import pytest

import hatch_build

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def test_twine_finds_nothing_wrong(archives):
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *archives], check=True)


def test_a_machine_without_a_compiler_gets_one_for_the_build(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("PANOPTIC_EVAL_TARGET", raising=False)
    monkeypatch.setattr(hatch_build.importlib.util, "find_spec", lambda name: None)  # ziglang is not installed
    monkeypatch.setenv("PATH", "")
    assert hatch_build.CustomBuildHook.dependencies(None) == ["ziglang"]
    monkeypatch.setenv("CC", "cc")
    assert hatch_build.CustomBuildHook.dependencies(None) == []
