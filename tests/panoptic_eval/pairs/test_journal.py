import numpy as np
import pytest

from panoptic_eval.pairs.journal import Journal
from panoptic_eval.pairs.reference import count_labels


def counts(seed):
    rng = np.random.default_rng(seed)
    return count_labels(*rng.integers(0, 5, (2, 4, 6)).astype(np.uint32))


def assert_equal(a, b):
    assert (a.height, a.width) == (b.height, b.width)
    for side in ("gt", "pred", "pairs"):
        for name, values in vars(getattr(a, side)).items():
            np.testing.assert_array_equal(values, getattr(getattr(b, side), name))


def test_what_is_kept_is_there_after_a_restart(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.add("one", "abc", counts(1))
        journal.add("two", "def", counts(2))
    with Journal(tmp_path / "j") as journal:
        assert journal.digest("one") == "abc"
        assert_equal(journal.counts("two"), counts(2))
        assert journal.digest("three") is None


def test_of_two_records_the_later_counts(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.add("one", "old", counts(1))
        journal.add("one", "new", counts(2))
    with Journal(tmp_path / "j") as journal:
        assert journal.digest("one") == "new"
        assert_equal(journal.counts("one"), counts(2))


@pytest.mark.parametrize("lost", [1, 5, 100])
def test_a_torn_record_is_cut_off_and_the_rest_kept(tmp_path, lost):
    with Journal(tmp_path / "j") as journal:
        journal.add("one", "abc", counts(1))
        journal.add("two", "def", counts(2))
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole[:-lost])
    with Journal(tmp_path / "j") as journal:
        assert journal.digest("one") == "abc"
        assert journal.digest("two") is None
        journal.add("two", "def", counts(2))
    assert (tmp_path / "j").read_bytes() == whole


def test_a_damaged_record_does_not_count(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.add("one", "abc", counts(1))
    data = bytearray((tmp_path / "j").read_bytes())
    data[-1] ^= 1
    (tmp_path / "j").write_bytes(data)
    with Journal(tmp_path / "j") as journal:
        assert journal.digest("one") is None
