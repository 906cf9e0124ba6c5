"""What a pixel of a PNG with a palette means: its color, the gray value of that color, or its index.

Optimizers of PNGs store a picture of at most 256 colors with a palette: the ids are those of the colors. Where labels
are drawn with a palette, the index is the id and the color is for people. Only the meaning of ids tells which it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from panoptic_eval.errors import PngError
from panoptic_eval.labels import Encoded, LabelMaps, split_ids
from panoptic_eval.pairs.counts import IdCounts, Overlaps, Pairs
from panoptic_eval.png import reference
from panoptic_eval.png.container import palette_ids
from panoptic_eval.png.ids import Ids
from panoptic_eval.shapes import Int, UInt32

Lookup = Int[np.ndarray, " 256"]
"""Id of each palette index; -1 where the palette has no such color, or it is not gray."""
Used = dict[str, Int[np.ndarray, " n"]]
"""Ids of the palette indices that have pixels, as colors, as gray values and as indices."""
ORDER = ("color", "gray", "index")


def lookup(
    maps: LabelMaps, image: int, indices: UInt32[np.ndarray, " n"], palette: UInt32[np.ndarray, " e"] | None
) -> Lookup | None:
    """Tell which ids the palette indices of an image stand for; None where they are the ids themselves.

    Args:
        maps: one side of the evaluation.
        image: index into its maps.
        indices: palette indices that have pixels, each once.
        palette: R + 256 G + 65536 B of each entry; None where the PNG has none.

    Raises:
        PngError: several readings fit, and nothing tells which is meant; or some pixels have no id by any.
    """
    if palette is None:
        return None
    if isinstance(maps.meaning, Encoded):
        return _lookup(partial(_of_encoded, maps.meaning, len(palette)), indices, palette)
    first, last = np.searchsorted(maps.meaning.image, [image, image + 1])
    return _lookup(partial(_of_listed, maps.meaning.id[first:last]), indices, palette)


def decode(maps: LabelMaps, image: int, png: bytes) -> UInt32[np.ndarray, "h w"]:
    """Decode a label PNG to the ids that its image's entries have.

    Raises:
        PngError: as for `reference.decode`, or several readings of a palette fit.
    """
    return _decode(png, partial(lookup, maps, image))


def decode_listed(known: Int[np.ndarray, " s"], png: bytes) -> UInt32[np.ndarray, "h w"]:
    """Decode a label PNG to ids, of which these are known to be in it.

    Raises:
        PngError: as for `decode`.
    """
    return _decode(png, partial(_lookup, partial(_of_listed, known)))


def renamed(counts: IdCounts, gt: Lookup | None, pred: Lookup | None) -> IdCounts:
    """Replace palette indices by the ids that they stand for; indices of one id become one."""
    if gt is None and pred is None:
        return counts
    gt_ids, gt_at = renamed_ids(counts.gt, gt)
    pred_ids, pred_at = renamed_ids(counts.pred, pred)
    # One more entry at the end serves -1: no prediction.
    pair_gt, pair_pred = (
        np.append(at, -1)[index] for at, index in ((gt_at, counts.pairs.gt), (pred_at, counts.pairs.pred))
    )
    key, inverse = np.unique(pair_gt * np.int64(len(pred_ids.id) + 1) + pair_pred + 1, return_inverse=True)
    pixels = np.bincount(inverse, weights=counts.pairs.pixels).astype(np.int64)
    near = None if counts.near is None else counts.near[np.argsort(inverse)]
    pair_gt, pair_pred = np.divmod(key, len(pred_ids.id) + 1)
    pairs = Pairs(pair_gt.astype(np.int32), (pair_pred - 1).astype(np.int32), pixels)
    return replace(counts, gt=gt_ids, pred=pred_ids, pairs=pairs, near=near)


def check_distinct(ids: Ids, names: Lookup | None) -> None:
    """Refuse indices of one id: where their pixels meet there is no boundary, but one was counted.

    Raises:
        PngError: two indices that have pixels are one id.
    """
    used = ids.id.astype(np.int64) if names is None else names[ids.id.astype(np.int64)]
    if len(np.unique(used)) < len(used):
        raise PngError(
            "has a palette in which several indices are one id, so that boundaries cannot be counted; expected a PNG "
            "without palette"
        )


def renamed_ids(ids: Ids, names: Lookup | None) -> tuple[Ids, Int[np.ndarray, " n"]]:
    """Replace palette indices by ids, and tell the entry that each index is now part of."""
    if names is None:
        return ids, np.arange(len(ids.id))
    id_, at = np.unique(names[ids.id.astype(np.int64)], return_inverse=True)
    area = np.bincount(at, weights=ids.area, minlength=len(id_)).astype(np.int64)
    box = np.tile(np.array([2**31 - 1] * 2 + [0] * 2, np.int32), (len(id_), 1))
    np.minimum.at(box[:, :2], at, ids.box[:, :2])
    np.maximum.at(box[:, 2:], at, ids.box[:, 2:])
    return Ids(id_.astype(np.uint32), area, box), at


def renamed_overlaps(gt: LabelMaps, image: int, counts: IdCounts | None, overlaps: Overlaps | None) -> Overlaps | None:
    """Replace the palette indices of a ground truth's image, which overlap masks of detections, by ids."""
    if counts is None or overlaps is None:
        return overlaps
    names = lookup(gt, image, counts.gt.id, counts.gt.palette)
    return overlaps if names is None else replace(overlaps, id=names[overlaps.id])


