import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reproduce.follow import follow

ROOT = Path(__file__).parents[2]
TRAINING = """
import sys, time
from pathlib import Path
folder = Path(sys.argv[1])
for step in (2, 4):
    (folder / "kept" / str(step)).mkdir(parents=True)
    (folder / "kept" / str(step) / "model.safetensors").touch()
    began = time.time()
    while not (folder / f"scored{step}").exists() and time.time() < began + 60 and step == 2:
        time.sleep(0.01)
with (folder / "log").open("a") as log:
    log.write("trained\\n")
sys.exit(int(sys.argv[2]))
"""
EVALUATION = """
import sys
from pathlib import Path
folder = Path(sys.argv[1])
kept = sorted(p.name for p in (folder / "kept").iterdir())
with (folder / "log").open("a") as log:
    log.write(f"scored {' '.join(kept)}\\n")
for step in kept:
    (folder / f"scored{step}").touch()
sys.exit(int(sys.argv[2]))
"""


def script(text, *arguments):
    return [sys.executable, "-c", text, *map(str, arguments)]


def followed(folder, *, training=0, evaluation=0):
    follow(folder, script(TRAINING, folder, training), script(EVALUATION, folder, evaluation), os.environ, poll=0.02)
    return (folder / "log").read_text().splitlines()


def test_a_network_is_scored_while_the_run_goes_on_and_what_is_left_at_its_end(tmp_path):
    """The training waits, after it has kept its first network, until that is scored."""
    log = followed(tmp_path)
    assert log[0] == "scored 2"
    assert log[-1] == "scored 2 4"
    assert log.count("trained") == 1


def test_a_training_that_fails_is_an_error_and_so_is_the_last_evaluation_alone(tmp_path):
    with pytest.raises(subprocess.CalledProcessError, match="status 3"):
        followed(tmp_path / "a", training=3)
    with pytest.raises(subprocess.CalledProcessError, match="status 5"):
        followed(tmp_path / "b", evaluation=5)
    assert "trained" in (tmp_path / "b" / "log").read_text()  # although the first evaluation had failed, too


def test_after_a_kill_the_next_call_waits_for_the_training_that_goes_on(tmp_path):
    slow = "import sys, time; print('begun', flush=True); time.sleep(1); open(sys.argv[1], 'a').write('first\\n')"
    log = tmp_path / "run" / "log"
    call = (
        "import os, sys; from pathlib import Path; from reproduce.follow import follow; "
        f"follow(Path({str(tmp_path / 'run')!r}), {script(slow, log)!r}, ['true'], os.environ, poll=0.02)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(script(call), env=environment, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGKILL)
    began = time.perf_counter()
    second = script("import sys; open(sys.argv[1], 'a').write('second\\n')", log)
    follow(tmp_path / "run", second, ["true"], os.environ, poll=0.02)
    assert log.read_text().splitlines() == ["first", "second"], time.perf_counter() - began
