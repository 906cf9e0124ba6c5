"""Cityscapes. Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.

Its panoptic JSON where somebody has made one, else straight from the instance ids that it is distributed with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import panoptic_json
from panoptic_eval.datasets.folders import choose_split, files, gt_fine_of, images_below, spellings
from panoptic_eval.datasets.formats import Format
from panoptic_eval.errors import InputError
from panoptic_eval.labels import Encoded, LabelMap, LabelMaps, code_table

Coding = Literal["id", "trainId"]
"""Two numberings of the same 19 categories; the official evaluation uses id."""

CATEGORIES = (  # id, trainId, thing, color, name, group; all other labels are void. cityscapesscripts/helpers/labels.py
    (7, 0, False, (128, 64, 128), "road", "flat"),
    (8, 1, False, (244, 35, 232), "sidewalk", "flat"),
    (11, 2, False, (70, 70, 70), "building", "construction"),
    (12, 3, False, (102, 102, 156), "wall", "construction"),
    (13, 4, False, (190, 153, 153), "fence", "construction"),
    (17, 5, False, (153, 153, 153), "pole", "object"),
    (19, 6, False, (250, 170, 30), "traffic light", "object"),
    (20, 7, False, (220, 220, 0), "traffic sign", "object"),
    (21, 8, False, (107, 142, 35), "vegetation", "nature"),
    (22, 9, False, (152, 251, 152), "terrain", "nature"),
    (23, 10, False, (70, 130, 180), "sky", "sky"),
    (24, 11, True, (220, 20, 60), "person", "human"),
    (25, 12, True, (255, 0, 0), "rider", "human"),
    (26, 13, True, (0, 0, 142), "car", "vehicle"),
    (27, 14, True, (0, 0, 70), "truck", "vehicle"),
    (28, 15, True, (0, 60, 100), "bus", "vehicle"),
    (31, 16, True, (0, 80, 100), "train", "vehicle"),
    (32, 17, True, (0, 0, 230), "motorcycle", "vehicle"),
    (33, 18, True, (119, 11, 32), "bicycle", "vehicle"),
)
LABELS = 34
"""Ids 0 to 33 occur in PNGs; 15 of them are void, among them caravan and trailer, which have instances."""
DIVISOR = 1000
SUFFIX = "_gtFine_instanceIds.png"


def recognized(folder: Path) -> bool:
    """Return whether a folder is this data set, or its gtFine/."""
    gt_fine = gt_fine_of(folder)
    return bool(files(gt_fine, "cityscapes_panoptic_*.json") or files(gt_fine, f"*/*/*{SUFFIX}"))


def read(root: Path, *, split: str | None = None) -> LabelMaps:
    """Read a split by id, from its panoptic JSON if there is one, else from the instance files.

    An image's id is <city>_<sequence>_<frame>. A thing without instance number is a crowd.

    Raises:
        InputError: what was not found, or everything that is wrong with the files.
    """
    gt_fine = gt_fine_of(root)
    jsons = [gt_fine / f"cityscapes_panoptic_{name}.json" for name in spellings(split or "val")]
    json = next((path for path in jsons if path.is_file()), None)
    if json is not None:
        name = json.stem.removeprefix("cityscapes_panoptic_")
        photographs = images_below(gt_fine.parent / "leftImg8bit" / name)
        return panoptic_json.ground_truth(
            json,
            json.with_suffix(""),
            source=f"Cityscapes, {name}, {json}",
            photograph=lambda image_id, _: photographs.get(_photograph(str(image_id))),
            catalogue=catalogue(),
        )
    folder = choose_split(gt_fine, split)
    pngs = files(folder, f"*/*{SUFFIX}")
    if not pngs:
        raise InputError(f"{folder}: has no */*{SUFFIX} and there is no {jsons[-1]}; expected one of them")
    photographs = images_below(gt_fine.parent / "leftImg8bit" / folder.name)
    ids = [png.name.removesuffix(SUFFIX) for png in pngs]
    maps = (
        LabelMap(id_, png, photograph=photographs.get(_photograph(id_))) for id_, png in zip(ids, pngs, strict=True)
    )
    categories = catalogue()
    meaning = Encoded("divided", DIVISOR, bare=True, category=code_table(categories, range(LABELS)), crowd_groups=True)
    return LabelMaps(f"Cityscapes, {folder.name}, {folder}", categories, tuple(maps), meaning)


def _photograph(image_id: str) -> str:
    return f"{image_id.partition('_')[0]}/{image_id}_leftImg8bit"


def catalogue(coding: Coding = "id") -> Catalogue:
    """Return the 19 evaluated categories, numbered by id (7 to 33) or by trainId (0 to 18); both in the same order."""
    return Catalogue(
        tuple(
            Category(id_ if coding == "id" else train_id, name, thing, color, group)
            for id_, train_id, thing, color, name, group in CATEGORIES
        )
    )


def coding_of(found: Catalogue) -> Coding | None:
    """Say how a catalogue numbers the Cityscapes categories; None if it is another data set's."""
    things = {(c.id, c.isthing) for c in found.categories}
    codings: tuple[Coding, ...] = ("id", "trainId")
    return next((c for c in codings if things == {(k.id, k.isthing) for k in catalogue(c).categories}), None)


def renumber(found: Catalogue, coding: Coding) -> Catalogue:
    """Return the same categories in the same order, numbered by `coding`.

    Raises:
        ValueError: not a catalogue of Cityscapes.

    >>> renumber(catalogue("id"), "trainId").ids.tolist() == list(range(19))
    True
    """
    now = coding_of(found)
    if now is None:
        raise ValueError("only a catalogue of Cityscapes can be renumbered")
    number = dict(zip(catalogue(now).ids.tolist(), catalogue(coding).ids.tolist(), strict=True))
    return Catalogue(tuple(replace(c, id=number[c.id]) for c in found.categories))


def numberings(found: Catalogue) -> Mapping[str, Catalogue]:
    """Return both numberings of a catalogue of Cityscapes; none of another's."""
    if coding_of(found) is None:
        return {}
    codings: tuple[Coding, ...] = ("id", "trainId")
    return {coding: renumber(found, coding) for coding in codings}


def image_name(name: str) -> str:
    """Return the image id in the name of a file.

    >>> image_name("frankfurt_000000_000294_gtFine_instanceIds")
    'frankfurt_000000_000294'
    """
    return re.sub(r"_(gtFine|leftImg8bit)(_.*)?$", "", name)


def default_catalogue(json_name: str) -> Catalogue | None:
    """Return the categories of a panoptic JSON that lists none, as some converters write it; its name tells which."""
    if "cityscapes" not in json_name:
        return None
    return catalogue("trainId" if "trainId" in json_name else "id")


FORMAT = Format(
    name="cityscapes",
    folders=("cityscapes",),
    sign=f"gtFine/*/*/*{SUFFIX} or gtFine/cityscapes_panoptic_*.json",
    recognized=recognized,
    read=lambda folder, split, _: read(folder, split=split),
    renumber=numberings,
    image_name=image_name,
    default_catalogue=default_catalogue,
)
