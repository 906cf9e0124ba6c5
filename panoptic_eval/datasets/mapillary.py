"""Mapillary Vistas, v1.2 and v2.0. Neuhold et al., "The Mapillary Vistas Dataset", ICCV 2017.

    config.json                         of v1.1 and v1.2, or config_v1.2.json and config_v2.0.json
    {training,validation,testing}/
        images/<id>.jpg
        instances/<id>.png              label * 256 + instance; or v1.2/instances/, v2.0/instances/
        panoptic/<id>.png, *.json       COCO panoptic format;   or v1.2/panoptic/, v2.0/panoptic/

All that differs between versions is read from their files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panoptic_eval.categories import Catalogue, Category, rgb, supercategory
from panoptic_eval.datasets import json_rows, panoptic_json
from panoptic_eval.datasets.folders import SPLITS, choose_split, files, only
from panoptic_eval.datasets.formats import Format
from panoptic_eval.datasets.json_rows import FLAG, LIST, STRING, column
from panoptic_eval.errors import Faults, InputError
from panoptic_eval.labels import Encoded, LabelMap, LabelMaps

DIVISOR = 256
DEFAULT_VERSION = "1.2"
"""Its 65 categories are those of the literature."""


@dataclass(frozen=True)
class _Annotations:
    """One version's files of one split."""

    version: str
    folder: Path
    """Holds panoptic/ or instances/."""
    config: Path


def recognized(folder: Path) -> bool:
    """Return whether a folder is this data set."""
    splits = [name for names in SPLITS for name in names]
    return bool(files(folder, "config*.json")) and any(
        files(folder, f"{split}/{kind}") for split in splits for kind in ("instances", "panoptic", "v*")
    )


def read(root: Path, *, split: str | None = None, version: str | None = None) -> LabelMaps:
    """Read a split, from the panoptic files where there are any, else from the instance files and the config.

    A category's id is its label's index plus one; labels that are not evaluated are void.

    Args:
        version: "1.2" or "2.0"; 1.2 by default if both are there. 1.1 counts as 1.2, which only blurs its photographs.

    Raises:
        InputError: what was not found, or everything that is wrong with the files.
    """
    folder = choose_split(root, split)
    annotations = _choose(_annotations(root, folder), version, folder)
    source = f"Mapillary Vistas v{annotations.version}, {folder.name}"
    images = folder / "images"

    panoptic = annotations.folder / "panoptic"
    json = only(files(panoptic, "*.json"), "panoptic JSONs")
    if json is not None:
        return panoptic_json.ground_truth(
            json, panoptic, source=f"{source}, {json}", photograph=lambda image_id, _: images / f"{image_id}.jpg"
        )
    catalogue, meaning = _labels(annotations.config)
    pngs = files(annotations.folder / "instances", "*.png")
    if not pngs:
        raise InputError(f"{annotations.folder}: has neither panoptic/*.json nor instances/*.png; expected one of them")
    maps = tuple(LabelMap(png.stem, png, photograph=images / f"{png.stem}.jpg") for png in pngs)
    return LabelMaps(f"{source}, {annotations.folder / 'instances'}", catalogue, maps, meaning)


def _annotations(root: Path, folder: Path) -> list[_Annotations]:
    """List the versions of which a split has annotations."""
    present = [
        _Annotations(sub.name.removeprefix("v"), sub, root / f"config_{sub.name}.json")
        for sub in files(folder, "v*")
        if (sub / "panoptic").is_dir() or (sub / "instances").is_dir()
    ]
    if (folder / "panoptic").is_dir() or (folder / "instances").is_dir():
        config = root / "config.json"
        content = json_rows.load(config)
        version = content.get("version") if isinstance(content, dict) else None
        present.append(_Annotations(str(version or "of unknown number"), folder, config))
    return present


def _choose(found: list[_Annotations], version: str | None, folder: Path) -> _Annotations:
    by_number = {"1.2" if a.version == "1.1" else a.version: a for a in found}
    wanted = (version or DEFAULT_VERSION).removeprefix("v")
    chosen = by_number.get("1.2" if wanted == "1.1" else wanted)
    if chosen is None and version is None and len(found) == 1:
        chosen = found[0]
    if chosen is None:
        there = ", ".join(a.version for a in found) or "none"
        raise InputError(f"{folder}: has no annotations of version {wanted}; expected one of those there: {there}")
    return chosen


def _labels(config: Path) -> tuple[Catalogue, Encoded]:
    """Read the categories, and what the values of instance files mean."""
    content = json_rows.load(config)
    faults = Faults()
    if not isinstance(content, dict) or "labels" not in content:
        raise InputError(f'{config}: has no "labels"; expected the config file of Mapillary Vistas')
    labels = json_rows.objects(content["labels"], f"{config}: labels", faults)

    def place(i: int) -> str:
        return f"{config}: labels[{i}]"

    names = column(labels, "name", STRING, place, faults, default="").values
    readable = column(labels, "readable", STRING, place, faults, default=None, optional=True).values
    things = column(labels, "instances", FLAG, place, faults, default=False).values
    evaluated = column(labels, "evaluate", FLAG, place, faults, default=True, optional=True).values
    colors = column(labels, "color", LIST, place, faults, default=None, optional=True).values
    if not any(evaluated) and not faults:
        faults.add(f"{config}: no label is evaluated; expected one at least")
    faults.check()
    categories = [
        Category(i + 1, readable[i] or names[i], bool(things[i]), rgb(colors[i]), supercategory(names[i]))
        for i in range(len(labels))
        if evaluated[i]
    ]
    index = np.where(evaluated, np.cumsum(np.array(evaluated, bool)) - 1, -1)
    return Catalogue(tuple(categories)), Encoded("divided", DIVISOR, bare=False, category=index, crowd_groups=False)


FORMAT = Format(
    name="mvd",
    folders=("mvd", "mapillary", "mapillaryvistas", "vistas"),
    sign="config*.json beside validation/ or training/",
    recognized=recognized,
    read=lambda folder, split, version: read(folder, split=split, version=version),
    versions=("1.2", "2.0"),
)
