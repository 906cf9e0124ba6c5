"""The documentation builds without network, and its links lead somewhere."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import crop_aware
import panoptic_eval

pytest.importorskip("pdoc", reason="the extra `docs` builds the site")

from docs import build  # which needs pdoc

ROOT = Path(__file__).parents[2]
PUBLIC = [
    (f"{package.__name__}.{name}", getattr(package, name))
    for package in (panoptic_eval, crop_aware)
    for name in package.__all__
    if name != "__version__"
]
ALONE = """
import runpy, sys
def hook(event, _):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise PermissionError(event)
sys.addaudithook(hook)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script without network."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built by the command, which may reach nobody."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-W", "error::UserWarning", "-c", ALONE, ROOT / "docs" / "build.py", "--out", out]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_guide_is_a_page_that_all_pages_lead_to(site):
    names = ["index.html", "CHANGELOG.html", *(f"docs/{p.stem}.html" for p in (ROOT / "docs").glob("*.md"))]
    for name in names:
        text = (site / name).read_text()
        assert all(f"{other}" in text for other in names), name
    assert '<span class="kn">import</span>' in (site / "index.html").read_text()  # code is colored


@pytest.mark.parametrize(("name", "value"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_every_public_name_is_in_the_reference_with_its_docstring(name, value, site):
    package, _, attribute = name.partition(".")
    assert f'id="{attribute}"' in (site / "api" / f"{package}.html").read_text()
    assert value.__doc__
    assert not value.__doc__.startswith(f"{attribute}(")  # as dataclasses without one have
    for method, function in inspect.getmembers(value if inspect.isclass(value) else None, inspect.isfunction):
        assert function.__doc__ or method.startswith("_") or method not in vars(value), f"{name}.{method}"


def test_nothing_of_this_machine_is_in_the_pages(site):
    for page in site.rglob("*.html"):
        assert str(ROOT) not in page.read_text(), page


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h2 id="here">x</h2><a href="#here">1</a><a href="b.html#there">2</a><a href="https://example.org">3</a>'
        '<a href="#gone">4</a><a href="b.html#gone">5</a><a href="c.html">6</a><img src="https://example.org/x.png">'
    )
    (tmp_path / "b.html").write_text('<p id="there">x</p>')
    assert build.broken(tmp_path) == [
        "a.html: #gone leads to no heading or name there",
        "a.html: b.html#gone leads to no heading or name there",
        "a.html: c.html leads to no file",
        "a.html: loads https://example.org/x.png; expected a file of the site",
    ]


def test_a_link_to_a_file_that_there_is_not_names_page_and_line(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("# A\n\n[b](b.md), [c](c.md#d-e)\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n")
    (tmp_path / "c.md").write_text("# C\n\n## D, `e`?\n")
    (tmp_path / "docs" / "site").mkdir(parents=True)
    (tmp_path / "docs" / "site" / "style.css").write_text("")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    assert build.guides(tmp_path / "out") == ["README.md:3: b.md is no file of the repository"]
    assert 'href="c.html#d-e"' in (tmp_path / "out" / "index.html").read_text()
    assert '<h2 id="d-e">' in (tmp_path / "out" / "c.html").read_text()


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    assert build.build(tmp_path) == [f"{tmp_path}: holds other files; expected an empty folder, or an earlier site"]
    assert (tmp_path / "mine.txt").read_text() == "x"
