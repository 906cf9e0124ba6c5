"""Faults and warnings: a line a kind, every example kept."""

import pickle

import pytest

from panoptic_eval.errors import SHOWN, Fault, Faults, InputError

WITHOUT = "[image has|images have] no annotation; [it is|they are] left out"


def message(faults, **options):
    with pytest.raises(InputError) as error:
        faults.check(**options)
    return str(error.value)


def test_thirty_thousand_faults_of_a_kind_are_one_line():
    faults = Faults()
    for k in range(30_000):
        faults.add(WITHOUT, f"gt.json: image {k}")
    assert message(faults) == (
        "1 fault in the input:\n- 30000 images have no annotation; they are left out (first: gt.json: image 0)"
    )


def test_one_and_several_are_told_in_their_own_form():
    assert str(Fault(WITHOUT, ("a",))) == "1 image has no annotation; it is left out (a)"
    assert str(Fault(WITHOUT, ("a", "b"))) == "2 images have no annotation; they are left out (first: a)"
    assert str(Fault("isthing is missing", ("a",))) == "isthing is missing (a)"
    assert str(Fault("isthing is missing", ("a", "b"))) == "isthing is missing (first of 2: a)"


def test_no_place_is_no_fault_and_none_is_one_without_place():
    faults = Faults()
    faults.add(WITHOUT, [])
    faults.warn(WITHOUT, iter(()))
    assert not faults
    assert not faults.warnings
    faults.add("the file is empty")
    assert [str(fault) for fault in faults.faults] == ["the file is empty"]


def test_the_likely_cause_stands_first():
    faults = Faults()
    faults.add("consequence", "a")
    faults.add("cause", "b", likely_cause=True)
    assert [fault.kind for fault in faults.faults] == ["cause", "consequence"]


def test_warnings_are_raised_only_when_strict():
    faults = Faults()
    faults.warn(WITHOUT, ["a", "b"])
    faults.check()
    assert "2 images have no annotation" in message(faults, strict=True)


def test_an_error_and_a_collector_join_another():
    faults, other = Faults(), Faults()
    other.add("kind", ["a", "b"])
    other.warn("odd", "w")
    faults.add("kind", "z")
    faults.extend(other)
    faults.extend(InputError("alone"))
    assert [(fault.kind, fault.places) for fault in faults.faults] == [("kind", ("z", "a", "b")), ("alone", ())]
    assert faults.warnings == ("odd (w)",)


def test_each_example_survives_the_way_to_another_process():
    faults = Faults()
    faults.add(WITHOUT, ["a", "b"])
    with pytest.raises(InputError) as error:
        faults.check()
    again = pickle.loads(pickle.dumps(error.value))
    assert again.faults[0].places == ("a", "b")
    assert str(again) == str(error.value)


def test_kinds_beyond_a_screen_are_counted():
    text = str(InputError([f"kind {k}" for k in range(SHOWN + 3)]))
    assert text.startswith(f"{SHOWN + 3} faults")
    assert text.endswith("… and 3 more")


def test_text_from_files_cannot_speak_to_the_terminal():
    assert "\x1b" not in str(Fault("[file|files]", ("\x1b[2J.png",)))
    assert "\x1b" not in str(InputError("\x1b[2J.png"))
