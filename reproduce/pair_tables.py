"""Pair tables of all validation images: what is kept of a network that is not shipped.

    python -m reproduce.pair_tables

Predicts all images with each network whose table is not there, or is of fewer images, and writes its pair table to
results/NAME/pairs/VARIANT/seedN.npz. A table of a network that was trained again has to be removed first.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.labels import ImageId
from panoptic_eval.pairs import stored
from panoptic_eval.pairs.table import PairTable, Segments
from reproduce import embedded
from reproduce.embedded import Embedded
from reproduce.options import Comparison, ending_at_faults
from reproduce.systems import (
    CORES,
    Checkpoint,
    checkpoints,
    gt_digests,
    images,
    predicted,
    processes,
    shipped_tables,
)


@dataclass(frozen=True)
class Options:
    """Make the pair tables of all validation images that are missing."""

    only: tuple[str, ...] = ()
    """Networks whose tables are made, as VARIANT/seedN. Default: all whose table is missing."""
    folder: Path = Path("runs/reproduce")
    """Folder for predictions; what is there from an earlier run is used again."""
    device: str | None = None
    """Device to predict on: cpu, cuda or cuda:N. Default: the GPU if there is one."""
    side_by_side: int = CORES
    """Number of networks that predict at once. Default: one per core."""


def write_pairs(table: PairTable, path: Path) -> None:
    """Write a pair table, unless the file holds one of more images that begin with these: that of all images stays."""
    if path.is_file():
        there = stored.load(path)["panoptic"]
        if len(there) > len(table) and _truth(there)[: len(table)] == _truth(table):
            return
    small = replace(table, files=(), gt=_unstated(table.gt), pred=_unstated(table.pred))  # predictions are not shipped
    write_atomically(path, stored.pack({"panoptic": small}, path.parent, compression=zipfile.ZIP_LZMA))


def _unstated(segments: Segments) -> Segments:
    """Leave out areas that a JSON states if they are those that were counted: no score here depends on them."""
    same = segments.stated_area == segments.area
    return replace(segments, stated_area=np.where(same, np.nan, segments.stated_area))


def _truth(table: PairTable) -> list[tuple[ImageId, str]]:
    """Return the id of each image and the digest of its ground truth."""
    return list(zip(table.image_id, gt_digests(table), strict=True))


def without_table(data: Embedded, trained: Sequence[Checkpoint]) -> list[Checkpoint]:
    """List the networks that have no pair table of all validation images."""
    whole = {s.label for s in shipped_tables(data.results) if len(s.tables.panoptic) >= data.validation}
    return [checkpoint for checkpoint in trained if checkpoint.label not in whole]


def make(data: Embedded, options: Options) -> list[Path]:
    """Predict what is not predicted yet, and write the pair tables that are missing.

    Raises:
        InputError: a network that is asked for is not there, or predictions cannot be counted.
        CheckpointError: a network cannot be read.
    """
    comparison = Comparison(full=True, folder=options.folder, device=options.device)
    trained = checkpoints(comparison)
    if absent := sorted({*options.only} - {checkpoint.label for checkpoint in trained}):
        known = ", ".join(checkpoint.label for checkpoint in trained) or "none"
        raise InputError(f"{data.checkpoints}: holds no {', '.join(absent)}; expected some of those there are: {known}")
    wanted = [c for c in without_table(data, trained) if not options.only or c.label in options.only]
    if not wanted:
        return []
    gt = images(comparison)
    written = []
    with processes(min(options.side_by_side, len(wanted))) as walk, tqdm(total=len(wanted), unit="network") as bar:
        for system in walk(partial(predicted, comparison, gt), wanted):
            written.append(data.pairs / f"{system.label}.npz")
            write_pairs(system.tables.panoptic, written[-1])
            bar.update()
    return written


def main(arguments: list[str] | None = None) -> None:
    """Make the tables, and say how large they are."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    with ending_at_faults("pair_tables"):
        written = make(embedded.EMBEDDED, options)
    for path in written:
        print(f"{path}: {path.stat().st_size} bytes")
    if not written:
        print("no pair table is missing")


if __name__ == "__main__":
    main()
