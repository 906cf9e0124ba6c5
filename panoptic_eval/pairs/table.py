"""The table of segment pairs: all that is left of the pixels, and all that a metric sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np

from panoptic_eval.categories import Catalogue
from panoptic_eval.errors import InputError
from panoptic_eval.labels import ImageId
from panoptic_eval.pairs.counts import Pairs, joined, shifted, taken
from panoptic_eval.shapes import Bool, Float, Int

Missing = Literal["error", "empty", "skip"]


@dataclass(frozen=True)
class Segments:
    """Segments of one side, image by image, within an image in the order that decides ties; void is none of them."""

    image: Int[np.ndarray, " n"]
    """Index into the table's images, ascending."""
    id: Int[np.ndarray, " n"]
    """Id in the PNG; unique within an image."""
    category: Int[np.ndarray, " n"]
    """Index into the catalogue."""
    area: Int[np.ndarray, " n"]
    """Number of pixels, counted."""
    stated_area: Float[np.ndarray, " n"]
    """Area that the annotation's JSON states, pixels; NaN where it states none."""
    box: Float[np.ndarray, "n 4"]
    """x, y, width, height, pixels of the image: COCO's form, which keeps a width that was given exact."""
    crowd: Bool[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    """Confidence of a predicted segment; NaN where none is given."""
    near: Int[np.ndarray, " n"] | None = None
    """Number of pixels near its boundary; None where boundaries were not counted."""

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: Int[np.ndarray, " m"]) -> Segments:
        """Select segments, in the order given."""
        return Segments(**taken(self, rows))

    @staticmethod
    def concatenate(parts: Sequence[Segments]) -> Segments:
        """Join segments, in the order given; their `image` must index the images of the joined table."""
        return Segments(**joined(parts))


@dataclass(frozen=True)
class Origin:
    """Sources of a table's counts, and what was decided while counting."""

    gt: str
    """Source of the ground truth, for people."""
    pred: str
    """Source of the predictions, for people."""
    missing: Missing = "error"
    """Treatment of an image without prediction: an error, all void, or left out."""
    missing_images: int = 0
    """Number of images without prediction."""
    reference_images: int = 0
    """Number of images that the slow reference had to count."""
    shard: tuple[int, int] = (1, 1)
    """Part of how many, from 1."""
    warnings: tuple[str, ...] = ()
    boundary: float = 0.0
    """Distance up to which a pixel is near the boundary of its segment, in diagonals of the image; 0 where boundaries
    were not counted."""
    path: str = ""
    """Way that images were counted: "fast" or "reference"; both where shards differ."""


@dataclass(frozen=True)
class Files:
    """Paths of the pictures of one image."""

    gt: Path
    pred: Path | None
    """None for an image without prediction."""
    photograph: Path | None
    """None where it is not known; not checked to exist."""


@dataclass(frozen=True)
class PairTable:
    """Segments of both sides, and for every two that overlap the pixels they share.

    Tables of different images add by `concatenate`. In a table of label maps the pairs, those with void included,
    cover every pixel that is not void on both sides exactly once; in one of overlapping detections they need not.
    """

    catalogue: Catalogue
    image_id: tuple[ImageId, ...]
    size: Int[np.ndarray, "i 2"]
    """Height, width of each image, pixels."""
    digest: tuple[str, ...]
    """SHA-256 of each image's two files; empty where the table is not of files."""
    gt: Segments
    pred: Segments
    pairs: Pairs
    """Pairs index the segments and go image by image; never void on both sides."""
    unseen: Int[np.ndarray, "u 2"] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    """Image and category index of gt segments that the JSON lists and that have no pixel, crowds left out."""
    has_masks: bool = True
    """True if predictions have masks; mask AP does not exist for boxes alone."""
    origin: Origin = Origin("arrays", "arrays")
    files: tuple[Files, ...] = ()
    """Paths of each image's files; empty where the table is not of files."""

    def __len__(self) -> int:
        return len(self.image_id)


