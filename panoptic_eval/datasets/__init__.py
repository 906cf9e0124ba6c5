"""Ground truths, one file a format, and how to find one by its name or path."""

from __future__ import annotations

import os
from pathlib import Path

from panoptic_eval.datasets import cityscapes, coco, idd, mapillary
from panoptic_eval.datasets.folders import files
from panoptic_eval.datasets.formats import Format
from panoptic_eval.errors import InputError
from panoptic_eval.labels import LabelMaps

FORMATS = (mapillary.FORMAT, idd.FORMAT, cityscapes.FORMAT, coco.FORMAT)
"""In the order in which a folder is tried."""
NAMES = ", ".join(f.name for f in FORMATS)
"""Names of all formats, for people."""


def ground_truth(
    gt: str | Path, *, root: Path | str | None = None, split: str | None = None, version: str | None = None
) -> LabelMaps:
    """Find and read a ground truth by its name or path.

    Args:
        gt: name of a data set format; or a COCO panoptic JSON, or the folder of a data set.
        root: for a name: folder of that data set, or one that holds it under a usual name; $PANOPTIC_DATA by default.
        split: training, validation or testing, or short; validation by default.
        version: of Mapillary Vistas, "1.2" (the default) or "2.0".

    Raises:
        InputError: it was not found or recognized, or everything that is wrong with it.
    """
    by_name = {f.name: f for f in FORMATS}
    if str(gt) in by_name:
        kind = by_name[str(gt)]
        folder = _below(kind, None if root is None else Path(root))
    else:
        folder = Path(gt)
        if folder.is_file():
            if split is not None or version is not None:
                raise InputError(f"{folder}: is one file; expected no split and no version with it")
            return _read_json(folder)
        kind = _recognize(folder)
    if version is not None and not kind.versions:
        versioned = " or ".join(f.name for f in FORMATS if f.versions)
        raise InputError(f"{folder}: is {kind.name}, which has no versions; expected {versioned}, or no version")
    return _read_json(coco.choose(folder, split)) if kind is coco.FORMAT else kind.read(folder, split, version)


def _read_json(path: Path) -> LabelMaps:
    """A COCO panoptic JSON; one that lists no categories may have those of a data set that its name tells."""
    catalogues = (f.default_catalogue(path.name) for f in FORMATS)
    return coco.read(path, catalogue=next((c for c in catalogues if c is not None), None))


def recognize(folder: Path) -> Format | None:
    """The format of the data set that a folder holds, None if it holds none."""
    return next((f for f in FORMATS if f.recognized(folder)), None)


def _below(kind: Format, root: Path | None) -> Path:
    """The folder of a data set that is given by name.

    Raises:
        InputError: it is not there.
    """
    base = root if root is not None else Path(os.environ.get("PANOPTIC_DATA", ""))
    if root is None and "PANOPTIC_DATA" not in os.environ:
        raise InputError(f"{kind.name}: expected root, or $PANOPTIC_DATA, to say where data sets are; neither is set")
    if not base.is_dir():
        raise InputError(f"{base}: does not exist; expected the folder of {kind.name}, or one that holds it")
    usual = [
        sub
        for sub in files(base, "*")
        if "".join(c for c in sub.name.lower() if c.isalnum()) in kind.folders and sub.is_dir()
    ]
    found = next((folder for folder in (*usual, base) if kind.recognized(folder)), None)
    if found is None:
        places = ", ".join(map(str, (*usual, base)))
        names = ", ".join(kind.folders)
        raise InputError(
            f"{kind.name}: not found; looked for {kind.sign} in {places} (subfolders of the usual names: {names})"
        )
    return found


def _recognize(path: Path) -> Format:
    """The format of the data set that a folder holds.

    Raises:
        InputError: none.
    """
    if not path.is_dir():
        raise InputError(f"{path}: does not exist; expected one of {NAMES}, a JSON or a folder")
    kind = recognize(path)
    if kind is None:
        signs = "; ".join(f"{f.name}: {f.sign}" for f in FORMATS)
        raise InputError(f"{path}: no ground truth recognized; looked for {signs}")
    return kind
