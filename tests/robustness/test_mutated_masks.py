import runpy
from pathlib import Path

OUTCOMES = runpy.run_path(str(Path(__file__).with_name("mutated_masks.py")))["outcomes"]


def test_mutated_masks_are_refused_or_read_to_their_pixels():
    found = OUTCOMES(1500, seed=0)
    assert set(found) == {"refused", "refused by its sum", "read"}
    assert min(found.values()) > 150
