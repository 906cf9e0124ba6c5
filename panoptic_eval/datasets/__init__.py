"""Ground truths, one file a format, and how to find one by its name or path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from panoptic_eval.datasets import cityscapes, coco, idd, mapillary
from panoptic_eval.datasets.folders import files
from panoptic_eval.datasets.formats import Format
from panoptic_eval.datasets.panoptic_json import IsThing
from panoptic_eval.datasets.things import with_things
from panoptic_eval.errors import Fault, InputError
from panoptic_eval.labels import LabelMaps
from panoptic_eval.text import path_text

FORMATS = (mapillary.FORMAT, idd.FORMAT, cityscapes.FORMAT, coco.FORMAT)
"""In the order in which a folder is tried."""
NAMES = ", ".join(f.name for f in FORMATS)
"""Names of all formats, for people."""


def ground_truth(
    gt: str | Path,
    *,
    root: Path | str | None = None,
    split: str | None = None,
    version: str | None = None,
    folder: Path | str | None = None,
    things: Sequence[str | int | Path] = (),
) -> LabelMaps:
    """Find and read a ground truth by its name or path.

    Args:
        gt: name of a data set format; or a COCO panoptic JSON, or the folder of a data set.
        root: for a name: folder of that data set, or one that holds it under a usual name; $PANOPTIC_DATA by default.
        split: training, validation or testing, or short; validation by default.
        version: of Mapillary Vistas, "1.2" (the default) or "2.0".
        folder: holds the PNGs of a COCO panoptic JSON, if they are in none of the usual places.
        things: names or ids of the categories that are things, or a JSON of categories, where the ground truth does
            not say so.

    Raises:
        InputError: it was not found or recognized, or everything that is wrong with it.
    """
    maps = find(gt, root, split, version, folder, "optional" if things else "needed")
    if things:
        maps = replace(maps, catalogue=with_things(maps.catalogue, [str(thing) for thing in things]))
    if not maps.catalogue.isthing.any():
        no_thing = f"{maps.source}: no category is a thing, so that AP and scores of things do not exist; --things says"
        maps = replace(maps, oddities=(*maps.oddities, Fault(f"{no_thing} which are")))
    return maps


def find(
    gt: str | Path,
    root: Path | str | None = None,
    split: str | None = None,
    version: str | None = None,
    pngs: Path | str | None = None,
    isthing: IsThing = "needed",
) -> LabelMaps:
    """Find and read a ground truth by its name or path, without the choice of things.

    Args:
        gt: as for `ground_truth`, like the next three.
        root: folder of data sets.
        split: training, validation or testing.
        version: of Mapillary Vistas.
        pngs: holds the PNGs of a COCO panoptic JSON, if they are in none of the usual places.
        isthing: whether categories must say what is a thing.

    Raises:
        InputError: it was not found or recognized, or everything that is wrong with it.
    """
    pngs = None if pngs is None else Path(pngs)
    by_name = {f.name: f for f in FORMATS}
    if str(gt) in by_name:
        kind = by_name[str(gt)]
        folder = _below(kind, None if root is None else Path(root))
    else:
        folder = Path(gt)
        if folder.is_file():
            if split is not None or version is not None:
                raise InputError(f"{folder}: is one file; expected no split and no version with it")
            return _read_json(folder, pngs, isthing)
        kind, folder = _recognize(folder, pngs)
    if version is not None and not kind.versions:
        versioned = " or ".join(f.name for f in FORMATS if f.versions)
        raise InputError(f"{folder}: is {kind.name}, which has no versions; expected {versioned}, or no version")
    if kind is coco.FORMAT:
        return _read_json(coco.choose(folder, split), pngs, isthing)
    if pngs is not None:
        raise InputError(f"{folder}: is {kind.name}, whose folders are known; expected --gt-folder with a JSON only")
    return kind.read(folder, split, version)


def _read_json(path: Path, pngs: Path | None, isthing: IsThing) -> LabelMaps:
    """Read a COCO panoptic JSON; one that lists no categories may have those of a data set that its name tells."""
    catalogues = (f.default_catalogue(path.name) for f in FORMATS)
    return coco.read(path, pngs, catalogue=next((c for c in catalogues if c is not None), None), isthing=isthing)


def recognize(folder: Path) -> Format | None:
    """Return the format of the data set that a folder holds, None if it holds none."""
    return next((f for f in FORMATS if f.recognized(folder)), None)


def sign_of(gt: str | Path, root: Path | str | None = None, pngs: Path | str | None = None) -> str:
    """Say which files a ground truth that `find` finds is recognized by, for people.

    Raises:
        InputError: it is not found.
    """
    by_name = {f.name: f for f in FORMATS}
    if str(gt) in by_name:
        kind = by_name[str(gt)]
        folder = _below(kind, None if root is None else Path(root))
    elif Path(gt).is_file():
        return f"{gt} is one file, a panoptic JSON"
    else:
        kind, folder = _recognize(Path(gt), None if pngs is None else Path(pngs))
    return f"{folder} holds {kind.sign}"


def _below(kind: Format, root: Path | None) -> Path:
    """Return the folder of a data set that is given by name.

    Raises:
        InputError: it is not there.
    """
    base = root if root is not None else Path(os.environ.get("PANOPTIC_DATA", ""))
    if root is None and "PANOPTIC_DATA" not in os.environ:
        raise InputError(
            f"{kind.name}: expected root (--root PATH), or $PANOPTIC_DATA, to say where data sets are; neither is set"
        )
    if not base.is_dir():
        raise InputError(f"{path_text(base)}: does not exist; expected the folder of {kind.name}, or one that holds it")
    usual = [
        sub
        for sub in files(base, "*")
        if "".join(c for c in sub.name.lower() if c.isalnum()) in kind.folders and sub.is_dir()
    ]
    match = next((folder for folder in (*usual, base) if kind.recognized(folder)), None)
    if match is None:
        places = ", ".join(map(str, (*usual, base)))
        names = ", ".join(kind.folders)
        raise InputError(
            f"{kind.name}: not found; looked for {kind.sign} in {places} (subfolders of the usual names: {names})"
        )
    return match


def _recognize(path: Path, pngs: Path | None) -> tuple[Format, Path]:
    """Return the format of the data set that a folder holds, or its one subfolder that holds one; and that folder.

    Raises:
        InputError: none.
    """
    if not path.is_dir():
        raise InputError(f"{path_text(path)}: does not exist; expected one of {NAMES}, a JSON or a folder")
    if pngs is not None:
        return coco.FORMAT, path
    kind = recognize(path)
    if kind is not None:
        return kind, path
    below = [(found, sub) for sub in files(path, "*") if sub.is_dir() and (found := recognize(sub))]
    if len(below) != 1:
        signs = "; ".join(f"{f.name}: {f.sign}" for f in FORMATS)
        raise InputError(f"{path}: no ground truth recognized; looked for {signs}")
    return below[0]
