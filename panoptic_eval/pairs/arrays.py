"""Pair tables from arrays, for use inside a training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from panoptic_eval import arguments
from panoptic_eval.categories import Catalogue
from panoptic_eval.errors import Faults, InputError
from panoptic_eval.labels import ImageId, LabelMap, LabelMaps, Listed
from panoptic_eval.pairs import count_labels
from panoptic_eval.pairs.build import build
from panoptic_eval.pairs.table import Origin, PairTable
from panoptic_eval.rules import check_boundary


def pair_table(
    catalogue: Catalogue,
    gt: ArrayLike,
    gt_segments: Sequence[Mapping[str, Any]],
    pred: ArrayLike,
    pred_segments: Sequence[Mapping[str, Any]],
    *,
    image_id: ImageId = 0,
    boundary: float = 0.0,
    without_pixels: Literal["error", "leave out"] = "error",
    gt_void: Sequence[int] = (),
    pred_void: Sequence[int] = (),
) -> PairTable:
    """Count two label maps to the table of one image; `panoptic_eval.pairs.table.concatenate` joins those of several.

    Args:
        catalogue: categories.
        gt, pred: segment ids, 0 to 2**32 - 1; 0 is void. Integers of any type are read without a copy. Tensors on the
            CPU, lists, and (1, h, w) are taken, too.
        gt_segments: as in COCO panoptic JSON: `id`, `category_id`, and `iscrowd` if it is one.
        pred_segments: `id`, `category_id`, and `score` if there is one.
        image_id: unique among the tables that are to be joined; an integer of 64 bits, or a string that is not empty.
        boundary: distance up to which a pixel is near the boundary of its segment, in diagonals of the image, for
            boundary PQ and AP; 0 for none.
        without_pixels: treatment of entries that have no pixel.
        gt_void, pred_void: numbers other than 0 that are void, such as -1.

    Raises:
        InputError: a label map that is no array of integers (h, w), or holds other numbers than ids; an entry without
            `id` or `category_id`, or with one that is no integer; an unknown category; a score that is not finite; an
            id without entry, an entry without pixel, two entries of one id that differ; no image id. The message names
            image, side and key.
        PngError: label maps of different sizes.
    """
    check_boundary(boundary)
    try:
        image_id = arguments.image_id(image_id)
    except ValueError as error:
        raise InputError(str(error)) from error
    given = {"gt": (gt, gt_segments), "pred": (pred, pred_segments)}
    labels = {}
    for side, (map_, _) in given.items():
        with _named(side, image_id):
            labels[side] = arguments.integer_map(map_)
    counts = count_labels(labels["gt"], labels["pred"], boundary, gt_void=gt_void, pred_void=pred_void)
    if counts is None:
        for side, void in (("gt", gt_void), ("pred", pred_void)):
            with _named(side, image_id):
                arguments.label_map(np.where(np.isin(labels[side], void), 0, labels[side]), 2**32 - 1)
        raise AssertionError("a number that is no id is said above")
    maps: list[LabelMaps] = []
    for side, found in (("gt", counts.gt), ("pred", counts.pred)):
        with _named(side, image_id):
            entries = given[side][1]
            if without_pixels == "leave out":
                drawn = set(found.id.tolist())
                entries = [entry for entry in entries if entry.get("id") in drawn]
            segments = arguments.segments(found, entries, catalogue)
        n = len(segments.id)
        listed = Listed(
            image=np.zeros(n, np.int64),
            id=np.array(segments.id, np.int64),
            category=catalogue.index(segments.category_id),
            crowd=np.array(segments.crowd, bool),
            score=np.array([np.nan if score is None else score for score in segments.score], float),
            area=np.full(n, -1.0),
        )
        maps.append(LabelMaps("arrays", catalogue, (LabelMap(image_id, Path(f"{side} array")),), listed))
    one = np.zeros(1, np.int64)
    faults = Faults()
    origin = Origin("arrays", "arrays", boundary=boundary)
    table = build(maps[0], maps[1], one, one, [counts], faults=faults, digest=[""], origin=origin)
    faults.check(strict=True)  # arrays have no place for warnings
    return table


@contextmanager
def _named(side: str, image_id: ImageId) -> Iterator[None]:
    """Put side and image in front of what is wrong with an argument."""
    try:
        yield
    except ValueError as error:
        raise InputError(f"{side}, image {image_id!r}: {error}") from error
