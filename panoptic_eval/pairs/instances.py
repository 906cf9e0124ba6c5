"""Pair tables of detections that may overlap: masks as COCO's run-length encodings, or boxes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.detections import Detections
from panoptic_eval.errors import InputError, PngError
from panoptic_eval.labels import LabelMap, LabelMaps
from panoptic_eval.pairs.counts import Pairs
from panoptic_eval.pairs.table import PairTable, Segments
from panoptic_eval.shapes import Float, Int, UInt32

Rle = Mapping[str, Any]
"""COCO's: size (height, width) and counts."""


def detections_table(
    table: PairTable,
    gt: LabelMaps,
    detections: Detections,
    *,
    watch: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> PairTable:
    """The table of a label map's instances and the detections in instances.json.

    Args:
        table: of the panoptic predictions, whose gt segments are taken over.
        gt: its ground truth: the masks come from its PNGs.
        detections: of any of gt's images.
        watch: is given the images' indices as they are walked, for a progress bar.

    Raises:
        InputError: a gt PNG that cannot be read any more.
    """
    at = {label_map.image_id: k for k, label_map in enumerate(gt.maps)}
    maps = [gt.maps[at[image_id]] for image_id in table.image_id]
    position = np.full(len(gt.maps), -1)
    position[[at[image_id] for image_id in table.image_id]] = np.arange(len(table))
    image = position[detections.image]
    rows = np.flatnonzero(image >= 0)
    rows = rows[np.argsort(image[rows], kind="stable")]  # within an image, the order of the file
    rles = None if detections.rle is None else [detections.rle[r] for r in rows.tolist()]
    pred = _detected(image[rows], detections.category[rows], detections.score[rows], detections.box[rows], rles)
    nothing = np.empty(0, np.int64)
    table = replace(table, pred=pred, pairs=Pairs(nothing, nothing, nothing), has_masks=rles is not None)
    if rles is None:
        return table
    first_gt, first_pred = (np.searchsorted(s.image, np.arange(len(table) + 1)) for s in (table.gt, pred))

    def masks() -> Iterator[tuple[Sequence[Rle], Sequence[Rle]]]:
        for k in watch(range(len(table))):
            found = rles[first_pred[k] : first_pred[k + 1]]
            yield (_instances(table, slice(first_gt[k], first_gt[k + 1]), maps[k]) if found else [], found)

    return _with_pairs(table, masks())


def _instances(table: PairTable, rows: slice, label_map: LabelMap) -> list[Rle]:
    """The masks of one image's gt segments, empty ones for stuff.

    Raises:
        InputError: a PNG that cannot be read any more.
    """
    from panoptic_eval.pairs.reference import decode

    try:
        labels = decode(label_map.png.read_bytes())
    except (OSError, PngError) as error:
        raise InputError(f"{label_map.png}: {error}") from error
    gt = table.gt
    things = table.catalogue.isthing[gt.category[rows]].tolist()
    return [
        encode_segment(labels, i, box) if thing else empty_rle(labels.shape)
        for i, box, thing in zip(gt.id[rows].tolist(), gt.box[rows].astype(int), things, strict=True)
    ]


def from_coco(gt: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> PairTable:
    """The table of a COCO instance annotation and of COCO results, as `json.load` gives them, for AP alone.

    Images go by ascending id, as pycocotools has them. Ranges of size are to be taken from `stated_area`, as there.

    Raises:
        InputError: results of an image or category that the annotation does not have.
    """
    images = sorted(gt["images"], key=lambda image: image["id"])
    catalogue = Catalogue(tuple(Category(c["id"], c["name"], True) for c in gt["categories"]))
    at = {image["id"]: k for k, image in enumerate(images)}
    unknown = sorted({str(r["image_id"]) for r in results if r["image_id"] not in at})
    if unknown:
        raise InputError([f"results: image {i} is none of the annotation's images" for i in unknown])
    sides: dict[str, Segments] = {}
    rles: dict[str, list[list[Rle]]] = {}
    for side, entries in (("gt", gt["annotations"]), ("pred", results)):
        ordered = sorted(entries, key=lambda e: at[e["image_id"]])  # stable: within an image, the order of the file
        image = np.array([at[e["image_id"]] for e in ordered], np.int64)
        category = catalogue.index([e["category_id"] for e in ordered])
        if (category < 0).any():
            wrong = sorted({int(e["category_id"]) for e, c in zip(ordered, category, strict=True) if c < 0})
            raise InputError(f"{side}: category ids {wrong} are none of the annotation's categories")
        masks = (
            [_rle(e["segmentation"], images[k]) for e, k in zip(ordered, image.tolist(), strict=True)]
            if all(e.get("segmentation") for e in ordered)
            else None
        )
        box = np.array([e.get("bbox") or [np.nan] * 4 for e in ordered], float).reshape(-1, 4)
        segments = _detected(image, category, np.array([e.get("score", np.nan) for e in ordered], float), box, masks)
        if side == "gt":
            crowd = np.array([bool(e.get("iscrowd", 0)) for e in ordered], bool)
            stated = np.array([e["area"] for e in ordered], float)
            segments = replace(segments, crowd=crowd, stated_area=stated)
        sides[side] = segments
        split = np.searchsorted(image, np.arange(len(images) + 1)).tolist()
        rles[side] = [masks[a:b] if masks else [] for a, b in pairwise(split)]
    none = np.empty(0, np.int64)
    size = np.array([(i["height"], i["width"]) for i in images], np.int64).reshape(-1, 2)
    digest = ("",) * len(images)
    table = PairTable(catalogue, tuple(at), size, digest, sides["gt"], sides["pred"], Pairs(none, none, none))
    return _with_pairs(table, zip(rles["gt"], rles["pred"], strict=True))


def encode_segment(labels: UInt32[np.ndarray, "h w"], segment: int, box: Int[np.ndarray, " 4"]) -> Rle:
    """Run-length encoding of the pixels with one id, looking only into their box (x, y, width, height)."""
    from pycocotools import mask

    x, y, w, h = box.tolist()
    inside = np.zeros((w, h + 2), bool)  # transposed, as COCO's runs go down the columns; padded, so that all runs end
    inside[:, 1:-1] = (labels[y : y + h, x : x + w] == segment).T
    column, row = np.nonzero(inside[:, 1:] != inside[:, :-1])
    edges = (x + column) * labels.shape[0] + y + row
    counts = np.diff(edges, prepend=0, append=labels.size)
    rle: Rle = mask.frPyObjects({"size": list(labels.shape), "counts": counts.tolist()}, *labels.shape)
    return rle


def empty_rle(shape: tuple[int, ...]) -> Rle:
    """Run-length encoding without a pixel."""
    from pycocotools import mask

    rle: Rle = mask.frPyObjects({"size": list(shape), "counts": [shape[0] * shape[1]]}, *shape)
    return rle


def _rle(segmentation: Any, image: Mapping[str, Any]) -> Rle:
    """One encoding of polygons, or of compressed or uncompressed runs."""
    from pycocotools import mask

    height, width = image["height"], image["width"]
    if isinstance(segmentation, list):
        rle: Rle = mask.merge(mask.frPyObjects(segmentation, height, width))
        return rle
    if isinstance(segmentation["counts"], list):
        rle = mask.frPyObjects(segmentation, height, width)
        return rle
    return segmentation  # type: ignore[no-any-return]


def _detected(
    image: Int[np.ndarray, " n"],
    category: Int[np.ndarray, " n"],
    score: Float[np.ndarray, " n"],
    box: Float[np.ndarray, "n 4"],
    rles: Sequence[Rle] | None,
) -> Segments:
    """Segments of COCO results: boxes that are missing come from the masks, areas from the masks where there are any.

    `stated_area` is the box's where the file gives one: pycocotools then ranges even masks by it.
    """
    from pycocotools import mask

    box_area = box[:, 2] * box[:, 3]
    given = ~np.isnan(box_area)
    area = np.where(given, box_area, 0)
    if rles is not None:
        area = np.array([mask.area(rle) for rle in rles], np.int64)  # one by one: pycocotools 2.0.11 takes 255 at most
        drawn = np.array(mask.toBbox(list(rles)), float).reshape(-1, 4)
        box = np.where(given[:, None], box, drawn)
    return Segments(
        image=image,
        id=np.arange(len(image)),
        category=category,
        area=area,
        stated_area=box_area,
        box=box,
        crowd=np.zeros(len(image), bool),
        score=score,
    )


def _with_pairs(table: PairTable, masks: Iterable[tuple[Sequence[Rle], Sequence[Rle]]]) -> PairTable:
    """The table with the shared pixels of all gt and predicted masks, given image by image."""
    from pycocotools import mask

    found: list[tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"], Int[np.ndarray, " k"]]] = []
    first_gt, first_pred = (np.searchsorted(s.image, np.arange(len(table))) for s in (table.gt, table.pred))
    for k, (gts, preds) in enumerate(masks):
        if gts and preds:
            # As if all gt were crowds, the IoU is the intersection over the detection's area: an exact way to get it.
            share = np.asarray(mask.iou(list(preds), list(gts), [1] * len(gts)))
            p, g = np.nonzero(share)
            area = table.pred.area[first_pred[k] + p]
            found.append((first_gt[k] + g, first_pred[k] + p, np.rint(share[p, g] * area).astype(np.int64)))
    none = np.empty(0, np.int64)
    gt, pred, pixels = (np.concatenate([none, *part]) for part in (zip(*found, strict=True) if found else ((),) * 3))
    return replace(table, pairs=Pairs(gt, pred, pixels))
