"""The folder that --out names: claimed by one run at a time, and its results replaced as a whole."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from panoptic_eval.errors import InputError
from panoptic_eval.files import leftovers
from panoptic_eval.pairs import stored
from panoptic_eval.pairs.journal import SIGN as JOURNAL_SIGN

try:
    import fcntl
except ImportError:  # Windows: two runs with one folder are not told of each other
    fcntl = None  # type: ignore[assignment]

REPORT = "report.json"
REPORT_SIGN = b'{\n  "format": '
RESULTS = (stored.NAME, "per_category.csv", "per_image.csv", "size_percentiles.csv", "segments.csv", REPORT)
"""Files of a run in the order in which they are put in place: the report comes last and says that all is there."""
JOURNAL = "pairs.journal"
LOCK = ".panoptic-eval.lock"
STAGED = ".panoptic-eval.staged."
WHOLE = ".panoptic-eval.whole"
"""Folder of staged results that are all there: what is still in it, after a kill, is put in place by the next run."""
_CLAIMED: set[str] = set()
"""Folders that runs of this process have: the system's lock tells processes apart, not threads."""


class RunFolder:
    """A folder for the results of one run. Nobody else's file in it is touched.

    Raises:
        InputError: another run has it, it cannot be written to, or it holds a file of another program under a name
            that is needed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __enter__(self) -> RunFolder:
        self._is_new = not self.path.exists()
        with self._named():
            self.path.mkdir(parents=True, exist_ok=True)
            self._name = os.path.realpath(self.path)
            self._lock = None if self._name in _CLAIMED else _locked(self.path / LOCK)
        if self._lock is None:
            raise InputError(
                f"{self.path}: another run is writing its results there; expected another folder, or to wait for it"
            )
        _CLAIMED.add(self._name)
        try:
            self._check_files()
            with self._named():
                self._put_in_place()
                self._remove_leftovers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            (self.path / LOCK).unlink()
        if self._lock is not None:
            os.close(self._lock)
        _CLAIMED.discard(self._name)
        if self._is_new:
            with suppress(OSError):  # it holds something
                self.path.rmdir()

    def check_shard(self, shard: tuple[int, int]) -> None:
        """Say so if the results in the folder are of another part of a run: these would be lost.

        Args:
            shard: which part of how many is to be written, from 1.

        Raises:
            InputError: the folder holds another shard, or a whole run in the place of a shard or the other way round.
        """
        try:
            there = stored.load(self.path / stored.NAME)["panoptic"].origin.shard
        except InputError:
            return  # there are none, or none that can be lost
        if there != shard:
            here, asked = ("a whole run" if of == 1 else f"shard {part}/{of}" for part, of in (there, shard))
            raise InputError(
                f"{self.path}: holds the tables of {here}, which those of {asked} would replace; "
                "expected another folder for each shard, or this one to be removed"
            )

    def replace(self, write: Callable[[Path], None]) -> None:
        """Replace the results by what `write` puts into an empty folder; those that it leaves out are removed.

        A kill at any moment leaves the old tables or the new ones, and a report only beside its own tables. A kill
        while they are put in place can leave CSV files of both; the next run in the folder then finishes that first.

        Raises:
            InputError: the disk is full, or the folder cannot be written to any more.
        """
        with self._named():
            staged = Path(tempfile.mkdtemp(dir=self.path, prefix=STAGED))
            try:
                write(staged)
                gone = {name for name in RESULTS if not (staged / name).exists()}
                if _same(staged / stored.NAME, self.path / stored.NAME):
                    (staged / stored.NAME).unlink()
                else:
                    gone.add(REPORT)
                for name in (name for name in reversed(RESULTS) if name in gone):
                    (self.path / name).unlink(missing_ok=True)
                staged.replace(self.path / WHOLE)
                self._put_in_place()
                (self.path / JOURNAL).unlink(missing_ok=True)
            finally:
                shutil.rmtree(staged, ignore_errors=True)

    def _put_in_place(self) -> None:
        """Move results that are staged as a whole to where they belong, however many of them were moved before."""
        whole = self.path / WHOLE
        if whole.is_symlink() or not whole.is_dir():
            return
        for name in RESULTS:
            if (whole / name).is_file():
                (whole / name).replace(self.path / name)
        with suppress(OSError):  # it holds something of somebody else
            whole.rmdir()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Name the folder in errors of the system."""
        try:
            yield
        except OSError as error:
            where = "" if error.filename in (None, str(self.path)) else f" ({Path(os.fsdecode(error.filename)).name})"
            raise InputError(
                f"{self.path}: results cannot be written there{where}: {error.strerror or error}; "
                "expected a folder with room, and the right to write to it"
            ) from error

    def _check_files(self) -> None:
        """Raise InputError if a file that is needed is not ours."""
        for name in (*RESULTS, JOURNAL):
            path = self.path / name
            if os.path.lexists(path) and not path.is_file():
                raise InputError(f"{path}: is no file; expected none, or the file that an earlier run wrote")
        signs = ((JOURNAL, JOURNAL_SIGN, False), (REPORT, REPORT_SIGN, False), (stored.NAME, stored.MARK, True))
        ours = {name: _carries(self.path / name, sign, at_end) for name, sign, at_end in signs}
        foreign = [name for name, is_ours in ours.items() if is_ours is False]
        if not any(ours.values()):
            foreign += [name for name in RESULTS if (self.path / name).exists()]
        if foreign:
            raise InputError(
                f"{self.path / foreign[0]}: was not written by panoptic-eval, or is damaged, and would be replaced; "
                "expected another folder, or the file to be moved away"
            )

    def _remove_leftovers(self) -> None:
        """Remove temporary files of runs that were killed."""
        for staged in self.path.glob(f"{STAGED}*"):
            if staged.is_dir() and not staged.is_symlink():
                for file in [*leftovers(staged, RESULTS), *(staged / name for name in RESULTS)]:
                    file.unlink(missing_ok=True)
                with suppress(OSError):  # it holds something of somebody else
                    staged.rmdir()
        for file in leftovers(self.path, RESULTS):
            file.unlink()


def _carries(path: Path, sign: bytes, at_end: bool) -> bool | None:
    """Return whether a file carries the sign of this program; None if there is no such file, or an empty one."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                return None
            file.seek(max(0, size - len(sign) - 64) if at_end else 0)
            return file.read(len(sign)) == sign
    except FileNotFoundError:
        return None
    except OSError:
        return False


def _same(a: Path, b: Path) -> bool:
    """Return whether two files hold the same bytes; not if one is missing."""
    return a.exists() and b.exists() and a.stat().st_size == b.stat().st_size and a.read_bytes() == b.read_bytes()


def _locked(path: Path) -> int | None:
    """Take a handle that holds the lock until it is closed or the process ends in any way; None if another has it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            if fcntl is not None:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # lockf, not flock: forked workers must not keep it
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                os.close(handle)
                return None  # else the file system has no locks
        try:
            if path.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)  # the run that had it removed the file in the meantime


@contextmanager
def opened(out: RunFolder | Path | str) -> Iterator[RunFolder]:
    """Claim the folder, unless that was done before.

    Raises:
        InputError: as for `RunFolder`.
    """
    if isinstance(out, RunFolder):
        yield out
    else:
        with RunFolder(out) as folder:
            yield folder
