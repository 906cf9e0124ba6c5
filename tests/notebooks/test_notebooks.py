"""Notebooks run from top to bottom. As a command, stores what they show:  python tests/notebooks/test_notebooks.py"""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
STREETS = ROOT / "results" / "streets"
READS = {
    "cabb_in_one_dimension": (),
    "isus_scales": ("fig2.json", "fig2_iou.csv", "fig2_levels.csv", "fig2_scales.csv"),
    "size_percentiles": ("fig5.csv",),
}
"""Files of results/streets that each notebook reads."""


def missing(name: str) -> list[str]:
    return [file for file in READS[name] if not (STREETS / file).is_file()]


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
        (cell.id, tuple(sorted(output.get("data", [output.output_type]))))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]


def test_every_notebook_is_known():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(READS)


@pytest.mark.parametrize("name", READS)
def test_runs_and_shows_what_is_stored(name):
    if missing(name):
        pytest.skip(f"{name}.ipynb reads {', '.join(missing(name))} in results/streets, which is not there")
    stored = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(stored)
    kinds = [kind for _, shown in outputs(stored) for kind in shown]
    assert "image/png" in kinds
    assert set(kinds) == {"image/png", "text/plain"}  # no warning, no error
    assert outputs(executed(name)) == outputs(stored)


if __name__ == "__main__":
    for each in READS:
        if missing(each):
            print(f"{each}: left as it is, as {', '.join(missing(each))} is not in results/streets")
        else:
            nbformat.write(executed(each), NOTEBOOKS / f"{each}.ipynb")
            print(f"{each}: stored")
