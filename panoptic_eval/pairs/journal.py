"""Finished images, kept as they finish, so that an interrupted run goes on where it stopped.

An append-only file of records. A record that a kill tore apart is at the end, fails its checksum, and is cut off.
Each names the digest of the files that it is of, so that a file that changed since is counted anew.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import TracebackType

import numpy as np
import orjson

from panoptic_eval.pairs.counts import IdCounts, Ids, Pairs

_HEAD = struct.Struct("<II")  # payload's length, its CRC


class Journal:
    """Counts of images, by a key that tells the image, each with the digest of its files.

    Raises:
        OSError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        self._file.seek(0)
        data = self._file.read()
        self._kept: dict[str, tuple[str, IdCounts]] = {}
        at = 0
        while at + _HEAD.size <= len(data):
            length, crc = _HEAD.unpack_from(data, at)
            payload = data[at + _HEAD.size : at + _HEAD.size + length]
            if len(payload) < length or zlib.crc32(payload) != crc:
                break
            key, digest, counts = _unpack(payload)
            self._kept[key] = digest, counts
            at += _HEAD.size + length
        self._file.truncate(at)

    def digest(self, key: str) -> str | None:
        """Digest of the files that an image's kept counts are of; None where none are kept."""
        return self._kept[key][0] if key in self._kept else None

    def counts(self, key: str) -> IdCounts:
        """The counts kept of an image."""
        return self._kept[key][1]

    def add(self, key: str, digest: str, counts: IdCounts) -> None:
        """Keep an image's counts; they survive a kill of the process once this returns."""
        payload = _pack(key, digest, counts)
        self._file.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        self._file.flush()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _pack(key: str, digest: str, counts: IdCounts) -> bytes:
    arrays = [getattr(side, name) for side in (counts.gt, counts.pred) for name in ("id", "area", "box")]
    arrays += [counts.pairs.gt, counts.pairs.pred, counts.pairs.pixels]
    head = {
        "key": key,
        "digest": digest,
        "size": [counts.height, counts.width],
        "arrays": [[a.dtype.str, list(a.shape)] for a in arrays],
    }
    return b"\n".join([orjson.dumps(head), b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)])


def _unpack(payload: bytes) -> tuple[str, str, IdCounts]:
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
    return head["key"], head["digest"], IdCounts(height, width, Ids(*arrays[:3]), Ids(*arrays[3:6]), Pairs(*arrays[6:]))
