from model.checkpoint_files import WEIGHTS
from model.presets import OTHERS, PRESETS
from panoptic_eval.outputs.csv import write_rows
from reproduce.systems_page import FULL, NOT_MEASURED, NOT_TRAINED, PAGE, ROWS, SMALL, page


def test_the_page_is_what_the_command_writes():
    """If this fails, run `python -m reproduce.systems_page`."""
    assert PAGE.read_text() == page()


def test_every_other_system_is_on_the_page_and_can_be_trained():
    assert {row.system for row in ROWS} == {*OTHERS} - {"seamless"}
    for preset in (FULL, SMALL):
        assert {*OTHERS} <= {*PRESETS[preset]}


def rows_of(text, heading):
    """The cells of the last table below a heading that has a row for each system, by the name of the system."""
    lines = text[text.index(heading) :].splitlines()
    return {
        line.split("|")[2].strip(" `"): [c.strip() for c in line.split("|")[3:-1]] for line in lines if "| `" in line
    }


def test_sizes_are_beside_the_published_ones():
    published = rows_of(page().split("## What they cost")[0], "# The other")
    small = rows_of(page(), "The small networks")
    for system in ("deeplab-x71", "deeplab-hr48", "efficientps"):
        theirs, ours = (float(cell) for cell in published[system][-2:])
        assert abs(ours / theirs - 1) < 0.01
        assert float(small[system][0]) < 2.1


def test_numbers_of_a_network_come_with_its_folder_and_not_before(tmp_path):
    checkpoints, scored, measured = tmp_path / "checkpoints", tmp_path / "table1.csv", tmp_path / "systems.csv"
    write_rows([{"name": "adaptis", "column": "PQ", "value": 0.4567}], scored)
    costs = {
        ("adaptis", "image, s"): 1.5,
        ("adaptis", "step, s"): 3.0,
        ("crop", "step, s"): 2.0,
        ("crop", "map, s"): 4.0,
    }
    write_rows([{"name": name, "quantity": q, "value": value} for (name, q), value in costs.items()], measured)
    before = page(checkpoints, scored, measured)
    assert rows_of(before, "The small networks")["adaptis"][1:] == ["1.50", NOT_TRAINED, NOT_TRAINED]
    (checkpoints / "adaptis/seed0").mkdir(parents=True)
    (checkpoints / "adaptis/seed0" / WEIGHTS).touch()
    (checkpoints / "tascnet/seed0").mkdir(parents=True)
    (checkpoints / "tascnet/seed0" / WEIGHTS).touch()
    after = rows_of(page(checkpoints, scored, measured), "The small networks")
    assert after["adaptis"][1:] == ["1.50", "1.50", "45.7"]
    assert after["tascnet"][1:] == [NOT_MEASURED, NOT_MEASURED, "not scored yet"]
    assert after["efficientps"][1:] == [NOT_MEASURED, NOT_TRAINED, NOT_TRAINED]
    full = rows_of(before.split("The small networks")[0], "One image")
    assert full["crop"] == [NOT_MEASURED, NOT_MEASURED, "4.0", NOT_MEASURED]
    assert set(full["adaptis"]) == {NOT_MEASURED}
