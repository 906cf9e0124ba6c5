"""From the joint histograms of images and the meaning of their ids to the pair table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from panoptic_eval.errors import Faults, PngError
from panoptic_eval.labels import UNLISTED, VOID, LabelMaps, Listed, marked, resolve
from panoptic_eval.pairs.counts import IdCounts, Pairs, shifted
from panoptic_eval.pairs.palette import Lookup, check_distinct, lookup, renamed
from panoptic_eval.pairs.table import Origin, PairTable, Segments
from panoptic_eval.png.ids import Ids
from panoptic_eval.shapes import Bool, Int


def build(
    gt: LabelMaps,
    pred: LabelMaps,
    gt_at: Int[np.ndarray, " i"],
    pred_at: Int[np.ndarray, " i"],
    counts: Sequence[IdCounts],
    *,
    digest: Sequence[str],
    origin: Origin,
    faults: Faults,
) -> PairTable:
    """Make the pair table of images.

    Args:
        gt, pred: both sides.
        gt_at, pred_at: index of each image in `gt.maps` and in `pred.maps`; -1 where there is no prediction.
        counts: joint histogram of each image.
        digest: digest of each image's files.
        origin: where the table comes from.
        faults: gets ids without meaning, and warnings of what the PNGs hold otherwise than the JSON says. With a fault
            the table is of no use.
    """
    images = zip(counts, gt_at.tolist(), pred_at.tolist(), strict=True)
    counts = [_named(c, gt, g, pred, p, faults) for c, g, p in images]
    gt_segments, gt_row, unseen = _segments(gt, gt_at, [c.gt for c in counts], False, faults)
    pred_segments, pred_row, _ = _segments(pred, pred_at, [c.pred for c in counts], True, faults)
    for side, maps, at in (("gt", gt, gt_at), ("pred", pred, pred_at)):
        _compare_sizes(side, maps, at, counts, faults)
    pairs = Pairs(
        _of_pairs(gt_row, [c.pairs.gt for c in counts], [len(c.gt.id) for c in counts]),
        _of_pairs(pred_row, [c.pairs.pred for c in counts], [len(c.pred.id) for c in counts]),
        _join([c.pairs.pixels for c in counts], 0),
    )
    if origin.boundary:
        near = _join([c.near for c in counts if c.near is not None], 3)
        gt_segments, pred_segments = (
            replace(segments, near=np.bincount(index[index >= 0], n[index >= 0], len(segments)).astype(np.int64))
            for segments, index, n in ((gt_segments, pairs.gt, near[:, 0]), (pred_segments, pairs.pred, near[:, 1]))
        )
        one_sided = np.where(pairs.gt >= 0, near[:, 0], near[:, 1])
        both = np.where((pairs.gt >= 0) & (pairs.pred >= 0), near[:, 2], one_sided)
        pairs = replace(pairs, near=both)
    image = np.repeat(np.arange(len(counts)), [len(c.pairs.pixels) for c in counts])
    # By segment, not by id: sums then have one order, and one last bit, whatever the ids are.
    order = np.lexsort((pairs.pred, pairs.gt, image))
    used = order[((pairs.gt[order] >= 0) | (pairs.pred[order] >= 0)) & (pairs.gt[order] != UNLISTED)]
    return PairTable(
        catalogue=gt.catalogue,
        image_id=tuple(gt.maps[i].image_id for i in gt_at.tolist()),
        size=np.array([(c.height, c.width) for c in counts], np.int64).reshape(-1, 2),
        digest=tuple(digest),
        gt=gt_segments,
        pred=pred_segments,
        pairs=pairs.take(used),
        unseen=unseen,
        origin=origin,
    )


def _named(counts: IdCounts, gt: LabelMaps, gt_at: int, pred: LabelMaps, pred_at: int, faults: Faults) -> IdCounts:
    """Replace the palette indices of either side by the ids that they stand for."""
    names: list[Lookup | None] = []
    for maps, at, ids in ((gt, gt_at, counts.gt), (pred, pred_at, counts.pred)):
        try:
            read = lookup(maps, at, ids.id, ids.palette)
            if counts.near is not None:
                check_distinct(ids, read)
            names.append(read)
        except PngError as error:
            names.append(None)
            faults.add(f"[PNG has|PNGs have] {str(error).removeprefix('has ')}", str(maps.maps[at].png))
    return renamed(counts, *names)


def _segments(
    maps: LabelMaps, at: Int[np.ndarray, " i"], ids: Sequence[Ids], predicted: bool, faults: Faults
) -> tuple[Segments, Int[np.ndarray, " n"], Int[np.ndarray, "u 2"]]:
    """Return the segments of one side; the segment of each id that was counted (VOID, UNLISTED); image and category of
    those that are listed without a pixel, crowds left out.
    """
    image = np.repeat(np.arange(len(ids)), [len(i.id) for i in ids])
    id_, area = _join([i.id for i in ids], 0), _join([i.area for i in ids], 0)
    listed, row = resolve(maps, at[image], id_, faults, predicted=predicted)
    solid = np.flatnonzero(row >= 0)
    solid = solid[np.lexsort((row[solid], image[solid]))]
    rows = row[solid]
    stated = np.where(listed.area[rows] < 0, np.nan, listed.area[rows])
    box = _join([i.box for i in ids], 4)[solid].astype(float)
    box[:, 2:] -= box[:, :2]
    segments = Segments(
        image=image[solid],
        id=id_[solid],
        category=listed.category[rows],
        area=area[solid],
        stated_area=stated,
        box=box,
        crowd=listed.crowd[rows],
        score=listed.score[rows],
    )
    _compare_areas("pred" if predicted else "gt", segments, maps, at, faults)
    segment = row.copy()
    segment[solid] = np.arange(len(solid))
    return segments, segment, _unseen(listed, marked(rows, len(listed.id)), at, len(maps.maps))


def _unseen(
    listed: Listed, seen: Bool[np.ndarray, " s"], at: Int[np.ndarray, " i"], maps: int
) -> Int[np.ndarray, "u 2"]:
    """Return the table's image and the category of each listed segment that has no pixel and is no crowd."""
    position = np.full(maps + 1, -1)  # of each map in the table; the last entry takes -1, an image without prediction
    position[at] = np.arange(len(at))
    without = np.flatnonzero(~(seen | listed.crowd) & (position[listed.image] >= 0))
    return np.stack([position[listed.image[without]], listed.category[without]], axis=1)


