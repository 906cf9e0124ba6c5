"""What a report holds beside its scores agrees with them."""

import json

import numpy as np
import pytest
import random_maps
from drawings import BUS, CAR, ROAD, SKY, table

from panoptic_eval.outputs import json as json_output
from panoptic_eval.score import Tables, score


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(11)
    categories = random_maps.catalogue(rng)
    return Tables(random_maps.table(categories, random_maps.pairs(rng, categories, images=10)))


def test_the_mean_of_a_curve_is_ap(tables):
    report = score(tables)
    curves = report.precision_recall
    assert len(curves["recall"]) == 101
    for name in ("AP_mask", "AP_box"):
        for part in ("AP", "AP50", "AP75"):
            assert len(curves[name][part]) == 101
            assert np.mean(curves[name][part]) == pytest.approx(report.scores[name][part])
            assert np.all(np.diff(curves[name][part]) <= 1e-12)


def test_a_group_of_all_categories_is_the_run_and_one_of_one_is_the_category(tables):
    n = len(tables.panoptic.catalogue)
    report = score(tables, resamples=20, groups={"all": tuple(range(n)), "first": (0,)})
    whole, first = report.groups
    assert whole["categories"] == n
    for name in ("PQ", "SQ", "RQ", "PC", "mIoU"):
        assert whole[name] == pytest.approx(report.scores[name]["all"])
        assert (whole[f"{name}_low"], whole[f"{name}_high"]) == pytest.approx(report.intervals[name]["all"])
        assert first[name] == pytest.approx(report.categories[0][name], nan_ok=True)
    assert whole["AP_mask"] == pytest.approx(report.scores["AP_mask"]["AP"])


def test_reliability_has_an_interval_and_its_bins(tables):
    report = score(tables, resamples=50)
    found = report.reliability
    assert found["low"] <= found["ECE"] <= found["high"]
    assert sum(b["segments"] for b in found["bins"]) == sum(row["TP"] + row["FP"] for row in report.categories)
    assert score(Tables(table("cs", "cs", c=CAR, s=SKY, scores={"c": 5.0}))).reliability == {}


def test_label_errors_name_image_and_categories():
    pairs = table("rrrrssbbbb", "rccrsscccc".replace("cccc", "dddd"), c=CAR, d=CAR, b=BUS, s=SKY, r=ROAD)
    rows = score(Tables(pairs)).label_errors
    assert [(r["kind"], r["category"], r["gt_category"]) for r in rows] == [
        ("category", "car", "bus"),
        ("missing", "car", None),
    ]
    assert rows[1]["box"] == [1, 0, 2, 1]


def test_all_of_it_survives_json(tables, tmp_path):
    report = score(tables, resamples=5, groups={"first": (0,)})
    json_output.write(report, tmp_path / "report.json")
    read = json_output.read(tmp_path / "report.json")
    for name in ("precision_recall", "groups", "reliability", "label_errors"):
        assert json_output.dumps(getattr(read, name)) == json_output.dumps(getattr(report, name))
    assert json.loads((tmp_path / "report.json").read_text())["slices"] == []