def _decode(
    png: bytes, look_up: Callable[[UInt32[np.ndarray, " n"], UInt32[np.ndarray, " e"]], Lookup | None]
) -> UInt32[np.ndarray, "h w"]:
    """Decode a label PNG, and replace the indices of a palette by what is looked up of those that have pixels."""
    labels = reference.decode(png)
    colors = palette_ids(png)
    names = None if colors is None else look_up(np.unique(labels), colors)
    return labels if names is None else names[labels.astype(np.int64)].astype(np.uint32)


def _lookup(
    choose: Callable[[Used], str], indices: UInt32[np.ndarray, " n"], palette: UInt32[np.ndarray, " e"]
) -> Lookup | None:
    """Take the reading that is chosen, in which all indices must have an id; None where these are the ids."""
    color = np.full(256, -1)
    color[: len(palette)] = palette
    readings = {"color": color, "gray": np.where(color % 0x010101 == 0, color & 0xFF, -1), "index": np.arange(256)}
    used = {name: values[indices.astype(np.int64)] for name, values in readings.items()}
    name = choose(used)
    wrong = indices[used[name] < 0]
    if len(wrong):
        raise PngError(
            f"has a palette in which index {wrong[0]} has no {name} and its pixels no id; "
            "expected a PNG without palette"
        )
    return None if name == "index" else readings[name]


def _of_listed(known: Int[np.ndarray, " s"], used: Used) -> str:
    """Choose the reading with most of the listed ids: colors first, as the format is one of colors."""
    hits = {name: len(np.intersect1d(values, known)) for name, values in used.items()}
    whole = [name for name in ORDER if np.isin(used[name], [*known, 0]).all()]
    best = max(whole or ORDER, key=lambda name: hits[name])
    earlier = whole[: whole.index(best)] if whole else [n for n in ORDER if n != best and hits[n] == hits[best] > 0]
    for name in earlier:
        if (used[name] != used[best]).any():
            raise _ambiguous(name, best)
    return best


def _of_encoded(encoded: Encoded, entries: int, used: Used) -> str:
    """Choose the index, unless colors are ids by construction; as an optimizer would store it, others must not fit."""
    if encoded.layout == "channels":
        return "color"
    if entries > len(used["index"]):
        return "index"  # an optimizer keeps no color that is not used
    table = np.append(encoded.category, -2)

    def fits(name: str) -> bool:
        values = used[name]
        code = values & 0xFF if name == "color" else split_ids(encoded, np.maximum(values, 0))[0]  # red is the category
        return bool(((values >= 0) & (table[np.minimum(code, len(table) - 1)] != -2)).all())

    if not fits("index"):
        return "gray" if fits("gray") else "index"
    for name in ("gray", "color"):
        if fits(name) and (used[name] != used["index"]).any():
            raise _ambiguous(name, "index")
    return "index"


def _ambiguous(a: str, b: str) -> PngError:
    what = {"color": "the colors", "gray": "the gray values", "index": "the indices"}
    return PngError(
        f"has a palette of which {what[a]} and {what[b]} may be the ids, which differ; expected a PNG without palette"
    )
