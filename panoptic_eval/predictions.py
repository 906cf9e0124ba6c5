"""A directory of predictions: the contract with any model.

    DIR/panoptic.json, DIR/panoptic/*.png    COCO panoptic format: segment ids, categories and, optionally, scores
    DIR/instances.json                       optional: detections before fusion, as COCO results
    DIR/semantic/*.png                       optional: category id of each pixel

`PredictionWriter` makes one from arrays. What other tools write is read as it is; see `read`.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int

from panoptic_eval import detections
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import cityscapes, panoptic_json
from panoptic_eval.datasets.json_rows import REPORTED, repeated, short
from panoptic_eval.datasets.panoptic_json import PanopticJson
from panoptic_eval.detections import Detections
from panoptic_eval.errors import InputError, PngError
from panoptic_eval.labels import Encoded, LabelMap, LabelMaps, Listed, other_type, split_ids
from panoptic_eval.pairs.reference import decode, ids_of
from panoptic_eval.prediction_writer import RECORDS, PredictionWriter, png_name

__all__ = ["Detections", "PredictionWriter", "Predictions", "read_predictions"]

CategoryIds = Literal["auto", "id", "trainId"]


@dataclass(frozen=True)
class Predictions:
    """One side of an evaluation, and what else the model said about the same images."""

    panoptic: LabelMaps
    """Images of the ground truth only, ids and order as in the prediction; its catalogue is the ground truth's."""
    instances: Detections | None
    semantic: LabelMaps | None
    """Category ids as segments."""
    warnings: tuple[str, ...]
    """What is no fault but may not be meant."""


@dataclass(frozen=True)
class _Layout:
    """Where the parts of a prediction are."""

    home: Path
    """Holds instances.json and semantic/, if there are any."""
    json: Path | None
    pngs: Path


def read_predictions(
    pred: Path, gt: LabelMaps, *, divisor: int = 1000, category_ids: CategoryIds = "auto"
) -> Predictions:
    """Finds out how predictions are laid out, and checks them against the ground truth's images and categories.

    Args:
        pred: a directory as above; a panoptic JSON with its PNGs in the folder named like it or beside it (also as
            that folder, or as the directory that holds this one pair); or PNGs alone, matched to images by name:
            grey ones of category * divisor + instance (below the divisor: the category), or two-channel ones (red
            category, green instance). Void is 0, or 255 where 0 is a category.
        divisor: of grey PNGs without JSON.
        category_ids: how Cityscapes categories are numbered; "auto" goes by the names in the JSON, else by the numbers.

    Raises:
        InputError: every fault, except images without prediction and the contents of PNGs.
    """
    if divisor < 1:
        raise InputError(f"divisor is {divisor}; expected 1 or more")
    layout = _locate(pred)
    faults: list[str] = []
    if layout.json is not None:
        panoptic, catalogue, warnings = _from_json(layout.json, layout.pngs, gt, category_ids, faults)
    else:
        panoptic, catalogue = _from_pngs(layout.pngs, gt, divisor, category_ids, faults)
        warnings = []
    instances = layout.home / "instances.json"
    found = None
    if instances.is_file():
        try:
            found = detections.read(instances, gt, catalogue, faults)
        except InputError as error:
            faults += map(str, error.faults)
    semantic = _semantic(layout.home / "semantic", gt, catalogue, faults)
    if faults:
        raise InputError(faults)
    return Predictions(panoptic, found, semantic, tuple(warnings))


def _locate(pred: Path) -> _Layout:
    """Tells the layouts apart.

    Raises:
        InputError: none of them is there, or several are.
    """
    if pred.is_file():
        if pred.suffix != ".json":
            raise InputError(f"{pred}: expected a directory of predictions, or a panoptic JSON")
        return _Layout(pred.parent, pred, _png_folder(pred))
    if not pred.is_dir():
        raise InputError(f"{pred}: does not exist; expected a directory of predictions")
    if (pred / RECORDS).is_file():
        raise InputError(
            f"{pred}: is not finished ({RECORDS} is there); expected PredictionWriter.close() to be called"
        )
    for name in ("panoptic.json", "predictions.json"):  # ours; detectron2's
        if (pred / name).is_file():
            return _Layout(pred, pred / name, _png_folder(pred / name))
    absolute = Path(os.path.abspath(pred))  # noqa: PTH100 (links stay as they are)
    beside = absolute.parent / f"{absolute.name}.json"
    if beside.is_file():
        return _Layout(pred, beside, pred)
    pairs = sorted(json for json in pred.glob("*.json") if json.with_suffix("").is_dir())
    if len(pairs) == 1:
        return _Layout(pred, pairs[0], pairs[0].with_suffix(""))
    if pairs:
        names = ", ".join(json.name for json in pairs)
        raise InputError(
            f"{pred}: holds several JSONs with a folder of PNGs ({names}); expected the path of one of them"
        )
    for folder in (pred / "panoptic", pred):
        if _pngs(folder):
            return _Layout(pred, None, folder)
    raise InputError(
        f"{pred}: no predictions found; looked for panoptic.json, predictions.json, {beside}, "
        "NAME.json with a folder NAME, panoptic/*.png and *.png"
    )


