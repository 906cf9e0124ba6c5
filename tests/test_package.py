"""What would be published: both archives are valid, and hold the package alone."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import hatch_build
import panoptic_eval

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def test_twine_finds_nothing_wrong(archives):
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *archives], check=True)


def test_the_wheel_holds_the_two_packages_alone(archives):
    names = zipfile.ZipFile(archives[0]).namelist()
    info = f"panoptic_eval-{panoptic_eval.__version__}.dist-info"
    assert {Path(name).parts[0] for name in names} == {"crop_aware", "panoptic_eval", info}
    assert "panoptic_eval/py.typed" in names
    assert {n for n in names if n.endswith(".py")} == {
        str(p.relative_to(ROOT)) for package in ("crop_aware", "panoptic_eval") for p in ROOT.glob(f"{package}/**/*.py")
    }


def test_the_source_archive_builds_the_package_and_promises_no_tests(archives):
    with tarfile.open(archives[1]) as archive:
        names = {Path(*Path(name).parts[1:]) for name in archive.getnames()}
    assert {Path("pyproject.toml"), Path("README.md"), Path("LICENSE"), Path("panoptic_eval/py.typed")} <= names
    assert not [name for name in names if "test" in str(name)]


def test_a_machine_without_a_compiler_gets_one_for_the_build(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("PANOPTIC_EVAL_TARGET", raising=False)
    monkeypatch.setattr(hatch_build.importlib.util, "find_spec", lambda name: None)  # ziglang is not installed
    monkeypatch.setenv("PATH", "")
    assert hatch_build.CustomBuildHook.dependencies(None) == ["ziglang"]
    monkeypatch.setenv("CC", "cc")
    assert hatch_build.CustomBuildHook.dependencies(None) == []
