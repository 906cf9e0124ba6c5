import subprocess
import sys
from pathlib import Path


def test_killed_commands_end_as_if_undisturbed():
    script = Path(__file__).with_name("killed_commands.py")  # in a process of its own, which forks without threads
    done = subprocess.run([sys.executable, script, "--count", "10"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 kills") == 5
