import gzip
import json
import os

import numpy as np
import pytest
from meanings import lines

from panoptic_eval.datasets.json_rows import FLAG, IMAGE_ID, INTEGER, NUMBER, column, integers, load, objects, short
from panoptic_eval.errors import Faults, InputError


def col(*values, kind=INTEGER, **options):
    faults = Faults()
    rows = [{} if value is ... else {"key": value} for value in values]
    found = column(rows, "key", kind, lambda i: f"row {i}", faults, **{"default": -5, **options})
    assert found.sound.all() or faults
    return found.values, lines(faults)


def test_a_sound_column_is_taken_as_it_is():
    assert col(1, 2, 3) == ([1, 2, 3], [])
    assert col(1, 2.5, kind=NUMBER) == ([1, 2.5], [])
    assert col() == ([], [])


def test_what_is_missing_is_a_fault_unless_optional():
    values, faults = col(1, ...)
    assert values == [1, -5]
    assert faults == ['1 entry has no "key"; expected an integer (row 1)']
    assert col(1, ..., optional=True) == ([1, -5], [])
    assert col(1, None, optional=True) == ([1, -5], [])


@pytest.mark.parametrize("kind", [INTEGER, IMAGE_ID, FLAG])
def test_a_float_that_is_whole_is_the_integer(kind):
    values, faults = col(1, 0.0, kind=kind)
    assert values == [1, 0]
    assert all(type(value) is int for value in values)
    assert faults == []


def test_what_was_reported_is_told_by_a_mask_and_not_by_the_value():
    rows = [{"key": -(2**63)}, {"key": "x"}, {}]
    found = column(rows, "key", INTEGER, str, Faults(), default=0)
    assert found.values == [-(2**63), 0, 0]
    assert found.sound.tolist() == [True, False, False]


@pytest.mark.parametrize("value", [True, 1.5, 2.0**53, "1", [1], {}])
def test_what_is_of_another_kind_is_a_fault(value):
    values, faults = col(1, value, optional=True)
    assert values == [1, -5]
    assert len(faults) == 1
    assert '(row 1: "key" is ' in faults[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_are_finite(value):
    assert col(1, value, kind=NUMBER)[0] == [1, -5]


def test_what_is_not_json_is_read_as_far_as_python_writes_it(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"score": NaN, "id": 1' + "0" * 400 + "}")
    content = load(path)
    assert np.isnan(content["score"])
    assert content["id"] == np.inf  # not a number that would be an error later
    path.write_text('{"score":\n nan}')
    with pytest.raises(InputError, match="line 2"):
        load(path)
    with pytest.raises(InputError, match=r"none\.json.*cannot be read"):
        load(tmp_path / "none.json")


def test_only_objects_are_rows():
    faults = Faults()
    assert objects([{}, 3, [4]], "x", faults) == [{}]
    assert [place.partition(" is ")[0] for place in faults.faults[0].places] == ["x[1]", "x[2]"]
    assert objects({}, "x", faults) == []
    assert str(faults.faults[1]) == "x is an object; expected a list of objects"


def test_integers_that_do_not_fit_stay_out_of_any_range():
    assert integers([1, 2**63, -(2**70)]).tolist() == [1, 2**63 - 1, -(2**63)]


def test_messages_stay_short():
    assert short([[[1]]]) == "a list of 1"
    assert short([1, "a"]) == json.dumps([1, "a"])
    assert short(list(range(10))) == "a list of 10"
    assert len(short("x" * 1000)) < 100


def test_a_compressed_file_is_read(tmp_path):
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}'))
    assert load(path) == {"a": 1}
    for damaged in (path.read_bytes()[:-9], b"{}"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be decompressed"):
            load(path)


def test_a_file_costs_what_it_weighs(tmp_path, monkeypatch):
    monkeypatch.setattr("panoptic_eval.datasets.json_rows.MAX_BYTES", 1000)
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b" " * 2000))
    with pytest.raises(InputError, match="more than 1000 bytes"):
        load(tmp_path / "x.json.gz")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="no regular file"):
        load(tmp_path / "pipe.json")


@pytest.mark.parametrize(
    "text", ["[" * 5000 + "]" * 5000, '"\\ud800"', '[NaN, "\\ud800"]', "[NaN, " + "[" * 5000, "9" * 5000, "1e999"]
)
def test_what_no_program_could_store_is_no_json(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: line 1, column \d+: not valid JSON: "):
        load(tmp_path / "x.json")