def _png_folder(json: Path) -> Path:
    """The folder named like the JSON (beside it, or beside the `annotations` that it is in), else the JSON's own."""
    folders = [json.with_suffix("")]
    if json.parent.name == "annotations":
        folders.append(json.parent.parent / json.stem)
    return next((folder for folder in folders if folder.is_dir()), json.parent)


def _pngs(folder: Path) -> list[Path]:
    """PNGs in a folder and its subfolders, by path; not those of semantic/, which are of another kind."""
    return sorted(png for png in folder.rglob("*.png") if png.relative_to(folder).parts[0] != "semantic")


def _from_json(
    path: Path, folder: Path, gt: LabelMaps, category_ids: CategoryIds, faults: list[str]
) -> tuple[LabelMaps, Catalogue, list[str]]:
    """Predictions in the COCO panoptic format, gt's catalogue numbered as they are, and warnings."""
    json = panoptic_json.read(path, faults)
    known = {m.image_id: m for m in gt.maps}
    # IDD's converter makes a file's name the image id; predictions of its users have it, too.
    ids = [
        _bare(id_.removesuffix(".png")) if id_ not in known and isinstance(id_, str) else id_ for id_ in json.image_id
    ]
    for i, id_ in enumerate(ids):
        if id_ not in known and id_ != "":
            what = other_type(id_, known) or "the ground truth has no such image"
            faults.append(f"{json.place(i)}: {what}; expected one of its images")
    faults += [
        f"{json.place(i)}: is the image {ids[i]}, which has an annotation already; expected one an image"
        for i in sorted(set(repeated(ids)) - set(repeated(json.image_id)))
    ]
    pngs = panoptic_json.png_paths(json, folder, faults)
    named = {os.path.normpath(png) for png in pngs}
    faults += [
        f"{png}: no annotation in {path} names this PNG; expected one that does, or no such file"
        for used in sorted({png.parent for png in pngs if panoptic_json.inside(folder, png)})
        for png in sorted(used.glob("*.png"))
        if os.path.normpath(png) not in named
    ]
    observed = {int(id_) for id_ in np.unique(json.category_id) if id_ != REPORTED}
    catalogue, numbering = _numbering(gt.catalogue, category_ids, path, json.categories, [observed], faults)
    category = catalogue.index(json.category_id)
    faults += panoptic_json.category_faults(json, category, catalogue.ids.tolist())

    maps = tuple(
        LabelMap(
            id_,
            png,
            json.images[given].size if given in json.images else None,
            known[id_].photograph if id_ in known else None,
        )
        for id_, given, png in zip(ids, json.image_id, pngs, strict=True)
    )
    listed = Listed(json.annotation, json.id, category, np.zeros(len(json.id), bool), json.score, json.area)
    panoptic = LabelMaps(f"{path}{numbering}", gt.catalogue, maps, listed)
    return panoptic, catalogue, [*_other_names(json.categories, catalogue, path), *_crowds(json)]


def _other_names(declared: Sequence[Category], catalogue: Catalogue, path: Path) -> list[str]:
    """A warning if categories go by other names than in the ground truth: numbers may be mixed up."""
    theirs = {c.id: c.name for c in declared}
    pairs = [(c.id, theirs[c.id], c.name) for c in catalogue.categories if c.id in theirs]
    other = [(id_, a, b) for id_, a, b in pairs if a.casefold() != b.casefold()]
    if not other:
        return []
    id_, a, b = other[0]
    count = f"{len(other)} of {len(pairs)} categories"
    return [f"{path}: {count} have other names than in the ground truth (category {id_} is {a!r} here, {b!r} there)"]


def _crowds(json: PanopticJson) -> list[str]:
    crowds = int(json.crowd.sum())
    return [f"{json.path}: {crowds} segments are marked crowd, which predictions cannot be; ignored"] if crowds else []


def _from_pngs(
    folder: Path, gt: LabelMaps, divisor: int, category_ids: CategoryIds, faults: list[str]
) -> tuple[LabelMaps, Catalogue]:
    """Predictions whose ids carry the category, and gt's catalogue numbered as they are."""
    pngs = _pngs(folder)
    coloured = [_is_coloured(png) for png in pngs]
    odd = [png for png, colour in zip(pngs, coloured, strict=True) if colour is not coloured[0]]
    faults += [
        f"{png}: is {'grey' if coloured[0] else 'coloured'} and {pngs[0]} is not; expected PNGs of one kind"
        for png in odd
    ]

    def encoded(catalogue: Catalogue) -> Encoded:
        # Where 0 is a category, void is 255, as in the files of IDD and of Cityscapes by trainId.
        table = _code_table(catalogue, (0, 255) if 0 in catalogue.ids else (0,))
        layout: Literal["two_channel", "divided"] = "two_channel" if coloured[0] else "divided"
        return Encoded(layout, divisor, bare=True, category=table, crowd_groups=False)

    observed = (_codes(png, encoded(gt.catalogue)) - {0} for png in pngs)  # 0 is void by id and road by trainId
    catalogue, numbering = _numbering(gt.catalogue, category_ids, folder, (), observed, faults)
    kind = "two-channel PNGs" if coloured[0] else f"PNGs of category * {divisor} + instance"
    maps = _matched(pngs, folder, gt, faults)
    return LabelMaps(f"{folder}, {kind}{numbering}", gt.catalogue, maps, encoded(catalogue)), catalogue


