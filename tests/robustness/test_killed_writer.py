import runpy
from pathlib import Path

KILLS = runpy.run_path(str(Path(__file__).with_name("killed_writer.py")))["kills"]


def test_a_killed_writer_loses_nothing(tmp_path):
    assert KILLS(tmp_path, 6, seed=0) > 0
