"""Ground truths, one file a format, and how to find one by its name or path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from panoptic_eval.datasets import cityscapes, coco, idd, mapillary
from panoptic_eval.errors import InputError
from panoptic_eval.labels import LabelMaps

FOLDERS = {
    "mvd": ("mvd", "mapillary", "mapillaryvistas", "vistas"),
    "idd": ("idd", "iddsegmentation", "idd20k", "idd20kii", "anue"),
    "cityscapes": ("cityscapes",),
    "coco": ("coco", "mscoco", "coco2017"),
}
"""Usual names of each data set's folder, in small letters and digits only."""
RECOGNISED: dict[str, Callable[[Path], bool]] = {
    "mvd": mapillary.recognised,
    "idd": idd.recognised,
    "cityscapes": cityscapes.recognised,
    "coco": coco.recognised,
}
SIGNS = {
    "mvd": "config*.json beside validation/ or training/",
    "idd": f"gtFine/*/*/*{idd.SUFFIX}",
    "cityscapes": f"gtFine/*/*/*{cityscapes.SUFFIX} or gtFine/cityscapes_panoptic_*.json",
    "coco": "annotations/panoptic_*.json, or NAME.json with a folder NAME",
}
"""What each data set is recognised by, for people."""


def find(
    gt: str | Path, *, root: Path | None = None, split: str | None = None, version: str | None = None
) -> LabelMaps:
    """A ground truth by its name or path.

    Args:
        gt: mvd, idd, cityscapes or coco; or a COCO panoptic JSON, or a folder of any of these.
        root: of data sets by name: their folder, or one that holds it under a usual name; $PANOPTIC_DATA by default.
        split: training, validation or testing, or short; validation by default.
        version: of Mapillary Vistas, "1.2" (the default) or "2.0".

    Raises:
        InputError: it was not found or recognised, or everything that is wrong with it.
    """
    if str(gt) in FOLDERS:
        kind, folder = str(gt), _below(str(gt), root)
    else:
        path = Path(gt)
        if path.is_file():
            if split is not None or version is not None:
                raise InputError(f"{path}: is one file; expected no split and no version with it")
            return coco.read(path)
        kind, folder = _recognise(path), path
    if version is not None and kind != "mvd":
        raise InputError(f"{folder}: is not Mapillary Vistas; expected no version")
    if kind == "mvd":
        return mapillary.read(folder, split=split, version=version)
    if kind == "idd":
        return idd.read(folder, split=split)
    if kind == "cityscapes":
        return cityscapes.read(folder, split=split)
    return coco.read(coco.choose(folder, split))


def _below(name: str, root: Path | None) -> Path:
    """The folder of a data set that is given by name.

    Raises:
        InputError: it is not there.
    """
    base = root if root is not None else Path(os.environ.get("PANOPTIC_DATA", ""))
    if root is None and "PANOPTIC_DATA" not in os.environ:
        raise InputError(f"{name}: expected root, or $PANOPTIC_DATA, to say where data sets are; neither is set")
    if not base.is_dir():
        raise InputError(f"{base}: does not exist; expected the folder of {name}, or one that holds it")
    usual = [
        sub
        for sub in sorted(base.iterdir())
        if "".join(c for c in sub.name.lower() if c.isalnum()) in FOLDERS[name] and sub.is_dir()
    ]
    found = next((folder for folder in (*usual, base) if RECOGNISED[name](folder)), None)
    if found is None:
        places = ", ".join(map(str, (*usual, base)))
        names = ", ".join(FOLDERS[name])
        raise InputError(
            f"{name}: not found; looked for {SIGNS[name]} in {places} (subfolders of the usual names: {names})"
        )
    return found


def _recognise(path: Path) -> str:
    """The data set that a folder holds.

    Raises:
        InputError: none.
    """
    if not path.is_dir():
        raise InputError(f"{path}: does not exist; expected one of {', '.join(FOLDERS)}, a JSON or a folder")
    kind = next((kind for kind, recognised in RECOGNISED.items() if recognised(path)), None)
    if kind is None:
        signs = "; ".join(f"{kind}: {sign}" for kind, sign in SIGNS.items())
        raise InputError(f"{path}: no ground truth recognised; looked for {signs}")
    return kind
