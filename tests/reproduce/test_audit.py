import pytest

from reproduce.audit import audit, published, stuff_gain, weighted_mean


def row(**cells):
    empty = dict.fromkeys(published()[0], "")
    return {**empty, "dataset": "cityscapes", **{k: str(v) for k, v in cells.items()}}


def test_the_mean_is_over_categories():
    assert weighted_mean(row(PQ_th=60, PQ_st=79), "PQ") == pytest.approx((8 * 60 + 11 * 79) / 19)
    assert weighted_mean(row(PQ_th=60), "PQ") is None


def test_dagger_of_stuff_follows_from_the_others():
    assert stuff_gain(row(PQ_th=60, PQ_st=70, PQ_dagger=(8 * 60 + 11 * 72) / 19)) == pytest.approx(2)


def test_twenty_of_the_complete_rows_agree_and_all_covering():
    rows = published()
    complete = [r for r in rows if weighted_mean(r, "PQ") is not None]
    assert len(complete) == 21
    off = [r for r in complete if abs(float(r["PQ"]) - weighted_mean(r, "PQ")) > 0.1]
    assert [(r["dataset"], r["network"]) for r in off] == [("cityscapes", "CROP")]
    assert sum(weighted_mean(r, "PC") is not None for r in rows) == 13


def test_the_suspicious_cells():
    rows = published()
    assert {(rows[k]["dataset"], rows[k]["network"], column) for k, column, _ in audit(rows)} == {
        ("mvd", "FULL", "PQ_dagger"),
        ("cityscapes", "FULL", "mIoU"),
        ("cityscapes", "CROP", "PQ"),
    }


def test_a_consistent_table_has_no_marks():
    assert audit([row(PQ=71, PQ_th=60, PQ_st=79, mIoU=80, PQ_dagger=69)]) == []
