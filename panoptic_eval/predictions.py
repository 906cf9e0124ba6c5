"""A directory of predictions: the contract with any model.

    DIR/panoptic.json, DIR/panoptic/*.png    COCO panoptic format: segment ids, categories and, optionally, scores
    DIR/instances.json                       optional: detections before fusion, as COCO results
    DIR/semantic/*.png                       optional: category id of each pixel

`PredictionWriter` makes one from arrays. What other tools write is read as it is; see `read_predictions`.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from panoptic_eval import detections, semantic_results
from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import FORMATS, image_ids, panoptic_json
from panoptic_eval.datasets.folders import JSON, files, json_stem, png_folders
from panoptic_eval.datasets.json_rows import repeated, short
from panoptic_eval.datasets.numbering import Numbering, choose_numbering, point_out
from panoptic_eval.datasets.panoptic_json import PanopticJson
from panoptic_eval.datasets.png_names import inside
from panoptic_eval.detections import Detections
from panoptic_eval.errors import Fault, Faults, InputError, PngError
from panoptic_eval.files import PNG_LIMIT, open_regular, read_regular
from panoptic_eval.labels import Encoded, ImageId, LabelMap, LabelMaps, Listed, code_table, split_ids
from panoptic_eval.png.container import COLOR_TYPE, HEAD, RGB, RGBA
from panoptic_eval.png.label_runs import read_runs
from panoptic_eval.prediction_writer import RECORDS, PredictionWriter, png_name
from panoptic_eval.rules import CategoryIds
from panoptic_eval.shapes import Bool
from panoptic_eval.text import path_text

__all__ = ["CategoryIds", "Detections", "PredictionWriter", "Predictions", "read_predictions"]

JSONS = ("panoptic.json", "predictions.json")
"""Ours, and detectron2's."""
EACH = "_json"
"""Ending of a folder that holds a JSON an image; the one without it holds the PNGs (EfficientPS' tmp_json and tmp)."""
DETECTIONS = ("instances.json", "coco_instances_results.json", "*.segm.json")
"""Ours, detectron2's and mmdetection's; the first that is there is read."""
SEMANTIC = "sem_seg_predictions.json"
"""Name that detectron2 gives its semantic results; semantic/*.png goes before it."""


@dataclass(frozen=True)
class Predictions:
    """One side of an evaluation, and what else the model said about the same images."""

    panoptic: LabelMaps
    """Images of the ground truth only, ids and order as in the prediction; its catalogue is the ground truth's."""
    instances: Detections | None
    semantic: LabelMaps | None
    """Category ids as segments."""
    oddities: tuple[Fault, ...]
    """What is odd about the files, and what was done with it."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Oddities, a line each."""
        return tuple(map(str, self.oddities))


@dataclass(frozen=True)
class _Layout:
    """Places of the parts of a prediction."""

    home: Path
    """Holds instances.json and semantic/, if there are any."""
    json: Path | None
    """A file, or a folder of them, one an image."""
    pngs: Path


def read_predictions(
    pred: Path | str,
    gt: LabelMaps,
    *,
    folder: Path | str | None = None,
    divisor: int = 1000,
    category_ids: CategoryIds = "auto",
) -> Predictions:
    """Find out how predictions are laid out, and check them against the ground truth's images and categories.

    Args:
        pred: a directory as above; a panoptic JSON with its PNGs in the folder named like it or beside it (also as
            that folder, or as the directory that holds this one pair); a folder NAME_json with a JSON an image, and
            NAME with the PNGs; or PNGs alone, matched to images by name: gray ones of category * divisor + instance
            (below the divisor: the category), or colored ones (red is the category, green and blue are the instance).
            Void is 0, or 255 where 0 is a category. With `category_ids` label, as in Mapillary's own files, ids below
            the divisor are instances of the first category, and categories that are not evaluated are void; category
            ids alone have divisor 1.
        gt: the ground truth.
        folder: holds the PNGs, if it is none of these.
        divisor: label divisor of gray PNGs without JSON.
        category_ids: how predictions number categories; see `CategoryIds`.

    Raises:
        InputError: every fault, except images without prediction and the contents of PNGs.
    """
    if divisor < 1:
        raise InputError(f"divisor is {divisor}; expected 1 or more")
    layout = _locate(Path(pred), None if folder is None else Path(folder))
    faults = Faults()
    if layout.json is not None:
        panoptic, numbering = _from_json(layout.json, layout.pngs, gt, category_ids, faults)
    else:
        panoptic, numbering = _from_pngs(layout.pngs, gt, divisor, category_ids, faults)
    instances = _instances(layout.home, gt, numbering.catalogue, faults)
    semantic = _semantic(layout.home, gt, numbering.catalogue, faults)
    predictions = Predictions(panoptic, instances, semantic, faults.oddities)
    faults.check(read=predictions)
    return predictions


