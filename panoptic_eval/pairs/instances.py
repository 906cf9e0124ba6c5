"""Pair tables of detections that may overlap: masks as COCO's run-length encodings, or boxes alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from pycocotools import mask as mask_utils

from panoptic_eval.detections import Detections
from panoptic_eval.errors import PngError
from panoptic_eval.labels import LabelMaps, find_segments
from panoptic_eval.pairs.counts import IdCounts, Overlaps, Pairs
from panoptic_eval.pairs.reference import boundary_distance, near_boundary
from panoptic_eval.pairs.table import PairTable, Segments
from panoptic_eval.png import rle
from panoptic_eval.png.reference import decode
from panoptic_eval.png.rle import Rle
from panoptic_eval.shapes import Float, Int, UInt32

MAX_PAIRS = 2**20
"""Masks of gt times masks of predictions that are compared at a time."""


def detections_table(
    table: PairTable, gt: LabelMaps, detections: Detections, overlaps: Sequence[Overlaps | None]
) -> PairTable:
    """Make the table of a label map's instances and the detections in instances.json.

    Args:
        table: table of the panoptic predictions, whose gt segments are taken over.
        gt: its ground truth.
        detections: detections in any of gt's images.
        overlaps: pixels that the detections of each image of the table share with gt's ids; None without masks.
    """
    at = {label_map.image_id: k for k, label_map in enumerate(gt.maps)}
    position = np.full(len(gt.maps), -1)
    position[[at[image_id] for image_id in table.image_id]] = np.arange(len(table))
    image = position[detections.image]
    rows = np.flatnonzero(image >= 0)
    rows = rows[np.argsort(image[rows], kind="stable")]  # within an image, the order of the file
    rles = None if detections.rle is None else [detections.rle[r] for r in rows.tolist()]
    pred = detected(image[rows], detections.category[rows], detections.score[rows], detections.box[rows], rles)
    first = np.searchsorted(pred.image, np.arange(len(table)))
    if table.origin.boundary and rles is not None:
        pred = replace(pred, near=_mask_near(len(pred), first, overlaps))
    pairs = _instance_pairs(table, first, overlaps)
    return replace(table, pred=pred, pairs=pairs, has_masks=rles is not None)


def _instance_pairs(table: PairTable, first: Int[np.ndarray, " i"], overlaps: Sequence[Overlaps | None]) -> Pairs:
    """Join gt instances and detections to pairs; `first` is the row of each image's first detection."""
    none = Overlaps(*(np.empty(0, np.int64) for _ in range(3)))
    per_image = [o or none for o in overlaps]
    image = np.repeat(np.arange(len(per_image)), [len(o.id) for o in per_image])
    id_, mask, pixels = (
        np.concatenate([none.id, *(getattr(o, name) for o in per_image)]).astype(np.int64)
        for name in ("id", "mask", "pixels")
    )
    row = find_segments(table.gt.image, table.gt.id, image, id_)
    shared = np.flatnonzero(np.append(table.catalogue.isthing[table.gt.category], False)[row])
    pred = first[image[shared]] + mask[shared]
    # Indices of a palette may be one id: their pixels add.
    pair, at = np.unique(pred * (len(table.gt) + 1) + row[shared], return_inverse=True)
    pred, gt = np.divmod(pair, len(table.gt) + 1)
    pairs = Pairs(gt, pred, np.bincount(at, pixels[shared], len(pair)).astype(np.int64))
    if not table.origin.boundary:
        return pairs
    near = np.concatenate([none.id, *(o.near for o in per_image if o.near is not None)])
    return replace(pairs, near=np.bincount(at, near[shared], len(pair)).astype(np.int64))


def _mask_near(
    detections: int, first: Int[np.ndarray, " i"], overlaps: Sequence[Overlaps | None]
) -> Int[np.ndarray, " n"]:
    """Return the pixels near the boundary of each detection's mask; 0 for masks that were not counted."""
    near = np.zeros(detections, np.int64)
    for start, of_image in zip(first.tolist(), overlaps, strict=True):
        if of_image is not None and of_image.mask_near is not None:
            near[start : start + len(of_image.mask_near)] = of_image.mask_near
    return near


