"""COCO panoptic ground truths: the data set, and any other in its format.

Kirillov et al., "Panoptic Segmentation", CVPR 2019.
"""

from __future__ import annotations

from pathlib import Path

from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import panoptic_json
from panoptic_eval.datasets.folders import JSON, files, json_stem, only, png_folders, spellings
from panoptic_eval.datasets.formats import Format
from panoptic_eval.datasets.panoptic_json import IsThing
from panoptic_eval.errors import InputError
from panoptic_eval.labels import LabelMaps


def recognized(folder: Path) -> bool:
    """Return whether a folder holds such a JSON and its PNGs in a usual layout."""
    return bool(_jsons(folder))


def choose(folder: Path, split: str | None = None) -> Path:
    """Find the JSON of a split: of the validation split, or else the only one there is, if none is asked for.

    Raises:
        InputError: it is not there, or there are several.
    """
    jsons = _jsons(folder)
    if split is None and len(jsons) > 1:
        gt = [path for path in jsons if path.stem.startswith("gt")]  # beside a prediction
        jsons = gt or [path for path in jsons if path.stem.startswith("panoptic_val")] or jsons
    elif split is not None:
        names = tuple(f"panoptic_{name}" for name in spellings(split))
        jsons = [path for path in jsons if path.stem.startswith(names)]
    gt_json = only(jsons, f"ground truths in {folder}")
    if gt_json is None:
        raise InputError(
            f"{folder}: has no panoptic JSON of the split {split}; expected annotations/panoptic_{split}….json"
        )
    return gt_json


def _jsons(folder: Path) -> list[Path]:
    """List panoptic_*.json here or in annotations/, or else any JSON with a folder of its name."""
    places = [folder, folder / "annotations"]
    named = sorted(json for place in places for end in JSON for json in files(place, f"panoptic_*{end}"))
    return named or [json for end in JSON for json in files(folder, f"*{end}") if (folder / json_stem(json)).is_dir()]


def read(
    path: Path, folder: Path | None = None, *, catalogue: Catalogue | None = None, isthing: IsThing = "needed"
) -> LabelMaps:
    """Read a panoptic JSON and its PNGs.

    Args:
        folder: of the PNGs; by default the one named like the JSON, beside it or beside the `annotations` it is in.
        catalogue: taken where the JSON lists no categories.
        isthing: whether categories must say what is a thing.

    Raises:
        InputError: everything that is wrong with it.
    """
    folders = png_folders(path) if folder is None else [folder]
    pngs = next((f for f in folders if f.is_dir()), None)
    if pngs is None and path.is_file():
        raise InputError(
            f"{path}: its PNGs were looked for in {' and '.join(map(str, folders))}; expected such a folder, or "
            "--gt-folder to give another"
        )
    photographs = _photographs(path)
    return panoptic_json.ground_truth(
        path,
        pngs or folders[0],
        source=f"COCO panoptic format, {path}",
        photograph=lambda _, name: _photograph(photographs, name) if photographs and name else None,
        catalogue=catalogue,
        isthing=isthing,
    )


def _photograph(folder: Path, name: str) -> Path:
    """Find a photograph; a backslash in its name is a separator unless a file has that name."""
    path = folder / name
    return path if "\\" not in name or path.is_file() else folder / name.replace("\\", "/")


def _photographs(path: Path) -> Path | None:
    """Find the folder of the photographs: val2017/ or images/val2017/ for annotations/panoptic_val2017.json."""
    name = json_stem(path).removeprefix("panoptic_")
    places = [path.parent.parent / name, path.parent.parent / "images" / name, path.parent / "images"]
    return next((place for place in places if name != json_stem(path) and place.is_dir()), None)


FORMAT = Format(
    name="coco",
    folders=("coco", "mscoco", "coco2017"),
    sign="annotations/panoptic_*.json, or NAME.json with a folder NAME",
    recognized=recognized,
    read=lambda folder, split, _: read(choose(folder, split)),
)