def _locate(pred: Path, folder: Path | None) -> _Layout:
    """Tell the layouts apart.

    Raises:
        InputError: none of them is there, or several are.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"{path_text(folder)}: does not exist; expected the folder of the predictions' PNGs")
    if pred.is_file():
        if not pred.name.endswith(JSON):
            raise InputError(f"{pred}: expected a directory of predictions, or a panoptic JSON")
        return _Layout(pred.parent, pred, folder or _png_folder(pred))
    if not pred.is_dir():
        raise InputError(f"{path_text(pred)}: does not exist; expected a directory of predictions")
    if layout := _with_json(pred, folder):
        return layout
    below = [found for sub in files(pred, "*") if sub.is_dir() and (found := _with_json(sub, folder))]
    if len(below) == 1:  # the folder was one level too high
        return below[0]
    for place in [folder] if folder else [pred / "panoptic", pred]:
        if _pngs(place):
            return _Layout(pred, None, place)
    raise InputError(
        f"{pred}: no predictions found; looked for {', '.join(JSONS)}, {pred}.json, NAME.json with a folder NAME, "
        f"NAME{EACH}/*.json with a folder NAME, panoptic/*.png and *.png"
    )


def _with_json(pred: Path, folder: Path | None) -> _Layout | None:
    """Return the layout of a folder that holds a panoptic JSON, or has one beside it."""
    if (pred / RECORDS).is_file():
        raise InputError(
            f"{pred}: is not finished ({RECORDS} is there); expected PredictionWriter.close() to be called"
        )
    for name in (name + end for name in JSONS for end in ("", ".gz")):
        if (pred / name).is_file():
            return _Layout(pred, pred / name, folder or _png_folder(pred / name))
    absolute = Path(os.path.abspath(pred))  # noqa: PTH100 (links stay as they are)
    for end in JSON:
        beside = absolute.parent / f"{absolute.name}{end}"
        if beside.is_file():
            return _Layout(pred, beside, folder or pred)
    jsons = [json for end in JSON for json in files(pred, f"*{end}")]
    pairs = [json for json in jsons if (json.parent / json_stem(json)).is_dir()]
    if folder is not None and not pairs:
        pairs = [json for json in jsons if not any(json.match(name) for name in (*DETECTIONS, SEMANTIC))]
    if len(pairs) == 1:
        return _Layout(pred, pairs[0], folder or _png_folder(pairs[0]))
    each = [home for home in files(pred, f"*{EACH}") if home.is_dir() and files(home, "*.json")]
    each = [home for home in each if folder or home.with_name(home.name.removesuffix(EACH)).is_dir()]
    if not pairs and len(each) == 1:
        return _Layout(pred, each[0], folder or each[0].with_name(each[0].name.removesuffix(EACH)))
    if pairs:
        names = ", ".join(json.name for json in pairs)
        raise InputError(f"{pred}: holds several panoptic JSONs ({names}); expected the path of one of them")
    return None


def _png_folder(json: Path) -> Path:
    """Find the folder named like the JSON (beside it, or beside the `annotations` it is in), else the JSON's own."""
    return next((folder for folder in png_folders(json) if folder.is_dir()), json.parent)


def _pngs(folder: Path) -> list[Path]:
    """List the PNGs in a folder and its subfolders, by path; not those of semantic/, which are of another kind."""
    return [png for png in files(folder, "**/*.png") if "semantic" not in png.relative_to(folder).parts[:-1]]


def _instances(home: Path, gt: LabelMaps, catalogue: Catalogue, faults: Faults) -> Detections | None:
    """Read the detections beside a prediction, if there are any."""
    patterns = [pattern + end for pattern in DETECTIONS for end in ("", ".gz")]
    paths = [path for pattern in patterns for path in files(home, pattern) if path.is_file()]
    faults.warn("[file|files] beside the prediction [is|are] not read", map(str, paths[1:]))
    if not paths:
        return None
    try:
        return detections.read(paths[0], gt, catalogue, faults)
    except InputError as error:
        faults.extend(error)
        return None


