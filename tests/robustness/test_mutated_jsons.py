import runpy
from pathlib import Path

OUTCOMES = runpy.run_path(str(Path(__file__).with_name("mutated_jsons.py")))["outcomes"]


def test_mutated_jsons_are_scored_or_refused(tmp_path):
    found = OUTCOMES(tmp_path, 150, seed=0)
    assert set(found) == {"scored", "refused"}, found
