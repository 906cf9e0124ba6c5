"""Files that are written whole or not at all, and read only where that is safe."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

PNG_LIMIT = 2 << 30
"""Bytes of the largest PNG that is read: more than the most pixels that are taken can need."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name beside it, then rename it; makes the folder.

    Raises:
        OSError: it cannot be written; the error names the file, never the temporary one.
    """
    import tempfile

    work = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, work = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
        Path(work).chmod(0o644)  # mkstemp's 0o600 is for secrets
        Path(work).replace(path)
    except BaseException as error:
        if work is not None:
            Path(work).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None
        raise


def check_place(path: Path) -> None:
    """Try whether a file can be written where the path says, or a folder for it made there; leaves nothing behind.

    Raises:
        OSError: it cannot.
    """
    import tempfile

    there = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    with tempfile.TemporaryFile(dir=there):
        pass


def leftovers(folder: Path, names: Iterable[str]) -> list[Path]:
    """List the temporary files that killed processes left in a folder when they were to write files of these names.

    Args:
        folder: where they were to be written; it need not exist.
        names: file names, or patterns of them: "*.png".
    """
    temporary = {path: re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}", path.name) for path in folder.glob(".*")}
    return [
        path
        for path, match in temporary.items()
        if match and any(fnmatchcase(match[1], name) for name in names) and path.is_file()
    ]


def read_regular(path: Path, limit: int) -> bytes:
    """Read a file that is no pipe, device or folder, and not larger than `limit` bytes.

    Raises:
        OSError: it cannot be read, or is of another kind or larger.
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        if status.st_size > limit:
            raise OSError(f"it has {status.st_size} bytes; {limit} are the most that is read")
        content = file.read(status.st_size + 1)
        while len(content) > status.st_size and (more := file.read(1 << 20)):  # it grows, or is of /proc
            content += more
            if len(content) > limit:
                raise OSError(f"it grows beyond {limit} bytes, the most that is read")
    return content


def is_file(path: Path) -> bool:
    """Return whether there is a file; not for a name that no file can have: too long, or with a NUL in it."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def open_regular(path: Path) -> BinaryIO:
    """Open a file that is no pipe, device or folder, for reading.

    Raises:
        OSError: it cannot be opened, or is of another kind.
    """
    return open(path, "rb", opener=_regular)


def _regular(path: str, flags: int) -> int:
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # else opening a pipe waits for a writer
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError("it is no regular file")
