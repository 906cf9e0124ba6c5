import sys

import pytest
from drawings import CAR, SKY, table

from panoptic_eval.outputs import csv
from panoptic_eval.score import Tables, score


def test_csv_reads_back_as_fractions(scored, tmp_path):
    csv.write(scored, tmp_path)
    categories = csv.read(tmp_path / "per_category.csv")
    assert categories["PQ"].tolist() == [row["PQ"] for row in scored.categories]
    assert categories["AP_mask"].isna().tolist() == [False, False, True, True]
    assert len(csv.read(tmp_path / "size_percentiles.csv")) == 5


def test_segments_are_listed_by_their_price_with_the_cause(tmp_path):
    drawing = table("ccccddss", "ccbeffss", c=CAR, d=CAR, e=SKY, f=CAR, s=SKY, b=CAR)
    csv.write_segments(drawing, tmp_path / "segments.csv")
    rows = csv.read(tmp_path / "segments.csv")
    assert rows["price"].is_monotonic_decreasing
    report = score(Tables(drawing))
    assert rows["price"].sum() == pytest.approx(1 - report.scores["PQ"]["all"], abs=1e-12)
    assert set(rows["side"]) == {"gt", "pred"}
    by_cause = rows.groupby("cause")["price"].sum()
    for cause, price in by_cause.items():
        assert price == pytest.approx(report.account["all"][cause], abs=1e-12)


def test_reading_a_csv_says_which_extra_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"panoptic-eval\[plots\]"):
        csv.read("size_percentiles.csv")