def concatenate(tables: Sequence[PairTable]) -> PairTable:
    """Join tables of different images, in the order given; `has_masks` and `origin` are the first one's.

    Raises:
        InputError: no table, catalogues that differ, or an image that two tables hold.
    """
    if not tables:
        raise InputError("there is no pair table to join; expected at least one")
    first = tables[0]
    if len(tables) == 1:
        return first
    if any(t.catalogue != first.catalogue for t in tables):
        raise InputError("the pair tables have different categories; expected tables of one data set")
    image_id = tuple(i for t in tables for i in t.image_id)
    if len(set(image_id)) < len(image_id):
        doubles = [i for i, count in Counter(image_id).items() if count > 1]
        raise InputError([f"image {i!r} is in more than one pair table; expected it in one" for i in doubles])
    images = _starts([len(t) for t in tables])
    gts = _starts([len(t.gt) for t in tables])
    preds = _starts([len(t.pred) for t in tables])
    return replace(
        first,
        image_id=image_id,
        digest=tuple(d for t in tables for d in t.digest),
        size=np.concatenate([t.size for t in tables]),
        files=tuple(f for t in tables for f in t.files) if all(t.files for t in tables) else (),
        gt=Segments.concatenate([replace(t.gt, image=t.gt.image + k) for t, k in zip(tables, images, strict=True)]),
        pred=Segments.concatenate(
            [replace(t.pred, image=t.pred.image + k) for t, k in zip(tables, images, strict=True)]
        ),
        pairs=Pairs.concatenate(
            [
                replace(t.pairs, gt=shifted(t.pairs.gt, g), pred=shifted(t.pairs.pred, p))
                for t, g, p in zip(tables, gts, preds, strict=True)
            ]
        ),
        unseen=np.concatenate([t.unseen + np.array([k, 0]) for t, k in zip(tables, images, strict=True)]),
    )


def take(table: PairTable, images: Int[np.ndarray, " m"]) -> PairTable:
    """Select images, in the order given; each at most once."""
    position = np.full(len(table), -1)
    position[images] = np.arange(len(images))

    def rows_of(image: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
        """Return the rows of the selected images, in their new order."""
        rows = np.flatnonzero(position[image] >= 0)
        return rows[np.argsort(position[image[rows]], kind="stable")]

    def moved(segments: Segments) -> tuple[Segments, Int[np.ndarray, " n"]]:
        """Return segments of the selected images, and the new index of each old one; the last entry serves void, -1."""
        rows = rows_of(segments.image)
        new = np.full(len(segments) + 1, -1)
        new[rows] = np.arange(len(rows))
        selected = segments.take(rows)
        return replace(selected, image=position[selected.image]), new

    (gt, gt_new), (pred, pred_new) = moved(table.gt), moved(table.pred)
    pairs = table.pairs.take(rows_of(pair_image(table)))
    return replace(
        table,
        image_id=tuple(table.image_id[i] for i in images.tolist()),
        size=table.size[images],
        digest=tuple(table.digest[i] for i in images.tolist()),
        files=tuple(table.files[i] for i in images.tolist()) if table.files else (),
        gt=gt,
        pred=pred,
        pairs=replace(pairs, gt=gt_new[pairs.gt], pred=pred_new[pairs.pred]),
        unseen=np.stack([position[table.unseen[:, 0]], table.unseen[:, 1]], axis=1)[rows_of(table.unseen[:, 0])],
    )


def renamed_images(table: PairTable, image_id: Sequence[ImageId]) -> PairTable:
    """Give the images other ids."""
    return replace(table, image_id=tuple(image_id))


def pair_image(table: PairTable) -> Int[np.ndarray, " k"]:
    """Return the image index of each pair: that of whichever segment is not void."""
    void = np.array([-1], np.int64)
    gt_image, pred_image = np.append(table.gt.image, void), np.append(table.pred.image, void)
    image: Int[np.ndarray, " k"] = np.where(table.pairs.gt >= 0, gt_image[table.pairs.gt], pred_image[table.pairs.pred])
    return image


def _starts(lengths: Sequence[int]) -> list[int]:
    """Return the position of each part's first row once all are joined."""
    return [0, *accumulate(lengths)][:-1]