def _semantic(folder: Path, gt: LabelMaps, catalogue: Catalogue, faults: list[str]) -> LabelMaps | None:
    """Category ids of pixels; 0 and the largest values of 8 and 16 bits are void unless they are categories."""
    pngs = _pngs(folder) if folder.is_dir() else []
    if not pngs:
        return None
    meaning = Encoded("divided", 1, bare=False, category=_code_table(catalogue, (0, 255, 65535)), crowd_groups=False)
    return LabelMaps(f"{folder}, category ids", gt.catalogue, _matched(pngs, folder, gt, faults), meaning)


def _code_table(catalogue: Catalogue, void: tuple[int, ...]) -> Int[np.ndarray, " k"]:
    """Catalogue index of each category number that a PNG can hold; -1 void, -2 none; a category is never void."""
    fits = catalogue.ids < 1 << 16
    table = np.full(max(*catalogue.ids[fits].tolist(), *void) + 1, -2)
    table[list(void)] = -1
    table[catalogue.ids[fits]] = np.flatnonzero(fits)
    return table


def _is_coloured(png: Path) -> bool:
    """Whether a PNG has three channels or more, by its head; a file without one is left to those who read it."""
    try:
        with png.open("rb") as file:
            head = file.read(26)
    except OSError:
        return False
    return len(head) == 26 and head[25] in (2, 6)


def _codes(png: Path, encoded: Encoded) -> set[int]:
    """Category numbers that occur in a PNG; none if it cannot be read, which is left to those who score it."""
    try:
        ids = ids_of(decode(png.read_bytes()))[0].id
    except (OSError, PngError):
        return set()
    return set(split_ids(encoded, ids.astype(np.int64))[0].tolist())


def _numbering(
    catalogue: Catalogue,
    wanted: CategoryIds,
    where: Path,
    declared: Sequence[Category],
    observed: Iterable[set[int]],
    faults: list[str],
) -> tuple[Catalogue, str]:
    """gt's catalogue numbered as the predictions are, and a note on it: only Cityscapes has two numberings.

    Args:
        declared: the prediction's own categories, if it has any.
        observed: category numbers that occur; looked at only as far as needed.
    """
    own = cityscapes.coding_of(catalogue)
    if own is None:
        if wanted != "auto":
            faults.append(f"{where}: category_ids is {wanted}, but the ground truth is not Cityscapes; expected auto")
        return catalogue, ""
    if wanted != "auto":
        coding: cityscapes.Coding | None = wanted
    else:
        coding = cityscapes.coding_by_name(declared) or cityscapes.coding_by_number(observed, default=own)
    if coding is None:
        faults.append(f"{where}: its categories may be Cityscapes ids or trainIds; expected category_ids to say which")
    return cityscapes.renumber(catalogue, coding or own), f", categories by {coding or own}"


def _matched(pngs: Sequence[Path], folder: Path, gt: LabelMaps, faults: list[str]) -> tuple[LabelMap, ...]:
    """The image of each PNG, by its name; names that fit none or several are faults."""
    images: dict[str, set[int]] = defaultdict(set)
    for k, m in enumerate(gt.maps):
        photograph = [] if m.photograph is None else [m.photograph.stem]
        for name in (str(m.image_id), Path(png_name(m.image_id)).stem, m.png.stem, *photograph):
            images[name].add(k)
            images[_bare(name)].add(k)
    maps: list[LabelMap] = []
    taken: dict[int, Path] = {}
    for png in pngs:
        within = "_".join(png.relative_to(folder).with_suffix("").parts[-2:])  # city/image or drive/image, too
        fits = [images[name] for name in (within, _bare(within), png.stem, _bare(png.stem)) if name in images]
        image = next((next(iter(fit)) for fit in fits if len(fit) == 1), None)
        if image is None:
            several = ", ".join(short(gt.maps[k].image_id) for k in sorted(fits[0])[:3]) if fits else ""
            what = f"fits several images ({several}, …)" if fits else "fits no image of the ground truth"
            faults.append(f"{png}: the name {what}; expected the id of one, such as {gt.maps[0].image_id}.png")
        elif image in taken:
            faults.append(f"{png}: is of the same image as {taken[image]}; expected one PNG an image")
        else:
            taken[image] = png
            maps.append(LabelMap(gt.maps[image].image_id, png, photograph=gt.maps[image].photograph))
    return tuple(maps)


def _bare(name: str) -> str:
    """A Cityscapes or IDD file's name without the kind of file.

    >>> _bare("frankfurt_000000_000294_gtFine_instanceIds")
    'frankfurt_000000_000294'
    """
    return re.sub(r"_(gtFine|leftImg8bit)(_.*)?$", "", name)
