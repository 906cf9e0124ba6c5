"""Pair tables from arrays, for use inside a training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from panoptic_eval.categories import Catalogue
from panoptic_eval.errors import Faults, InputError
from panoptic_eval.labels import ImageId, LabelMap, LabelMaps, Listed
from panoptic_eval.pairs.build import build
from panoptic_eval.pairs.reference import count_labels
from panoptic_eval.pairs.table import Origin, PairTable
from panoptic_eval.shapes import Int


def pair_table(
    catalogue: Catalogue,
    gt: Int[np.ndarray, "h w"],
    gt_segments: Sequence[Mapping[str, Any]],
    pred: Int[np.ndarray, "h w"],
    pred_segments: Sequence[Mapping[str, Any]],
    *,
    image_id: ImageId = 0,
) -> PairTable:
    """The table of one image; those of several are joined by `panoptic_eval.pairs.table.concatenate`.

    Args:
        catalogue: categories.
        gt, pred: segment ids, 0 to 2**32 - 1; 0 is void.
        gt_segments: as in COCO panoptic JSON: id, category_id, and iscrowd if it is one.
        pred_segments: id, category_id, and score if there is one.
        image_id: unique among the tables that are to be joined.

    Raises:
        InputError: an id without segment or the reverse, or an unknown category.
        PngError: label maps of different sizes.
    """
    counts = count_labels(gt.astype(np.uint32), pred.astype(np.uint32))
    sides: list[LabelMaps] = []
    for side, segments in (("gt", gt_segments), ("pred", pred_segments)):
        category = catalogue.index([s["category_id"] for s in segments])
        unknown = [s["category_id"] for s, c in zip(segments, category, strict=True) if c < 0]
        if unknown:
            raise InputError([f"{side} image {image_id!r}: category {c} is not in the catalogue" for c in unknown])
        listed = Listed(
            image=np.zeros(len(segments), np.int64),
            id=np.array([s["id"] for s in segments], np.int64),
            category=category,
            crowd=np.array([bool(s.get("iscrowd", 0)) for s in segments], bool),
            score=np.array([s.get("score", np.nan) for s in segments], float),
            area=np.full(len(segments), -1),
        )
        sides.append(LabelMaps("arrays", catalogue, (LabelMap(image_id, Path(f"{side} array")),), listed))
    one = np.zeros(1, np.int64)
    faults = Faults()
    table = build(sides[0], sides[1], one, one, [counts], faults=faults, digest=[""], origin=Origin("arrays", "arrays"))
    faults.check(strict=True)  # arrays have no place for warnings
    return table
