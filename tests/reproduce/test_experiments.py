import json

import numpy as np
import pytest
import random_maps

from model.config import to_json
from model.presets import configure, method_named
from panoptic_eval.errors import InputError
from panoptic_eval.outputs import json as reports
from panoptic_eval.outputs.markdown import score as score_text
from panoptic_eval.score import Tables, score
from reproduce import experiments


def write_run(folder, steps, *, planned=10, torn=False):
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"step": k, "loss": 4 - k / 10, "mask": 1.0, "learning_rate": 0.1, "seconds": 0.5, "instances": 40})
        for k in range(1, steps + 1)
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n" + ('{"step": 9' if torn else ""))
    if planned:
        (folder / "config.json").write_text(json.dumps({"schedule": {"steps": planned}}))


@pytest.fixture
def root(tmp_path):
    write_run(tmp_path / "e1" / "crop", 8, torn=True)
    write_run(tmp_path / "e1" / "wide", 3, planned=None)
    return tmp_path / "e1"


def test_runs_are_read_as_far_as_they_are(root):
    crop, wide = experiments.read_runs(root)
    assert (crop.name, len(crop.steps), crop.planned, crop.losses) == ("crop", 8, 10, ("mask",))
    assert (wide.name, len(wide.steps), wide.planned) == ("wide", 3, None)


def test_the_page_has_a_row_a_run_and_a_row_a_scored_checkpoint(root):
    generator = np.random.default_rng(0)
    categories = random_maps.catalogue(generator)
    report = score(Tables(random_maps.table(categories, random_maps.pairs(generator, categories, images=4))))
    reports.write(report, root / "crop" / "evaluated" / "6" / "report.json")
    out = root.parent / "page"
    experiments.main([str(root), "--out", str(out), "--about", "Trained on nothing."])
    page = out.with_name("page.md").read_text()
    assert "| CROP | 8 of 10 " in " ".join(page.split())
    assert "| wide | 3 of ? " in " ".join(page.split())
    assert f"| CROP | 6 | {100 * report.scores['PQ']['all']:.1f} |" in " ".join(page.split())
    largest = score_text("AP_box", report.size_percentiles[-1]["AP_box"])
    assert f" {largest} |" in " ".join(page.split("of the largest objects alone")[1].split())
    assert "Trained on nothing." in page
    assert out.with_name("page.png").is_file()


def test_settings_are_those_of_the_configuration(root):
    config = configure("streets", method_named("crop+isus"))
    (root / "crop" / "config.json").write_text(to_json(config))
    (root / "crop" / "checkpoints" / "8").mkdir(parents=True)
    (root / "crop" / "checkpoints" / "8" / "state.json").write_text('{"step": 8, "seed": 3, "data": "abc"}')
    crop, wide = experiments.read_runs(root)
    assert crop.settings["crop"] == str(config.sample.crop)
    assert crop.settings["r_th"] == "0.25 to 4.0"
    assert (crop.settings["seed"], crop.settings["data"]) == ("3", "abc")
    assert wide.settings == {}
    assert "| r_th | 0.25 to 4.0 | – |" in " ".join(experiments.page([crop, wide], "x.png").split())


def test_what_is_no_folder_of_runs_is_said(tmp_path, root):
    with pytest.raises(SystemExit, match=r"holds no metrics\.jsonl"):
        experiments.main([str(tmp_path / "nowhere")])
    (root / "crop" / "metrics.jsonl").write_text("loss: 3\n")
    with pytest.raises(InputError, match="not JSON lines"):
        experiments.read_runs(root)
