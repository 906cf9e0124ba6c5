"""Scores two images with the installed package, as a script and by the command. Fails if the core is missing."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np

import panoptic_eval
from panoptic_eval import Catalogue, Category, PredictionWriter, evaluate

catalogue = Catalogue((Category(1, "road", isthing=False), Category(2, "car", isthing=True)))
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    with PredictionWriter(folder / "pred", catalogue) as writer:
        for image in range(2):
            labels = np.ones((20, 30), int)
            labels[5:9, 4 : 12 + image] = 2
            writer.write(image, labels, [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 2, "score": 0.9}])
    report = evaluate(folder / "pred", folder / "pred" / "panoptic.json")
    assert report.scores["PQ"] == {"all": 1, "things": 1, "stuff": 1}, report.scores
    assert report.provenance["path"] == "fast", "the compiled core is not in the package"
    command = [
        str(Path(sys.executable).with_name("panoptic-eval")),
        "--json",
        "--quiet",
        "--pred",
        str(folder / "pred"),
    ]
    command += ["--gt", str(folder / "pred" / "panoptic.json")]
    printed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert printed["scores"]["AP_mask"]["AP"] == 1, printed["scores"]
schema = json.loads((files("panoptic_eval.outputs") / "report.schema.json").read_text())
assert set(schema["required"]) == set(printed)
print(f"panoptic-eval {panoptic_eval.__version__} scores")
