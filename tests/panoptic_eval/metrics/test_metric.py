import csv as standard_csv

import numpy as np
import pytest
from drawings import CAR, SKY, table

from panoptic_eval import metrics
from panoptic_eval.comparison import compare
from panoptic_eval.metrics import Metric
from panoptic_eval.metrics.metric import mean, summed
from panoptic_eval.metrics.panoptic_quality import PQCounts, pq_counts
from panoptic_eval.outputs import csv, markdown
from panoptic_eval.outputs import json as json_output
from panoptic_eval.pairs.table import concatenate
from panoptic_eval.score import Tables, score

MISSES = Metric("misses", "segments missed", pq_counts, lambda c: np.where(c.fn > 0, c.fn, np.nan), "lacks one", False)
"""A metric that nobody else knows: a count, not a fraction."""


@pytest.fixture
def tables():
    one = table("ccss..", "..ss..", c=CAR, s=SKY, image_id=1)
    two = table("ccdd..", "......", c=CAR, d=CAR, image_id=2)
    return Tables(concatenate([one, two]))


def test_a_metric_that_is_put_in_the_tuple_is_in_all_outputs(monkeypatch, tables, tmp_path):
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, MISSES))
    report = score(tables)
    assert report.scores["misses"]["things"] == 3
    assert report.undefined["misses.stuff"] == "no stuff category lacks one"
    assert report.categories[0]["misses"] == 3
    assert [row["misses"] for row in report.per_image] == [1, 2]

    json_output.write(report, tmp_path / "report.json")
    read = json_output.read(tmp_path)
    assert read.scores["misses"]["all"] == 3
    (line,) = (line for line in markdown.report(read).splitlines() if "segments missed" in line)
    assert [cell.strip() for cell in line.split("|")[2:5]] == ["3", "3", "–"]  # no percent
    csv.write(read, tmp_path)
    with (tmp_path / "per_category.csv").open() as file:
        assert next(standard_csv.DictReader(file))["misses"] == "3.0"

    result = compare(tables, tables, rng=np.random.default_rng(0), resamples=9)
    (row,) = (d for d in result.scores if (d.score, d.part) == ("misses", "all"))
    assert row.a == row.b == 3
    assert "segments missed" in markdown.comparison(result, "a", "b")


def test_the_order_of_the_tuple_is_the_order_of_the_outputs(monkeypatch, tables):
    monkeypatch.setattr(metrics, "METRICS", (MISSES, *metrics.METRICS[::-1]))
    assert [*score(tables).scores][:3] == ["misses", "mIoU", "PC"]


def test_sums_of_images_and_of_resamples():
    one = np.arange(6.0).reshape(3, 2)
    counts = PQCounts(one, one, one, one)
    rows = summed(counts, np.array([[1.0, 0, 0], [0, 2, 1]]))
    np.testing.assert_array_equal(rows.iou, [[6, 9], [0, 1], [8, 11]])
    np.testing.assert_array_equal(summed(counts).tp, [[6, 9]])


def test_means_leave_out_what_is_undefined():
    nan = np.nan
    np.testing.assert_array_equal(mean(np.array([[1, nan, 3], [nan, nan, nan]])), [2, nan])
    assert np.isnan(mean(np.empty((1, 0)))[0])


def test_metrics_that_share_a_count_are_counted_once(monkeypatch, tables):
    calls = []

    def count(table, rules):
        calls.append(table)
        return pq_counts(table, rules)

    shared = [Metric(name, name, count, lambda c: c.tp, "lacks one", False) for name in ("first", "second")]
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, *shared))
    report = score(tables)
    assert report.scores["first"] == report.scores["second"]
    assert len(calls) == 1
