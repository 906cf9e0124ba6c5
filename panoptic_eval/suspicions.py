"""What the pixels say about a prediction that can be scored and is probably not meant so."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.labels import readings
from panoptic_eval.metrics.average_precision import box_overlaps
from panoptic_eval.metrics.sums import histogram, overlaps, void_overlap
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.shapes import Bool, Int

ENOUGH = 5
"""Segments from which on a suspicion is said."""
RARELY, HALF, MOSTLY = 0.1, 0.5, 0.9
MOST_CATEGORIES = 1000
"""Values of pixels below it may be categories without instance."""


def suspicions(table: PairTable) -> tuple[str, ...]:
    """List the warnings about the predictions in a table of label maps."""
    return tuple(filter(None, (*categories_missed(table), semantic_maps(table))))


def categories_missed(table: PairTable) -> tuple[str, ...]:
    """List the warnings about categories in a table of label maps, of panoptic or of semantic ones."""
    return tuple(filter(None, (nothing(table), one_category(table), other_categories(table))))


def detections_missed(table: PairTable) -> tuple[str, ...]:
    """List the warnings about a table of detections: of those on one object, the surest counts."""
    return tuple(f"detections: {text}" for text in (other_categories(table),) if text)


def nothing(table: PairTable) -> str:
    """Say so if not one segment is predicted, while the ground truth has some; else empty."""
    if len(table.pred.id) or not len(table.gt.id):
        return ""
    return (
        "no image has a predicted segment: all pixels are void; expected ids of segments or categories, in colored "
        "PNGs without a JSON the category in red"
    )


def one_category(table: PairTable) -> str:
    """Say so if all predicted segments have one category, in images where gt has several; else empty."""
    predicted = table.pred.category
    if not len(predicted) or (predicted != predicted[0]).any():
        return ""
    gt = table.gt.category[np.isin(table.gt.image, table.pred.image) & ~table.gt.crowd]
    if len(gt) < ENOUGH or (gt == gt[0]).all():
        return ""
    only = table.catalogue.categories[int(predicted[0])]
    values = np.unique(table.pred.id)
    cure = "expected ids of segments or categories, not a mask of 0 and 1"
    if len(values) > 1 and values[-1] < MOST_CATEGORIES:
        cure += (
            "; if the values of PNGs without a JSON are category ids, leave out --category-ids label; if they are one "
            "less, give it with --divisor 1"
        )
    return (
        f"all {len(table.pred)} predicted segments are of category {only.id} ({only.name}), while the ground truth has "
        f"{len(np.unique(gt))} categories in these images: {cure}"
    )


def other_categories(table: PairTable) -> str:
    """Say so if segments lie where those of the ground truth do and hardly one has the same category; else empty.

    Also where up to half of them have it, if another numbering fits nearly all.

    Where several detections lie on a segment, the surest one is taken; crowds are left out.
    """
    g, p = _same_place(table) if table.has_masks else _same_boxes(table)
    solid = ~table.gt.crowd[g]
    g, p = g[solid], p[solid]
    surest = np.lexsort((-np.nan_to_num(table.pred.score[p], nan=1), g))
    g, first = np.unique(g[surest], return_index=True)
    p = p[surest][first]
    here, there = table.pred.category[p], table.gt.category[g]
    agreeing = int((here == there).sum())
    if len(g) < ENOUGH or (there == there[0]).all():
        return ""
    fits = _renumbering(table, here, there, table.pred.id[p])
    if agreeing > (HALF if fits else RARELY) * len(g):
        return ""
    names = [c.name for c in table.catalogue.categories]
    common = Counter(zip(here.tolist(), there.tolist(), strict=True)).most_common(3)
    pairs = ", ".join(f"{names[a]} here is {names[b]} there ({count})" for (a, b), count in common)
    cure = f"; {fits}" if fits else "; expected categories numbered or named as in the ground truth"
    return (
        f"{len(g)} predicted segments lie where the ground truth has one, but {agreeing or 'none'} of them in its "
        f"category: {pairs}{cure}"
    )


def exchanged(table: PairTable) -> list[str]:
    """List the predicted categories of which nearly all segments that lie on one of gt lie on one of another category.

    A network that mistakes a rare category does this, too: it is no reason for a warning when a run is scored.
    """
    g, p = _same_place(table)
    solid = ~table.gt.crowd[g]
    here, there = table.pred.category[p[solid]], table.gt.category[g[solid]]
    told = []
    for c in np.unique(here).tolist():
        meets = np.bincount(there[here == c])
        d = int(meets.argmax())
        if d != c and meets.sum() >= ENOUGH and meets[d] >= MOSTLY * meets.sum():
            a, b = (table.catalogue.categories[k] for k in (c, d))
            told.append(f"{a.name} ({a.id}) lies on {b.name} ({b.id}): {meets[d]} of {meets.sum()} segments")
    return told


def semantic_maps(table: PairTable) -> str:
    """Say so if no image has two predicted objects of a category where the ground truth has several; else empty."""
    gt, pred = table.gt, table.pred
    things = table.catalogue.isthing
    solid = things[gt.category] & ~gt.crowd
    true = histogram(table, gt.image[solid], gt.category[solid])
    predicted = histogram(table, pred.image, pred.category) * things
    several = int(((true > 1) & (predicted == 1)).sum())
    if several < ENOUGH or (predicted > 1).any():
        return ""
    return (
        f"no image has two predicted segments of one thing category, while the ground truth has several objects in "
        f"{several} such cases: these look like semantic maps, in which all objects of a category are one segment; "
        "expected an id for each object"
    )


def _same_place(table: PairTable) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Find the segments of both sides whose IoU is above 0.5, whatever their categories; void leaves the prediction."""
    g, p, shared = overlaps(table)
    union = table.gt.area[g] + (table.pred.area - void_overlap(table))[p] - shared
    same = shared > 0.5 * union
    return g[same], p[same]


def _same_boxes(table: PairTable) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Find the instances and the detections whose boxes have an IoU of 0.5 or more, whatever their categories."""
    thing_or_stuff = Catalogue((Category(0, "thing", True), Category(1, "stuff", False)))
    gt = replace(table.gt, category=(~table.catalogue.isthing[table.gt.category]).astype(np.int64))
    pred = replace(table.pred, category=np.zeros_like(table.pred.category))
    boxes = box_overlaps(replace(table, catalogue=thing_or_stuff, gt=gt, pred=pred))
    return boxes.gt, boxes.pred


def _renumbering(
    table: PairTable, here: Int[np.ndarray, " n"], there: Int[np.ndarray, " n"], id_: Int[np.ndarray, " n"]
) -> str:
    """Find which numbering of the predicted categories would agree with most of the ground truth's; empty if none."""
    given, wanted = table.catalogue.ids[here], table.catalogue.ids[there]
    shifts, counts = np.unique(wanted - given, return_counts=True)
    shift = int(shifts[np.argmax(counts)])
    numberings: dict[str, Bool[np.ndarray, " n"]] = {
        "--category-ids label would fit: numbers are one less than the ids": given == wanted - 1,
        "--category-ids position would fit: numbers are positions in the ground truth's list": given == there,
        f"adding {shift} to the category ids of the predictions would fit": given + shift == wanted,
    }
    for options, category in readings(table.catalogue, id_).items():
        numberings[f"{options} would fit the values of the pixels"] = category == there
    return next((cure for cure, fits in numberings.items() if fits.mean() >= MOSTLY), "")
