"""Label images as runs of equal ids: decoded and cut in a tenth of the time that their pixels would take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from panoptic_eval import core
from panoptic_eval.png import reference
from panoptic_eval.png.ids import ids_of
from panoptic_eval.shapes import Int, UInt32


@dataclass(frozen=True)
class LabelRuns:
    """A label image. Runs are in raster order and none goes on in the next row."""

    height: int
    width: int
    row: Int[np.ndarray, " h+1"]
    """Index in the other arrays at which the runs of each row begin; at last the number of runs."""
    start: Int[np.ndarray, " n"]
    """x of each run."""
    length: Int[np.ndarray, " n"]
    id: UInt32[np.ndarray, " n"]

    def ids_at(self, y: Int[np.ndarray, " a"], x: Int[np.ndarray, " b"]) -> UInt32[np.ndarray, "a b"]:
        """Return the ids at the crossings of rows y with columns x, both ascending."""
        rows, again = np.unique(y, return_inverse=True)
        counts = self.row[rows + 1] - self.row[rows]
        run = np.repeat(self.row[rows] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        columns_before = np.searchsorted(x, np.arange(self.width + 1))  # of the wanted ones, left of each x
        start = self.start[run]
        wanted = columns_before[start + self.length[run]] - columns_before[start]
        return np.repeat(self.id[run], wanted).reshape(len(rows), len(x))[again]

    def pixel(self, id_: int, share: float) -> tuple[int, int]:
        """Return y, x of one of the pixels with an id: of n in raster order, number floor(share * n).

        Raises:
            ValueError: there is none.
        """
        runs = np.flatnonzero(self.id == id_)
        ends = np.cumsum(self.length[runs])
        if not len(runs):
            raise ValueError(f"the image has no pixel of id {id_}")
        number = min(int(share * ends[-1]), int(ends[-1]) - 1)
        at = np.searchsorted(ends, number, side="right")
        run = runs[at]
        y = np.searchsorted(self.row, run, side="right") - 1
        return int(y), int(self.start[run] + number - (ends[at] - self.length[run]))


def read_runs(png: bytes) -> LabelRuns:
    """Read the runs of a label PNG.

    Raises:
        PngError: not a PNG, damaged, or of a mode that holds no ids.
    """
    library = core.library()
    runs = None if library is None else _by_core(library, png)
    return _from_pixels(reference.decode(png)) if runs is None else runs


def _by_core(library: Any, png: bytes) -> LabelRuns | None:
    """Read the runs without pixels; None where the reference has to say what is wrong, or decode."""
    runs = core.Runs()
    if not core.check(library.core_read_runs(png, len(png), runs)):
        return None
    row = runs.row.array(np.int64, runs.height + 1)
    start, id_ = runs.start.array(np.int32, runs.runs), runs.id.array(np.uint32, runs.runs)
    library.core_release_runs(runs)
    return _of(runs.height, runs.width, row, start.astype(np.int64), id_)


def _from_pixels(labels: UInt32[np.ndarray, "h w"]) -> LabelRuns:
    height, width = labels.shape
    ids, inverse, start = ids_of(labels)
    row = np.searchsorted(start, np.arange(height + 1) * width)
    return _of(height, width, row, start % width, ids.id[inverse])


def _of(
    height: int, width: int, row: Int[np.ndarray, " h+1"], start: Int[np.ndarray, " n"], id_: UInt32[np.ndarray, " n"]
) -> LabelRuns:
    end = np.append(start[1:], width)
    end[row[1:] - 1] = width
    return LabelRuns(height, width, row, start, end - start, id_)
