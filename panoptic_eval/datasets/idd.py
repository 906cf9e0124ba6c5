"""India Driving Dataset, level 3. Varma et al., "IDD: A Dataset for Exploring Problems of Autonomous Navigation in
Unconstrained Environments", WACV 2019.

Straight from the instance files: the panoptic files that AutoNUE's converter makes are resized, which invents ids where
Pillow interpolates.
"""

from __future__ import annotations

import re
from pathlib import Path

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets.folders import choose_split, files, gt_fine_of, images_below
from panoptic_eval.datasets.formats import Format
from panoptic_eval.errors import InputError
from panoptic_eval.labels import Encoded, LabelMap, LabelMaps, code_table

DIVISOR = 1000
SUFFIX = "_gtFine_instancelevel3Ids.png"
CATEGORIES = (  # thing, color, name, by level3Id: of the first label that is not ignored. helpers/anue_labels.py
    (False, (128, 64, 128), "road"),
    (False, (250, 170, 160), "parking"),
    (False, (244, 35, 232), "sidewalk"),
    (False, (230, 150, 140), "rail track"),
    (True, (220, 20, 60), "person"),
    (True, (255, 0, 0), "rider"),
    (True, (0, 0, 230), "motorcycle"),
    (True, (119, 11, 32), "bicycle"),
    (True, (255, 204, 54), "autorickshaw"),
    (True, (0, 0, 142), "car"),
    (True, (0, 0, 70), "truck"),
    (True, (0, 60, 100), "bus"),
    (True, (136, 143, 153), "vehicle fallback"),
    (False, (220, 190, 40), "curb"),
    (False, (102, 102, 156), "wall"),
    (False, (190, 153, 153), "fence"),
    (False, (180, 165, 180), "guard rail"),
    (False, (174, 64, 67), "billboard"),
    (False, (220, 220, 0), "traffic sign"),
    (False, (250, 170, 30), "traffic light"),
    (False, (153, 153, 153), "pole"),
    (False, (169, 187, 214), "obs-str-bar-fallback"),
    (False, (70, 70, 70), "building"),
    (False, (150, 100, 100), "bridge"),
    (False, (107, 142, 35), "vegetation"),
    (False, (70, 130, 180), "sky"),
)
VOID = 255


def catalogue() -> Catalogue:
    """Return the 26 categories by level3Id, 0 to 25; 4 to 12 are things."""
    return Catalogue(tuple(Category(i, name, thing, color) for i, (thing, color, name) in enumerate(CATEGORIES)))


def recognized(folder: Path) -> bool:
    """Return whether a folder is this data set, or its gtFine/."""
    return bool(files(gt_fine_of(folder), f"*/*/*{SUFFIX}"))


def read(root: Path, *, split: str | None = None) -> LabelMaps:
    """Read a split; an image's id is <drive>_<image>. A thing without instance number is a crowd.

    Raises:
        InputError: what was not found.
    """
    folder = choose_split(gt_fine_of(root), split)
    pngs = files(folder, f"*/*{SUFFIX}")
    if not pngs:
        raise InputError(f"{folder}: has no */*{SUFFIX}; expected what createLabels.py --instance True makes")
    photographs = images_below(folder.parent.parent / "leftImg8bit" / folder.name)
    maps = []
    for png in pngs:
        drive, name = png.parent.name, png.name.removesuffix(SUFFIX)
        maps.append(LabelMap(f"{drive}_{name}", png, photograph=photographs.get(f"{drive}/{name}_leftImg8bit")))
    categories = catalogue()
    meaning = Encoded("divided", DIVISOR, bare=True, category=code_table(categories, [VOID]), crowd_groups=True)
    return LabelMaps(f"IDD level 3, {folder.name}, {folder}", categories, tuple(maps), meaning)


def image_name(name: str) -> str:
    """Return the image id in the name of a file: AutoNUE's converter makes the name itself the id.

    >>> image_name("1_000123_gtFine_panopticlevel3Ids.png")
    '1_000123'
    """
    return re.sub(r"_(gtFine|leftImg8bit)(_.*)?$", "", name.removesuffix(".png"))


FORMAT = Format(
    name="idd",
    folders=("idd", "iddsegmentation", "idd20k", "idd20kii", "anue"),
    sign=f"gtFine/*/*/*{SUFFIX}",
    recognized=recognized,
    read=lambda folder, split, _: read(folder, split=split),
    image_name=image_name,
)
