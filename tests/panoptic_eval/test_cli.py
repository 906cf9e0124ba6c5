import json
import subprocess
import sys

import numpy as np
import pytest
import random_maps

from panoptic_eval.cli import main


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(8)
    categories = random_maps.catalogue(rng)
    return random_maps.write(tmp_path / "data", categories, random_maps.pairs(rng, categories, images=6))


def run(capsys, *arguments):
    main([str(a) for a in arguments])
    return capsys.readouterr().out


def test_prints_table_1_then_sizes(folders, capsys):
    gt, pred = folders
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet")
    header = out.index("|   PQ | PQ_th | PQ_st |")
    assert header < out.index("AP_mask") < out.index("from_percent")
    assert "6 images" in out
    assert "COCO panoptic" in out


def test_per_category_prints_every_category(folders, capsys):
    gt, pred = folders
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--per-category")
    for category in json.loads(gt.read_text())["categories"]:
        assert category["name"] in out


def test_images_that_were_to_be_left_out_are_counted_beside_the_others(folders, capsys):
    gt, pred = folders
    rows = json.loads(pred.read_text())
    gone = rows["annotations"].pop()
    (pred.with_suffix("") / gone["file_name"]).unlink()
    pred.write_text(json.dumps(rows))
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--missing", "skip")
    assert "5 images (1 without prediction are left out), scores" in out
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--missing", "empty")
    assert "6 images (1 without prediction count as predicted void), scores" in out


def test_faults_are_printed_and_the_exit_code_is_1(folders, capsys):
    gt, pred = folders
    with pytest.raises(SystemExit) as stop:
        run(capsys, "--pred", pred.parent / "nowhere", "--gt", gt)
    assert str(stop.value.code).startswith("panoptic-eval: 1 fault")
    done = subprocess.run(
        [sys.executable, "-m", "panoptic_eval.cli", "--pred", "nowhere", "--gt", str(gt)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "nowhere" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--pred and --gt are needed"),
        (("--pred", "a", "--gt", "b", "--shard", "1/2"), "--shard needs --out"),
        (("--pred", "a", "--gt", "b", "--out", "c", "--shard", "half"), "expected i/n"),
        (("--pairs", "a", "--gt", "b"), "takes the place"),
        (("--pairs", "nowhere"), "no pair table"),
        (("merge",), "no shard"),
    ],
)
def test_options_that_do_not_go_together(arguments, message, capsys):
    with pytest.raises(SystemExit, match=message):
        run(capsys, *arguments)


def test_shards_are_merged_into_the_same_report(folders, tmp_path, capsys):
    gt, pred = folders
    run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "whole")
    for k in (1, 2, 3):
        out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--shard", f"{k}/3", "--out", tmp_path / f"shard{k}")
        assert f"shard {k}/3: 2 images" in out
        assert not (tmp_path / f"shard{k}" / "report.json").exists()  # a part must not look whole
    run(capsys, "merge", *(tmp_path / f"shard{k}" for k in (2, 3, 1)), "--out", tmp_path / "merged")
    for name in ("per_category.csv", "per_image.csv", "size_percentiles.csv"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    whole, merged = (json.loads((tmp_path / n / "report.json").read_text()) for n in ("whole", "merged"))
    assert {**merged, "provenance": 0} == {**whole, "provenance": 0}


def test_stored_tables_are_scored_again(folders, tmp_path, capsys):
    gt, pred = folders
    first = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "out")
    assert run(capsys, "--pairs", tmp_path / "out") == first
    other = run(capsys, "--pairs", tmp_path / "out", "--percentiles", 0, 50, 100)
    assert other.count("\n") == first.count("\n") - 3


def test_the_command_loads_nothing_heavy():
    heavy = {"torch", "numba", "pandas", "pyarrow", "matplotlib", "distributed", "scipy"}
    code = f"import sys, panoptic_eval.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
