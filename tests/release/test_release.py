"""One version everywhere, and archives that hold what they should."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import panoptic_eval
from release import check, version

ROOT = Path(__file__).parents[2]


def of_changelog(text):
    """Versions and dates of the headings, the newest first; no date of one that is not released."""
    return re.findall(r"^## (\d+\.\d+\.\d+\S*)(?: \((\d{4}-\d\d-\d\d)\))?$", text, re.MULTILINE)


def numbers(text):
    return tuple(map(int, re.findall(r"\d+", text)))


def test_every_file_says_the_version_of_the_package():
    assert check.version() == panoptic_eval.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == panoptic_eval.__version__
    assert recipe()["context"]["version"] == panoptic_eval.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "panoptic_eval/__init__.py"
    shown = subprocess.run([sys.executable, "-m", "panoptic_eval.cli", "--version"], capture_output=True, text=True)
    assert shown.stdout == f"panoptic-eval {panoptic_eval.__version__}\n"


def test_the_changelog_goes_from_unreleased_to_the_version_of_the_package_and_down():
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    versions = [numbers(v) for v, _ in of_changelog(text)]
    assert len(versions) == len(headings) - 1
    assert versions == sorted(versions, reverse=True)
    assert versions[0] == numbers(panoptic_eval.__version__)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest, *released = [date for _, date in of_changelog(text)]
    assert newest == str(citation.get("date-released", ""))
    assert all(released)


def test_a_new_version_is_written_everywhere_and_dated(tmp_path):
    for name in version.LINES:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    first = panoptic_eval.__version__
    for new, date in ((first, "2031-01-02"), ("7.8.9", "2031-02-03"), ("7.9.0", "2031-03-04")):
        version.set_version(new, date, tmp_path)
        assert check.version(tmp_path) == new
        citation = yaml.safe_load((tmp_path / "CITATION.cff").read_text())
        assert (citation["version"], str(citation["date-released"])) == (new, date)
        assert yaml.safe_load((tmp_path / "release/recipe.yaml").read_text())["context"]["version"] == new
    changelog = (tmp_path / "CHANGELOG.md").read_text()
    dates = [("7.9.0", "2031-03-04"), ("7.8.9", "2031-02-03"), (first, "2031-01-02")]
    assert of_changelog(changelog)[:3] == dates
    assert changelog.index("## Unreleased") < changelog.index("## 7.9.0")


@pytest.mark.parametrize("name", [None, *version.LINES])
def test_what_is_no_version_or_has_no_place_changes_nothing(name, tmp_path):
    for each in version.LINES:
        (tmp_path / each).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / each).write_text("nothing\n" if each == name else (ROOT / each).read_text())
    before = {each: (tmp_path / each).read_text() for each in version.LINES}
    with pytest.raises(ValueError, match=re.escape(name or "0.2: is no version; expected such as 0.2.0")):
        version.set_version("0.2.0" if name else "0.2", "2031-02-03", tmp_path)
    assert {each: (tmp_path / each).read_text() for each in version.LINES} == before


def test_the_citation_has_what_its_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert all(citation[key] for key in ("message", "title", "authors"))
    assert all(reference["type"] and reference["authors"] for reference in citation["references"])


def recipe():
    return yaml.safe_load((ROOT / "release" / "recipe.yaml").read_text())


def test_the_conda_recipe_asks_for_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [f"python {project['project']['requires-python']}"]
    wanted += [re.sub(r"(?=[<>=])", " ", line, count=1) for line in project["project"]["dependencies"]]
    found = recipe()["requirements"]
    assert sorted(found["run"]) == sorted(wanted)
    assert set(project["build-system"]["requires"]) <= {line.replace(" ", "") for line in found["host"]}
    assert recipe()["about"]["summary"] == project["project"]["description"]
    assert recipe()["about"]["license"] == project["project"]["license"]


def test_the_workflow_runs_scripts_that_there_are():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == ["bash .ci/run", "bash release/build.sh", "bash docs/build.sh"]
    assert all((ROOT / command.split()[1]).is_file() for command in commands)
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f">={tested[0]}" == supported


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture
def copied(dist, tmp_path):
    return Path(shutil.copytree(dist, tmp_path / "dist"))


def test_the_archives_are_as_they_should_be(dist):
    assert check.faults(dist) == []
    assert {"model", "streets", "tests", "reproduce"}.isdisjoint(name.split("/")[0] for name in check.sources())
    assert {
        "crop_aware/cabb.py",
        "panoptic_eval/outputs/report.schema.json",
        "panoptic_eval/py.typed",
    } <= check.sources()


def test_a_wheel_with_too_much_or_too_little_is_refused(copied):
    (wheel,) = copied.glob("*.whl")
    _rewrite(wheel, leave_out="report.schema.json", add={"model/config.py": b""})
    assert check.faults(copied) == [
        f"{wheel.name}: lacks panoptic_eval/outputs/report.schema.json",
        f"{wheel.name}: holds model/config.py, which is not of the package",
    ]


def test_a_core_for_another_machine_or_a_newer_system_is_refused(copied):
    (wheel,) = copied.glob("*.whl")
    elf = bytearray(64)
    elf[:4], elf[18:20] = b"\x7fELF", (243).to_bytes(2, "little")
    target = wheel.with_name(re.sub(r"none-.*", "none-manylinux_2_17_aarch64.whl", wheel.name))
    _rewrite(wheel, leave_out="core.so", add={check.CORE: bytes(elf) + b"GLIBC_2.34"})
    wheel.rename(target)
    assert check.faults(copied) == [
        f"{target.name}: {check.CORE} is not for the machine of the wheel's name, aarch64",
        f"{target.name}: {check.CORE} needs glibc 2.34; expected 2.17 or older",
    ]


def test_archives_of_another_version_are_refused(copied):
    (wheel,), (sdist,) = copied.glob("*.whl"), copied.glob("*.tar.gz")
    wheel.rename(wheel.with_name(wheel.name.replace(panoptic_eval.__version__, "0.0.1")))
    with tarfile.open(sdist) as archive:
        archive.extractall(copied / "x", filter="data")
    info = next((copied / "x").iterdir()) / "PKG-INFO"
    info.write_text(info.read_text().replace(f"\nVersion: {panoptic_eval.__version__}", "\nVersion: 0.0.1"))
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(info.parent, info.parent.name)
    found = check.faults(copied)
    assert len(found) == 2
    assert "is of another version" in found[0]
    assert f"its metadata say version 0.0.1; expected {panoptic_eval.__version__}" in found[1]


def test_a_folder_without_archives_is_said(tmp_path):
    assert check.faults(tmp_path) == [
        f"{tmp_path}: has no wheel",
        f"{tmp_path}: has no source archive; expected panoptic_eval-{panoptic_eval.__version__}.tar.gz alone",
    ]


def _rewrite(path, *, leave_out, add):
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist() if not name.endswith(leave_out)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**content, **add}.items():
            archive.writestr(name, data)
