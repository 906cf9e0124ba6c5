"""Tools of the loop's benchmark score the same pair; what they agree on, the tests can compute."""

import csv
import json
from dataclasses import replace

import pytest

from benchmarks import data, loop
from benchmarks.loop_contenders import CONTENDERS, Pair


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return loop.drawn(tmp_path_factory.mktemp("loop") / "pair.npz", replace(data.PRESETS["tiny"], objects=(9, 9)))


def score(tool, path):
    update, compute = CONTENDERS[tool](Pair(path))()
    return compute(update())


def test_ours_of_any_integers_and_panopticapi_agree(path):
    expected = score("panopticapi", path)
    assert 0 < expected < 1
    for tool in CONTENDERS:
        if tool.startswith("ours") and tool != "ours, category and instance":
            assert score(tool, path) == pytest.approx(expected, abs=1e-12), tool


def test_category_and_instance_are_scored_as_torchmetrics_does(path):
    pytest.importorskip("torchmetrics")
    assert score("ours, category and instance", path) == pytest.approx(score("torchmetrics", path), abs=1e-7)


def test_a_measurement_is_a_process_of_its_own_and_ends_in_a_page(path):
    run = loop.measure("ours", path, 2)
    assert run["both"] > run["update"] > 0
    rounds = [{"ours": run, "ours, int64": {**run, "both": 3 * run["both"]}}] * 2
    rows = list(csv.DictReader(loop.table(rounds).splitlines()))
    assert [(row["tool"], row["round"], row["both_by_ours"]) for row in rows[2:]] == [
        ("ours, int64", "1", "3"),
        ("ours, int64", "2", "3"),
    ]
    assert float(rows[0]["PQ"]) == run["PQ"]
    page = loop.markdown(rounds, {"commit": "abc"}, loop.described(path))
    assert "160 x 120 pixels" in page
    assert "| 1 (1–1) |" in page
    assert "| 3 (3–3) |" in page
    assert "- commit: abc" in page
    assert json.dumps(run)
