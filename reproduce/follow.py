"""A training run, and beside it, in processes of their own, what scores the networks that it keeps."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from model.checkpoint_files import kept_networks

POLL = 5.0
"""Seconds between looks at what a run has done."""
LOCK = ".lock"
"""File of a run's folder that its training holds."""


def follow(
    folder: Path,
    training: Sequence[str],
    evaluation: Sequence[str],
    environment: Mapping[str, str],
    *,
    poll: float = POLL,
) -> None:
    """Carry out a training command, and another one beside it whenever it has kept a network, and at its end.

    What the second one leaves undone on the way, its last call does, whose failure counts. If this process is killed,
    the training that it has started goes on; the next call waits for it, so that no folder has two.

    Args:
        folder: of the run.
        training: command that trains.
        evaluation: command that scores the networks that were kept so far.
        environment: of both.
        poll: seconds between looks at what was kept.

    Raises:
        subprocess.CalledProcessError: the training failed, or the last evaluation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # which the training inherits, and keeps to its end
        known = 0
        with subprocess.Popen(training, env=environment, pass_fds=[lock.fileno()]) as process:
            try:
                while process.poll() is None:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(poll)
                        break
                    kept = len(kept_networks(folder))
                    if kept > known:
                        known = kept
                        subprocess.run(evaluation, check=False, env=environment)
            finally:
                process.terminate()  # where this one fails or is interrupted, its training is not left alone
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, training)
    subprocess.run(evaluation, check=True, env=environment)
