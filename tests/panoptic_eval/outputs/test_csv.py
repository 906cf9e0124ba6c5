import sys

import pytest

from panoptic_eval.outputs import csv


def test_csv_reads_back_as_fractions(scored, tmp_path):
    csv.write(scored, tmp_path)
    categories = csv.read(tmp_path / "per_category.csv")
    assert categories["PQ"].tolist() == [row["PQ"] for row in scored.categories]
    assert categories["AP_mask"].isna().tolist() == [False, False, True, True]
    assert len(csv.read(tmp_path / "size_percentiles.csv")) == 5


def test_reading_a_csv_says_which_extra_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"panoptic-eval\[plots\]"):
        csv.read("size_percentiles.csv")
