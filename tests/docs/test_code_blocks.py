"""Every block of Python and shell in the README and in docs/ runs, in order, on small data at the paths it names."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import random_maps
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

ELSEWHERE_IMPORTED = ("detectron2", "hotcoco", "torchmetrics")
"""Other tools that are not installed for the tests: blocks that import them run where they are."""

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
    """A folder with the data that documents name: /data (data here), predictions/, two runs that scored them, coco/."""
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
    write_coco_files(tmp_path / "coco")
    return tmp_path


def write_coco_files(folder):
    """Panoptic and instance files of both sides, without crowds: all tools agree on them."""
    rng = np.random.default_rng(7)
    catalogue = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, catalogue, images=6, crowds=False)
    random_maps.write(folder, catalogue, images)
    gt, results = random_maps.coco(catalogue, images)
    for row in (*gt["annotations"], *results):
        row["segmentation"]["counts"] = row["segmentation"]["counts"].decode()
    (folder / "instances_val.json").write_text(json.dumps(gt))
    (folder / "results.json").write_text(json.dumps(results))


def is_missing(block):
    """Tell whether a block imports a tool that is not installed."""
    found = [name for name in ELSEWHERE_IMPORTED if re.search(rf"^(from|import) {name}\b", block, re.MULTILINE)]
    return any(importlib.util.find_spec(name) is None for name in found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_run_in_order(document, place):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    for line, language, text in blocks(document):
        if is_missing(text):
            continue
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


@pytest.mark.parametrize("tool", ["panopticapi", "pycocotools", "torchmetrics", "hotcoco"])
def test_the_call_there_and_the_call_here_give_the_same_number(tool, place, monkeypatch, capfd):
    pytest.importorskip(tool)
    monkeypatch.chdir(place)
    page = (ROOT / "docs" / "coming-from.md").read_text()
    section = page[page.index(f"\n## {tool}\n") :].split("\n## ")[1]
    values = []
    for text in re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        names = {}
        exec(text, names)
        values.append([float(names[name]) for name in ("pq", "ap") if name in names])
    values = [given for given in values if given]
    assert len(values) >= 2
    assert all(here == pytest.approx(values[0], abs=1e-7) for here in values[1:])  # torchmetrics has 32 bits
    assert all(0 < value < 1 for value in values[0])