def _from_json(
    path: Path, folder: Path, gt: LabelMaps, category_ids: CategoryIds, faults: Faults
) -> tuple[LabelMaps, Numbering]:
    """Read predictions in the COCO panoptic format, and find out how they number categories."""
    chosen: list[int] = []

    def of_gt(ids: Sequence[ImageId], place: Callable[[int], str]) -> Bool[np.ndarray, " m"]:
        image = image_ids.match(ids, gt.maps, place, faults)
        again = [i for i in repeated(image.tolist()) if image[i] >= 0]
        faults.add(
            "[annotation is|annotations are] of an image that has one already; expected one an image",
            (f"{place(i)}: is the image {short(gt.maps[image[i]].image_id)}" for i in again),
        )
        wanted = image >= 0
        wanted[again] = False
        chosen.extend(image[wanted].tolist())
        return wanted

    json = panoptic_json.read(
        path,
        faults,
        select=of_gt,
        prediction=True,
        category_keys=("category_id",) if category_ids == "auto" else ("category_id", "label_id"),
    )
    pngs = panoptic_json.locate_pngs(json, folder, "--pred-folder", faults)
    _warn_of_strays(json, folder, pngs, faults)
    observed = set(json.category_id[json.category_sound].tolist())
    numbering = choose_numbering(gt.catalogue, category_ids, path, json.categories, [observed], faults)
    point_out(numbering.catalogue, path, json.categories, observed, faults)
    category = numbering.catalogue.index(json.category_id)
    panoptic_json.check_categories(json, category, numbering.catalogue.ids.tolist(), faults)
    faults.warn(
        "predicted [segment is|segments are] marked crowd, which predictions cannot be; the mark is ignored",
        map(json.segment_place, np.flatnonzero(json.crowd).tolist()),
    )
    maps = tuple(
        LabelMap(
            gt.maps[k].image_id,
            png,
            json.images[given].size if given in json.images else None,
            gt.maps[k].photograph,
        )
        for k, given, png in zip(chosen, json.image_id, pngs, strict=True)
    )
    listed = Listed(json.annotation, json.id, category, np.zeros(len(json.id), bool), json.score, json.area)
    return LabelMaps(f"{path}{numbering.note}", gt.catalogue, maps, listed), numbering


def _warn_of_strays(json: PanopticJson, folder: Path, pngs: Sequence[Path], faults: Faults) -> None:
    """Warn of PNGs that no annotation names, in the folders of those that are named."""
    plain = set(map(str, pngs))
    used = sorted(place for name in set(map(os.path.dirname, plain)) if inside(folder, place := Path(name)))
    strays = []
    for place in used:
        if place.is_dir():
            with os.scandir(place) as entries:
                names = sorted(e.name for e in entries if e.name.lower().endswith(".png") and e.name[0] != ".")
            paths = [os.path.join(place, name) for name in names]  # noqa: PTH118 (text, as there are many)
            strays += [path for path in paths if path not in plain]
    if strays:  # or names are written in another way: "./a.png"
        named = {os.path.normpath(png) for png in (*pngs, *(folder / name for name in json.all_file_names))}
        strays = [str(Path(path)) for path in strays if os.path.normpath(path) not in named]
    faults.warn(f"[PNG is|PNGs are] named by no annotation in {json.path}; ignored", strays)


def _from_pngs(
    folder: Path, gt: LabelMaps, divisor: int, category_ids: CategoryIds, faults: Faults
) -> tuple[LabelMaps, Numbering]:
    """Read predictions whose ids carry the category, and find out how they number categories."""
    maps = _matched(_pngs(folder), folder, gt, faults)
    colored = [_is_colored(m.png) for m in maps]
    faults.add(
        f"[PNG is|PNGs are] {'gray' if colored[:1] == [True] else 'colored'} and others are not; expected PNGs of one "
        "kind",
        (str(m.png) for m, color in zip(maps, colored, strict=True) if color is not colored[0]),
    )

    layout: Literal["channels", "divided"] = "channels" if any(colored) else "divided"
    labels = category_ids == "label"  # of Mapillary: the others are not evaluated, and 0 is the first with instance 0

    def encoded(catalogue: Catalogue) -> Encoded:
        # Where 0 is a category, void is 255, as in the files of IDD and of Cityscapes by trainId.
        table = code_table(catalogue, (0, 255) if 0 in catalogue.ids else (0,))
        return Encoded(layout, divisor, not labels, np.maximum(table, -1) if labels else table, crowd_groups=False)

    observed = (_codes(m.png, encoded(gt.catalogue)) - {0} for m in maps)  # 0 is void by id and road by trainId
    numbering = choose_numbering(gt.catalogue, category_ids, folder, (), observed, faults)
    kind = "PNGs of category and instance" if any(colored) else f"PNGs of category * {divisor} + instance"
    source = f"{folder}, {kind}{numbering.note}"
    return LabelMaps(source, gt.catalogue, maps, encoded(numbering.catalogue)), numbering


