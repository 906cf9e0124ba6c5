"""Finished images, kept as they finish, so that an interrupted run goes on where it stopped.

A file of records that only grows. A record that a kill tore, or that is damaged, fails its checksum; it and what
follows are cut off and counted anew. Each names the digest of the files that it is of, so that a file that changed
since is counted anew, too.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from types import TracebackType

import numpy as np
import orjson

from panoptic_eval.errors import InputError
from panoptic_eval.files import read_regular
from panoptic_eval.pairs.counts import IdCounts, Overlaps, Pairs
from panoptic_eval.png.ids import Ids
from panoptic_eval.shapes import UInt32

SIGN = b"panoptic-eval journal "
HEAD = SIGN + b"5\n"
LIMIT = 64 << 30
"""Bytes of the largest journal that is read."""
_RECORD = struct.Struct("<Q16s")  # length and checksum of what follows


class Journal:
    """Counts of images, by a key that tells the image, each with the digest of its files.

    Raises:
        InputError: the file is of another program, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, tuple[str, IdCounts, Overlaps | None]] = {}
        try:
            data = read_regular(path, LIMIT) if path.exists() else b""
            if not (data.startswith(SIGN) or SIGN.startswith(data)):
                raise InputError(f"{path}: is no journal of panoptic-eval; expected another folder, or no such file")
            end = self._read(data) if data.startswith(HEAD) else 0
            self._file = path.open("r+b" if data else "wb", buffering=0)
            self._file.truncate(end)
            self._file.seek(end)
            if not end:
                self._write(HEAD)
        except OSError as error:
            raise self._cannot(error) from error

    def _read(self, data: bytes) -> int:
        """Keep the records up to the first one that is torn or damaged; returns where that one begins."""
        at = len(HEAD)
        while at + _RECORD.size <= len(data):
            length, checksum = _RECORD.unpack_from(data, at)
            payload = data[at + _RECORD.size : at + _RECORD.size + length]
            if len(payload) < length or _checksum(payload) != checksum:
                break
            try:
                key, digest, counts, overlaps = _unpack(payload)
            except (ValueError, KeyError, TypeError, IndexError):  # whoever wrote it, its checksum fits
                break
            self._kept[key] = digest, counts, overlaps
            at += _RECORD.size + length
        return at

    def _write(self, content: bytes) -> None:
        written = 0
        while written < len(content):
            written += self._file.write(content[written:])

    def _cannot(self, error: OSError) -> InputError:
        return InputError(
            f"{self._path}: finished images cannot be kept there: {error.strerror or error}; "
            "expected a folder with room, and the right to write to it"
        )

    def digest(self, key: str) -> str | None:
        """Return the digest of the files that an image's kept counts are of; None where none are kept."""
        return self._kept[key][0] if key in self._kept else None

    def counts(self, key: str) -> tuple[IdCounts, Overlaps | None]:
        """Give the counts that are kept of an image."""
        return self._kept[key][1:]

    def add(self, key: str, digest: str, counts: IdCounts, overlaps: Overlaps | None = None) -> None:
        """Keep an image's counts; they survive a kill of the process once this returns.

        Raises:
            InputError: the file cannot be written.
        """
        payload = _pack(key, digest, counts, overlaps)
        try:
            self._write(_RECORD.pack(len(payload), _checksum(payload)) + payload)
        except OSError as error:
            raise self._cannot(error) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        empty = self._file.tell() <= len(HEAD)
        self._file.close()
        if empty:
            self._path.unlink(missing_ok=True)


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()


def _pack(key: str, digest: str, counts: IdCounts, overlaps: Overlaps | None) -> bytes:
    arrays = [getattr(side, name) for side in (counts.gt, counts.pred) for name in ("id", "area", "box")]
    arrays += [counts.pairs.gt, counts.pairs.pred, counts.pairs.pixels]
    palettes = [side.palette for side in (counts.gt, counts.pred)]
    arrays += [np.zeros(0, np.uint32) if palette is None else palette for palette in palettes]  # none of them is empty
    arrays.append(np.zeros((0, 3), np.int64) if counts.near is None else counts.near)
    if overlaps is not None:
        arrays += [values for values in vars(overlaps).values() if values is not None]
    head = {
        "key": key,
        "digest": digest,
        "size": [counts.height, counts.width],
        "arrays": [[a.dtype.str, list(a.shape)] for a in arrays],
    }
    return b"\n".join([orjson.dumps(head), b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)])


def _unpack(payload: bytes) -> tuple[str, str, IdCounts, Overlaps | None]:
    line, _, data = payload.partition(b"\n")
    head = orjson.loads(line)
    height, width = head["size"]
    arrays = []
    at = 0
    for dtype, shape in head["arrays"]:
        count = int(np.prod(shape))
        array = np.frombuffer(data, dtype, count, at).reshape(shape)
        arrays.append(array)
        at += array.nbytes
    gt = Ids(arrays[0], arrays[1], arrays[2], _palette(arrays[9]))
    pred = Ids(arrays[3], arrays[4], arrays[5], _palette(arrays[10]))
    near = arrays[11] if len(arrays[11]) else None  # every image has a pair
    counts = IdCounts(height, width, gt, pred, Pairs(*arrays[6:9]), near)
    overlaps = Overlaps(*arrays[12:]) if arrays[12:] else None
    return head["key"], head["digest"], counts, overlaps


def _palette(stored: UInt32[np.ndarray, " e"]) -> UInt32[np.ndarray, " e"] | None:
    """Return a palette as it was before: None is stored without entries."""
    return stored if len(stored) else None
