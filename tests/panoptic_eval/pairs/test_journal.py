import numpy as np
import pytest

from panoptic_eval.errors import InputError
from panoptic_eval.pairs.counts import Overlaps
from panoptic_eval.pairs.journal import SIGN, Journal
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
        assert_equal(journal.counts("two")[0], counts(2))
        assert journal.digest("three") is None


def test_overlaps_with_masks_are_kept_with_the_counts(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.add("one", "abc", counts(1), Overlaps(np.array([7, 7]), np.array([0, 1]), np.array([5, 2**40])))
        journal.add("two", "def", counts(2), Overlaps(*np.zeros((3, 0), int)))
        journal.add("three", "ghi", counts(3))
    with Journal(tmp_path / "j") as journal:
        kept = journal.counts("one")[1]
        assert [values.tolist() for values in (kept.id, kept.mask, kept.pixels)] == [[7, 7], [0, 1], [5, 2**40]]
        assert kept.near is None
        assert len(journal.counts("two")[1].id) == 0
        assert journal.counts("three")[1] is None


def test_of_two_records_the_later_counts(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.add("one", "old", counts(1))
        journal.add("one", "new", counts(2))
    with Journal(tmp_path / "j") as journal:
        assert journal.digest("one") == "new"
        assert_equal(journal.counts("one")[0], counts(2))


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


def test_damage_anywhere_costs_counting_again_and_nothing_else(tmp_path):
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.add("one", "abc", counts(1))
        journal.add("two", "def", counts(2))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in {0, 22, *rng.integers(0, len(whole), 300).tolist()}:
        data = bytearray(whole)
        data[at] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        if at < len(SIGN):
            with pytest.raises(InputError, match="j: is no journal of panoptic-eval"):
                Journal(path)
            assert path.read_bytes() == bytes(data)
            continue
        with Journal(path) as journal:
            for key, digest, seed in (("one", "abc", 1), ("two", "def", 2)):
                if journal.digest(key) is not None:
                    assert journal.digest(key) == digest
                    assert_equal(journal.counts(key)[0], counts(seed))


def test_a_journal_of_another_version_is_begun_anew(tmp_path):
    (tmp_path / "j").write_bytes(SIGN + b"1\nwhatever")
    with Journal(tmp_path / "j") as journal:
        journal.add("one", "abc", counts(1))
    with Journal(tmp_path / "j") as journal:
        assert journal.digest("one") == "abc"


def test_a_file_of_somebody_else_is_left_alone(tmp_path):
    for content in (b"mine", b"{}", bytes(1000)):
        (tmp_path / "j").write_bytes(content)
        with pytest.raises(InputError, match="is no journal"):
            Journal(tmp_path / "j")
        assert (tmp_path / "j").read_bytes() == content


def test_a_journal_without_an_image_is_not_left(tmp_path):
    with Journal(tmp_path / "j"):
        assert (tmp_path / "j").exists()
    assert not (tmp_path / "j").exists()