def _semantic(home: Path, gt: LabelMaps, catalogue: Catalogue, faults: Faults) -> LabelMaps | None:
    """Read semantic/: category ids; 0 and the largest values of 8 and 16 bits are void unless they are categories."""
    folder = home / "semantic"
    pngs = _pngs(folder)
    if not pngs and (home / SEMANTIC).is_file():
        try:
            return semantic_results.read(home / SEMANTIC, gt, catalogue, faults)
        except InputError as error:
            faults.extend(error)
    if not pngs:
        return None
    meaning = Encoded("divided", 1, bare=False, category=code_table(catalogue, (0, 255, 65535)), crowd_groups=False)
    return LabelMaps(f"{folder}, category ids", gt.catalogue, _matched(pngs, folder, gt, faults), meaning)


def _is_colored(png: Path) -> bool:
    """Return whether a PNG has three channels or more, by its head; a file without one is left to those who read it."""
    try:
        with open_regular(png) as file:
            color_type = file.read(HEAD)[COLOR_TYPE : COLOR_TYPE + 1]
    except OSError:
        return False
    return color_type in (bytes([RGB]), bytes([RGBA]))


def _codes(png: Path, encoded: Encoded) -> set[int]:
    """List the category numbers that occur in a PNG; none if it cannot be read, which is left to those who score it."""
    try:
        ids = np.unique(read_runs(read_regular(png, PNG_LIMIT)).id)
    except (OSError, PngError):
        return set()
    return set(split_ids(encoded, ids.astype(np.int64))[0].tolist())


def _matched(pngs: Sequence[Path], folder: Path, gt: LabelMaps, faults: Faults) -> tuple[LabelMap, ...]:
    """Return the image of each PNG, by its name; several of one image, or none of any, are faults."""
    images: dict[str, set[int]] = defaultdict(set)
    for k, m in enumerate(gt.maps):
        photograph = [] if m.photograph is None else [m.photograph.stem]
        for name in (str(m.image_id), Path(png_name(m.image_id)).stem, m.png.stem, *photograph):
            for form in _forms(name):
                images[form].add(k)
    taken: dict[int, Path] = {}
    strays, twice, several = [], [], []
    for png in pngs:
        within = "_".join(png.relative_to(folder).with_suffix("").parts[-2:])  # city/image or drive/image, too
        fits = [images[form] for name in (within, png.stem) for form in _forms(name) if form in images]
        image = next((next(iter(fit)) for fit in fits if len(fit) == 1), None)
        if image is None and fits:
            names = ", ".join(short(gt.maps[k].image_id) for k in sorted(fits[0])[:3])
            several.append(f"{png}: fits {names}, …")
        elif image is None:
            strays.append(str(png))
        elif image in taken:
            twice.append(f"{png}: is of the same image as {taken[image]}")
        else:
            taken[image] = png
    faults.add("[PNG has|PNGs have] a name that fits several images; expected the id of one", several)
    faults.add("[PNG is|PNGs are] of an image that has one already; expected one an image", twice)
    if strays and not taken:
        faults.add(
            f"none of the PNGs is named like an image of the ground truth; expected names such as "
            f"{short(gt.maps[0].image_id)}.png",
            strays,
            likely_cause=True,
        )
    else:
        faults.warn("[PNG has|PNGs have] a name that fits no image of the ground truth; left out", strays)
    return tuple(LabelMap(gt.maps[k].image_id, png, photograph=gt.maps[k].photograph) for k, png in taken.items())


def _forms(name: str) -> list[str]:
    """Return a file's name, also without the kind of file that a data set adds, and digits without leading zeros."""
    name = unicodedata.normalize("NFC", name)
    forms = [name, *(f.image_name(name) for f in FORMATS)]
    return [*forms, str(int(name))] if name.isdecimal() and name.isascii() and len(name) < 20 else forms