def _compare_areas(side: str, segments: Segments, maps: LabelMaps, at: Int[np.ndarray, " i"], faults: Faults) -> None:
    stale = np.flatnonzero(~np.isnan(segments.stated_area) & (segments.stated_area != segments.area))
    faults.warn(
        f"{side} [segment has|segments have] another area than the JSON states; the PNG counts",
        (
            f"{maps.maps[at[segments.image[k]]].png}: segment {segments.id[k]} has {segments.area[k]} pixels, "
            f"stated are {segments.stated_area[k]:.15g}"
            for k in stale.tolist()
        ),
    )


def _compare_sizes(
    side: str, maps: LabelMaps, at: Int[np.ndarray, " i"], counts: Sequence[IdCounts], faults: Faults
) -> None:
    both = [(maps.maps[k], (c.height, c.width)) for k, c in zip(at.tolist(), counts, strict=True) if k >= 0]
    faults.warn(
        f"{side} [image has|images have] another size than the JSON declares; the PNG counts",
        (
            f"{m.png}: has {size[1]} x {size[0]} pixels, declared are {m.size[1]} x {m.size[0]}"
            for m, size in both
            if m.size not in (None, size)
        ),
    )


def _of_pairs(
    segment: Int[np.ndarray, " n"], index: Sequence[Int[np.ndarray, " k"]], ids: Sequence[int]
) -> Int[np.ndarray, " p"]:
    """Return the segment of each pair, given what each image's pairs index and its number of ids; -1 indexes none."""
    first = np.cumsum([0, *ids]).tolist()
    joined = _join([shifted(i, k) for i, k in zip(index, first, strict=False)], 0)
    return np.append(segment, VOID)[joined]


def _join(arrays: Sequence[Int[np.ndarray, ...]], columns: int) -> Int[np.ndarray, ...]:
    """Concatenate as int64; of an empty list an array with so many columns, or of one dimension if 0."""
    empty = np.empty((0, columns) if columns else 0, np.int64)
    return np.concatenate([empty, *arrays]).astype(np.int64, copy=False)
