"""Every example runs as it stands, in an empty folder, and does what it says."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs an example in a folder of its own; gives what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))

    def run(name):
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def numbers(pattern, text):
    return [float(number) for number in re.findall(pattern, text, re.MULTILINE)]


def test_a_network_learns_and_its_pq_is_printed_each_epoch(run, tmp_path):
    quality = numbers(r"PQ (\d\.\d+)", run("training_loop"))
    assert len(quality) == 5
    assert quality[0] < quality[-1] <= 1
    assert (tmp_path / "runs/training_loop/report.json").exists()


def test_lightning_logs_scores(run):
    pytest.importorskip("lightning", reason="lightning is not installed")
    (quality,) = numbers(r"^PQ (\d\.\d+)$", run("lightning_module"))
    assert 0 <= quality <= 1


def test_an_evaluator_of_detectron2_scores_and_keeps_predictions(run, tmp_path):
    (quality,) = numbers(r"'PQ_th': (\d+\.\d+)", run("detectron2_evaluator"))
    assert quality == pytest.approx(100 * 12 / 16)  # 14 columns of a car, moved by 2
    assert len(list((tmp_path / "runs/detectron2/predictions/panoptic").glob("*.png"))) == 3


def test_mask2formers_post_processing_is_scored_as_it_comes(run):
    pytest.importorskip("transformers", reason="transformers is not installed")
    (quality,) = numbers(r"'PQ': (\d\.\d+)", run("mask2former"))
    assert 0 <= quality < 1


def test_a_head_learns_with_the_crop_aware_loss(run):
    losses = numbers(r"step \d: loss (\d+\.\d+)", run("cabb_detector"))
    assert len(losses) == 10
    assert losses[-1] < losses[0]


def test_workers_of_a_loader_cut_the_sampled_crops(tmp_path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "isus_loader.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^\(8, 3, 128, 128\) \[(?:\d, ){7}\d\]$", done.stdout, re.MULTILINE)[1:], done.stdout


def test_every_example_is_short_and_tested():
    tested = set(re.findall(r'(?:run\("|EXAMPLES / ")(\w+)', Path(__file__).read_text()))
    for file in EXAMPLES.glob("*.py"):
        assert file.stem in tested
        assert 10 <= sum(bool(line.strip()) for line in file.read_text().splitlines()) <= 40