def count_overlaps(png: bytes, counts: IdCounts, masks: Sequence[Rle], boundary: float = 0.0) -> Overlaps:
    """Count the pixels that each id of a ground truth's label PNG shares with each mask.

    Args:
        png: the file.
        counts: its joint histogram with a prediction.
        masks: COCO's compressed run lengths.
        boundary: distance up to which a pixel is near a boundary, in diagonals of the image; 0 if boundaries are not to
            be counted.

    Raises:
        PngError: the masks have another size: the file was replaced after they had been read.
    """
    size = [counts.height, counts.width]
    if any(list(mask["size"]) != size for mask in masks):
        raise PngError(f"gt: has {size[1]} x {size[0]} pixels, its detections another size; expected it not to change")
    segments = rle.encode_segments(png, counts.gt, (counts.height, counts.width))
    segment, mask, pixels = _shared(segments, masks)
    overlaps = Overlaps(counts.gt.id[segment].astype(np.int64), mask, pixels)
    if not boundary:
        return overlaps
    shared, mask_near = _near_boundaries(decode(png), counts.gt.id, masks, boundary_distance(boundary, tuple(size)))
    return replace(overlaps, near=shared[mask, segment], mask_near=mask_near)


def _near_boundaries(
    labels: UInt32[np.ndarray, "h w"], ids: UInt32[np.ndarray, " n"], masks: Sequence[Rle], reach: int
) -> tuple[Int[np.ndarray, "m n"], Int[np.ndarray, " m"]]:
    """Count the pixels near the boundaries of both each mask and each id, and those near the boundary of each mask."""
    near_labels = near_boundary(labels, reach)
    shared, near = np.zeros((len(masks), len(ids)), np.int64), np.zeros(len(masks), np.int64)
    for k, mask in enumerate(masks):
        x, y, width, height = np.asarray(mask_utils.toBbox(mask), int)
        window = slice(y, y + height), slice(x, x + width)
        inside = mask_utils.decode(mask)[window]  # beyond its box nothing is of the mask, as beyond the image
        of_mask = near_boundary(inside, reach) & (inside > 0)
        near[k] = of_mask.sum()
        at = np.searchsorted(ids, labels[window][of_mask & near_labels[window]])
        shared[k] = np.bincount(at, minlength=len(ids))
    return shared, near


def placed(overlaps: Overlaps, place: Int[np.ndarray, " m"]) -> Overlaps:
    """Number the masks that were counted by their places among all masks of the image."""
    near = overlaps.mask_near
    if near is not None:
        near = np.zeros(int(place[-1]) + 1, np.int64)
        near[place] = overlaps.mask_near
    return replace(overlaps, mask=place[overlaps.mask], mask_near=near)


def detected(
    image: Int[np.ndarray, " n"],
    category: Int[np.ndarray, " n"],
    score: Float[np.ndarray, " n"],
    box: Float[np.ndarray, "n 4"],
    rles: Sequence[Rle] | None,
) -> Segments:
    """Make segments of COCO results: missing boxes come from the masks, areas too where there are masks.

    `stated_area` is the box's where the file gives one: pycocotools then ranges even masks by it.
    """
    box_area = box[:, 2] * box[:, 3]
    given = ~np.isnan(box_area)
    area = np.where(given, box_area, 0)
    if rles is not None:
        area = np.array(
            [mask_utils.area(rle) for rle in rles], np.int64
        )  # singly: pycocotools 2.0.11 takes 255 at most
        drawn = np.array(mask_utils.toBbox(list(rles)), float).reshape(-1, 4)
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


def with_pairs(table: PairTable, masks: Iterable[tuple[Sequence[Rle], Sequence[Rle]]]) -> PairTable:
    """Return the table with the shared pixels of all gt and predicted masks, given image by image."""
    first_gt, first_pred = (np.searchsorted(s.image, np.arange(len(table))) for s in (table.gt, table.pred))
    pairs = [Pairs(*(np.empty(0, np.int64) for _ in range(3)))]
    for g, p, (gts, preds) in zip(first_gt, first_pred, masks, strict=True):
        gt, pred, pixels = _shared(gts, preds)
        pairs.append(Pairs(g + gt, p + pred, pixels))
    return replace(table, pairs=Pairs.concatenate(pairs))


def _shared(
    gts: Sequence[Rle], preds: Sequence[Rle]
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Return the index of the gt mask, of the predicted one, and the pixels of both, of each two that overlap."""
    if not gts or not preds:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
    area = np.array([mask_utils.area(rle) for rle in preds], np.int64)
    few = max(1, MAX_PAIRS // len(gts))
    parts = []
    for start in range(0, len(preds), few):
        # As if all gt were crowds, the IoU is the intersection over the detection's area: an exact way to get it.
        share = np.asarray(mask_utils.iou(list(preds[start : start + few]), list(gts), [1] * len(gts)))
        p, g = np.nonzero(share)
        parts.append((g, start + p, np.rint(share[p, g] * area[start + p]).astype(np.int64)))
    gt, pred, pixels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return gt, pred, pixels
