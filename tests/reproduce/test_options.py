import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELP = """
import contextlib, runpy, sys
sys.argv = [sys.argv[1], "--help"]
with contextlib.suppress(SystemExit):
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
sys.exit("torch is loaded" if "torch" in sys.modules else 0)
"""


@pytest.mark.parametrize("command", ["table1", "fig5", "fig6", "claims", "verify"])
def test_help_of_commands_that_compare_networks_loads_no_torch(command):
    done = subprocess.run(
        [sys.executable, "-c", HELP, f"reproduce.{command}"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "show this help message" in done.stdout
