import runpy
from pathlib import Path

MUTATED = runpy.run_path(str(Path(__file__).with_name("mutated_tables.py")))


def test_mutated_tables_are_scored_or_refused(tmp_path):
    found = MUTATED["outcomes"](tmp_path, 60, seed=0)
    assert set(found) == {"scored", "refused"}, found


def test_without_a_mutation_they_are_scored(tmp_path):
    MUTATED["write"](tmp_path / "tables.npz", MUTATED["whole"](tmp_path / "tables.npz"))
    assert MUTATED["outcome"](tmp_path / "tables.npz") == "scored"
