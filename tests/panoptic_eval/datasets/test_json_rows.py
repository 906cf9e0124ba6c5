import json

import numpy as np
import pytest

from panoptic_eval.datasets.json_rows import INTEGER, NUMBER, REPORTED, column, integers, load, objects, short
from panoptic_eval.errors import InputError


def col(*values, kind=INTEGER, **options):
    faults = []
    rows = [{} if value is ... else {"key": value} for value in values]
    return column(rows, "key", kind, lambda i: f"row {i}", faults, **{"default": -5, **options}), faults


def test_a_sound_column_is_taken_as_it_is():
    assert col(1, 2, 3) == ([1, 2, 3], [])
    assert col(1, 2.5, kind=NUMBER) == ([1, 2.5], [])
    assert col() == ([], [])


def test_what_is_missing_is_a_fault_unless_optional():
    values, faults = col(1, ...)
    assert values == [1, -5]
    assert faults == ['row 1: has no "key"; expected an integer']
    assert col(1, ..., optional=True) == ([1, -5], [])


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], {}])
def test_what_is_of_another_kind_is_a_fault(value):
    values, faults = col(1, value, optional=True)
    assert values == [1, -5]
    assert len(faults) == 1
    assert faults[0].startswith('row 1: "key" is ')


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
    faults = []
    assert objects([{}, 3, [4]], "x", faults) == [{}]
    assert [fault.partition(" is ")[0] for fault in faults] == ["x[1]", "x[2]"]
    assert objects({}, "x", faults) == []
    assert faults[2] == "x is an object; expected a list of objects"


def test_integers_that_do_not_fit_stay_out_of_any_range():
    assert integers([1, 2**63, -(2**70)]).tolist() == [1, 2**63 - 1, REPORTED + 1]


def test_messages_stay_short():
    assert short([1, "a"]) == json.dumps([1, "a"])
    assert short(list(range(10))) == "a list of 10"
    assert len(short("x" * 1000)) < 100
