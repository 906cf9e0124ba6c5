import runpy
from pathlib import Path

import pytest

OUTCOMES = runpy.run_path(str(Path(__file__).with_name("mutated_against_panopticapi.py")))["outcomes"]
FINE = {"refused by both", "refused by ours alone", "scored by ours alone", "the same", "differs, as documented"}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_panopticapi_scores_has_its_numbers_or_is_refused(tmp_path):
    found = OUTCOMES(tmp_path, 120, seed=0)
    assert set(found) <= FINE | {"no JSON"}
    assert found["the same"] > 5
