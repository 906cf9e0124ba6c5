"""From the joint histograms of images and the meaning of their ids to the pair table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from panoptic_eval.labels import LabelMaps, Meaning, resolve
from panoptic_eval.pairs.counts import IdCounts, Ids, Pairs, shifted
from panoptic_eval.pairs.table import Origin, PairTable, Segments


def build(
    gt: LabelMaps,
    pred: LabelMaps,
    gt_at: Int[np.ndarray, " i"],
    pred_at: Int[np.ndarray, " i"],
    counts: Sequence[IdCounts],
    *,
    digest: Sequence[str],
    origin: Origin,
) -> tuple[PairTable, list[str], list[str]]:
    """The pair table of images, what is wrong with their segments, and what is only odd about them.

    Args:
        gt, pred: both sides.
        gt_at, pred_at: index of each image in `gt.maps` and in `pred.maps`; -1 where there is no prediction.
        counts: of each image.
        digest: of each image's files.
        origin: of the table.

    Returns:
        The table, its faults (ids without meaning; the table is of no use then), and warnings (stale areas).
    """
    faults: list[str] = []
    warnings: list[str] = []
    sides = {}
    rows = {}
    for side, maps, at in (("gt", gt, gt_at), ("pred", pred, pred_at)):
        ids: list[Ids] = [getattr(c, side) for c in counts]
        image = np.repeat(np.arange(len(ids)), [len(i.id) for i in ids])
        raw = Ids(
            *(_join([getattr(i, name) for i in ids], shape) for name, shape in (("id", 0), ("area", 0), ("box", 4)))
        )
        meaning, found = _resolve(maps, at[image], raw.id)
        faults += found
        solid = np.flatnonzero(meaning.category >= 0)
        solid = solid[np.lexsort((meaning.rank[solid], image[solid]))]
        rows[side] = np.full(len(image) + 1, -1)  # the last entry serves images without prediction, whose index is -1
        rows[side][solid] = np.arange(len(solid))
        stated = meaning.stated_area[solid].astype(float)
        box = raw.box[solid].astype(float)
        box[:, 2:] -= box[:, :2]
        sides[side] = Segments(
            image=image[solid],
            id=meaning.segment[solid],
            category=meaning.category[solid].astype(np.int64),
            area=raw.area[solid],
            stated_area=np.where(stated < 0, np.nan, stated),
            box=box,
            crowd=meaning.crowd[solid],
            score=meaning.score[solid],
        )
        stale = np.flatnonzero((stated >= 0) & (stated != raw.area[solid]))
        for k in stale.tolist():
            label_map = maps.maps[at[sides[side].image[k]]]
            warnings.append(
                f"{side} image {label_map.image_id!r}, segment {sides[side].id[k]}: the JSON states an area of "
                f"{stated[k]:.0f} pixels, {label_map.png.name} holds {sides[side].area[k]}; the PNG counts"
            )

    def segments_of(side: str) -> Int[np.ndarray, " k"]:
        """Segment of each pair."""
        first = np.cumsum([0, *(len(getattr(c, side).id) for c in counts)])
        joined = [shifted(getattr(c.pairs, side), at) for c, at in zip(counts, first.tolist(), strict=False)]
        found: Int[np.ndarray, " k"] = rows[side][_join(joined, 0)]
        return found

    pairs = Pairs(segments_of("gt"), segments_of("pred"), _join([c.pairs.pixels for c in counts], 0))
    image = np.repeat(np.arange(len(counts)), [len(c.pairs.pixels) for c in counts])
    # By segment, not by id: sums then have one order, and one last bit, whatever the ids are.
    order = np.lexsort((pairs.pred, pairs.gt, image))
    seen = order[(pairs.gt[order] >= 0) | (pairs.pred[order] >= 0)]
    table = PairTable(
        catalogue=gt.catalogue,
        image_id=tuple(gt.maps[i].image_id for i in gt_at.tolist()),
        size=np.array([(c.height, c.width) for c in counts], np.int64).reshape(-1, 2),
        digest=tuple(digest),
        gt=sides["gt"],
        pred=sides["pred"],
        pairs=pairs.take(seen),
        origin=origin,
    )
    return table, faults, warnings


def _resolve(maps: LabelMaps, at: Int[np.ndarray, " n"], ids: Int[np.ndarray, " n"]) -> tuple[Meaning, tuple[str, ...]]:
    """`resolve` for maps in any order: it wants them ascending."""
    order = np.argsort(at, kind="stable")
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    meaning, faults = resolve(maps, at[order], ids[order])
    return Meaning(**{name: values[back] for name, values in vars(meaning).items()}), faults


def _join(arrays: Sequence[Int[np.ndarray, ...]], columns: int) -> Int[np.ndarray, ...]:
    """Concatenation as int64 that also takes an empty list."""
    empty = np.empty((0, columns) if columns else 0, np.int64)
    return np.concatenate([empty, *arrays]).astype(np.int64, copy=False)
