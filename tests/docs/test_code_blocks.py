"""Every block of Python and shell in the README and in docs/ runs, in order, on small data at the paths it names."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from folders import segments, write_coco, write_mapillary

from panoptic_eval import evaluate, ground_truth

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]

ELSEWHERE = {
    "bash reproduce/": "minutes to hours; their modules are tested in tests/reproduce",
    "bash tests/run.sh": "runs this",
    "pip install": "downloads; tests/test_package.py builds what is installed",
    "source .venv/bin/activate": "the tests run in an environment like it",
    "torchrun": "needs eight GPUs",
}
"""How lines of shell start that are not run here, and why."""

SMALLER = {"--training 200": "--training 2", "--validation 3": "--validation 1", "--steps 100": "--steps 1"}
"""What keeps a run short."""

BIRD, SKY, CAR = 0, 2, 3
"""Labels of `folders.VISTAS_LABELS`; the id of a category is one more."""


def blocks(document):
    """The fenced blocks of Python and shell: line number, language and text."""
    text = document.read_text()
    for match in re.finditer(r"^```(python|bash)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 2, match[1], match[2]


def commands(block):
    """The commands of a block of shell, each on one line, without comments."""
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    return [line for line in (re.sub(r"(^|\s+)#.*", "", line).strip() for line in lines) if line]


def is_elsewhere(command):
    return any(command.startswith(start) for start in ELSEWHERE)


@pytest.fixture
def place(tmp_path):
    """A folder with the data that documents name: /data (data here), predictions/, and two runs that scored them."""
    labels = np.random.default_rng(0).choice([BIRD, SKY, CAR], (4, 6, 9)).repeat(8, 1).repeat(8, 2)
    write_mapillary(tmp_path / "data" / "mvd", {f"image{k}": 256 * ids for k, ids in enumerate(labels)})
    names = ((BIRD, "Bird", 1), (SKY, "Sky", 0), (CAR, "Car", 1))
    categories = [{"id": label + 1, "name": name, "isthing": thing} for label, name, thing in names]
    info = segments(*((c["id"], c["id"]) for c in categories), score=[0.9, 0.8, 0.7])
    shifted = {f"image{k}": (np.roll(ids + 1, 3, axis=1), info) for k, ids in enumerate(labels)}
    predictions = tmp_path / "predictions"
    write_coco(predictions / "panoptic.json", shifted, categories=categories, folder=predictions / "panoptic")
    for run in ("mine", "other"):
        evaluate(predictions, ground_truth("mvd", root=tmp_path / "data"), out=tmp_path / "runs" / run)
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_run_in_order(document, place):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for line, language, text in blocks(document):
        if language == "bash":
            text = "\n".join(command for command in commands(text) if not is_elsewhere(command))
        for long, short in {**SMALLER, "/data": str(place / "data")}.items():
            text = text.replace(long, short)
        command = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{document.name}:{line}\n{text}\n{done.stdout}{done.stderr}"


def test_what_is_run_elsewhere_is_named_in_a_document():
    lines = [c for d in DOCUMENTS for _, language, text in blocks(d) if language == "bash" for c in commands(text)]
    unused = [start for start in ELSEWHERE if not any(line.startswith(start) for line in lines)]
    assert unused == []
