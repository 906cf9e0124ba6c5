from model.presets import OTHERS, PRESETS
from reproduce.systems_page import FULL, PAGE, ROWS, SMALL, page


def test_the_page_is_what_the_command_writes():
    """If this fails, run `python -m reproduce.systems_page`."""
    assert PAGE.read_text() == page()


def test_every_other_system_is_on_the_page_and_can_be_trained():
    assert {row.system for row in ROWS} == {*OTHERS} - {"seamless"}
    for preset in (FULL, SMALL):
        assert {*OTHERS} <= {*PRESETS[preset]}


def test_sizes_are_beside_the_published_ones():
    rows = {line.split("|")[2].strip(" `"): line.split("|") for line in page().splitlines() if line.startswith("| ")}
    for system in ("deeplab-x71", "deeplab-hr48", "efficientps"):
        theirs, ours, small = (float(cell) for cell in rows[system][-4:-1])
        assert abs(ours / theirs - 1) < 0.01
        assert small < 2.1
