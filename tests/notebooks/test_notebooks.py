"""Notebooks run from top to bottom. As a command, stores what they show:  python tests/notebooks/test_notebooks.py"""

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
RESULTS = ROOT / "results" / "streets-2"
READS = {
    "cabb_in_one_dimension": (),
    "first_evaluation": (),
    "isus_scales": ("fig2.json", "fig2_iou.csv", "fig2_levels.csv", "fig2_scales.csv"),
    "size_percentiles": ("fig5.csv",),
}
"""Files of results/streets-2 that each notebook reads."""
FROM_THE_WHEEL = ("first_evaluation",)
"""Notebooks that need the installed package with its plots alone. They print, and show reports and tables as HTML."""


def missing(name: str) -> list[str]:
    return [file for file in READS[name] if not (RESULTS / file).is_file()]


def executed(name: str) -> nbformat.NotebookNode:
    """By a fresh kernel in the notebook's own folder; says nothing of when, and by which version."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    place = {"metadata": {"path": str(NOTEBOOKS)}}
    NotebookClient(notebook, kernel_name="python3", timeout=300, record_timing=False, resources=place).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[tuple[str, tuple[str, ...]]]:
    """List, for every output, the cell and the kinds of what it shows."""
    return [
        (cell.id, tuple(sorted(output.get("data", [output.get("name", "").replace("stdout", "stream")]))))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]


def test_every_notebook_is_known():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(READS)


@pytest.mark.parametrize("name", READS)
def test_runs_and_shows_what_is_stored(name):
    if missing(name):
        pytest.skip(f"{name}.ipynb reads {', '.join(missing(name))} in results/streets-2, which is not there")
    stored = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(stored)
    assert str(Path(sys.prefix)) not in nbformat.writes(stored)  # nothing of the machine that stored it
    kinds = [kind for _, shown in outputs(stored) for kind in shown]
    assert "image/png" in kinds
    also = {"text/html", "stream"} if name in FROM_THE_WHEEL else set()
    assert set(kinds) == {"image/png", "text/plain"} | also  # no warning, no error
    assert outputs(executed(name)) == outputs(stored)


@pytest.mark.parametrize("name", FROM_THE_WHEEL)
def test_what_a_newcomer_runs_imports_nothing_that_the_wheel_does_not_bring(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", code, re.MULTILINE))
    assert imported <= {"panoptic_eval", "numpy", "matplotlib", "pandas", "PIL", *sys.stdlib_module_names}


if __name__ == "__main__":
    for each in READS:
        if missing(each):
            print(f"{each}: left as it is, as {', '.join(missing(each))} is not in results/streets-2")
        else:
            nbformat.write(executed(each), NOTEBOOKS / f"{each}.ipynb")
            print(f"{each}: stored")
