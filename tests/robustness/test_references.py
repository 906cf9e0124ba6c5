import runpy
from pathlib import Path

import pytest

DIFFERENCES = runpy.run_path(str(Path(__file__).with_name("references.py")))["differences"]


@pytest.mark.parametrize("seed", range(12))
def test_random_data_sets_score_as_in_the_references(tmp_path, seed):
    assert DIFFERENCES(tmp_path, seed) == []
