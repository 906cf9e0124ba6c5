import pytest

from panoptic_eval.text import abbreviated, printable, spreadsheet


@pytest.mark.parametrize("name", ["car", "Fußgänger", "人", "a|b", "traffic sign (back)"])
def test_ordinary_names_are_left_alone(name):
    assert printable(name) == name
    assert spreadsheet(name) == name


@pytest.mark.parametrize("code", [*range(32), 127, 0x9B, 0x202E, 0x2028, 0xD800])
def test_what_moves_a_cursor_or_cannot_be_encoded_is_an_escape(code):
    shown = printable(f"a{chr(code)}b")
    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert shown.encode("ascii").decode("unicode_escape") == f"a{chr(code)}b"


@pytest.mark.parametrize("sign", list("=+-@\t\r"))
def test_what_starts_a_formula_stands_behind_an_apostrophe(sign):
    assert spreadsheet(f"{sign}1+1").startswith("'")
    assert spreadsheet(f"a{sign}") == printable(f"a{sign}")


def test_long_text_is_cut():
    assert abbreviated("a" * 80) == "a" * 80
    assert len(abbreviated("a" * 5000)) == 80
