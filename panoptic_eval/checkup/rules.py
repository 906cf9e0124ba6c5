"""What is to be said about the files of a data set and its predictions, besides what reading and counting tell."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from panoptic_eval.categories import Catalogue
from panoptic_eval.checkup.facts import UNKNOWN, Facts
from panoptic_eval.checkup.findings import Findings
from panoptic_eval.checkup.walk import Chunk, Png
from panoptic_eval.labels import Encoded, ImageId, LabelMap, LabelMaps, split_ids
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.score import input_oddities
from panoptic_eval.shapes import Bool, Float, Int

FEW, SMALL, THIN = 5, 0.05, 0.4
"""Ids without meaning; shares of the image and of their boxes that half of them fill at most. Where edges were mixed,
such ids are many, small and thin."""
ENOUGH = 5
"""Images or segments from which on a pattern is said."""
EMPTY = 0.999
"""Share of void from which on an image says nothing."""
RESIZED = (
    "[PNG has|PNGs have] many ids without meaning on few pixels: colors between colors, as resizing with interpolation "
    "or JPEG makes them; expected the nearest pixel, and PNG"
)


def of_chunk(
    chunk: Chunk, gt: LabelMaps, pred: LabelMaps | None, given: Container[ImageId], findings: Findings
) -> None:
    """Add what can be said about some images by themselves.

    Args:
        chunk: these images.
        gt, pred: both sides, sound.
        given: images of which there is a prediction, sound or not.
        findings: gets what is said.
    """
    for seen in chunk.seen:
        for side, fault in seen.faults:
            findings.add("error", side, fault.kind, fault.places)
    here = range(chunk.first, chunk.first + len(chunk.seen))
    findings.add("warning", "gt", RESIZED, _resized(gt, here, [s.gt for s in chunk.seen]))
    if pred is not None:  # which explains what the ids say
        findings.add("error", "pred", RESIZED, _resized(pred, chunk.pred_at, [s.pred for s in chunk.seen]))
    findings.extend("gt", chunk.told["gt"])
    findings.extend("pred", chunk.told["pred"])
    table = chunk.table
    nobody = table.gt.take(np.empty(0, np.int64))
    findings.extend("gt", input_oddities(replace(table, pred=nobody)))
    maps = gt.maps[chunk.first : chunk.first + len(chunk.seen)]
    findings.add(
        "warning",
        "gt",
        "[image is|images are] void, all of [it|them]: nothing is scored there",
        (
            f"{maps[at].png}: image {maps[at].image_id!r}"
            for at, share in zip(chunk.at, _void(table).tolist(), strict=True)
            if share >= EMPTY
        ),
    )
    told = {
        "missing": "[photograph is|photographs are] not there; scores need none, training and pictures do",
        "other size": "[photograph has|photographs have] another size than the labels, as it is shown",
        "unreadable": "[photograph|photographs] cannot be read",
    }
    for state, kind in told.items():
        places = [str(m.photograph) for m, seen in zip(maps, chunk.seen, strict=True) if seen.photograph == state]
        findings.add("note" if state == "missing" else "warning", "gt", kind, places)
    if pred is None:
        return
    findings.extend("pred", input_oddities(replace(table, gt=nobody)))
    theirs = [pred.maps[k] if k >= 0 else None for k in chunk.pred_at]
    findings.add(
        "error",
        "pred",
        "[image has|images have] no prediction; predict [it|them], or choose --missing empty or skip",
        (f"image {m.image_id!r}" for m in maps if m.image_id not in given),
    )
    predicted = np.bincount(table.pred.image, minlength=len(table))
    findings.add(
        "warning",
        "pred",
        "[prediction has|predictions have] no segment: all of [it|them] is void",
        (
            f"image {maps[at].image_id!r}: {other.png}"
            for at, files, n in zip(chunk.at, table.files, predicted.tolist(), strict=True)
            if n == 0 and files.pred is not None and (other := theirs[at]) is not None
        ),
    )


def _void(table: PairTable) -> Float[np.ndarray, " i"]:
    """Return the share of each image that no segment of the ground truth has."""
    return 1 - np.bincount(table.gt.image, table.gt.area, len(table)) / table.size.prod(1)


def _resized(side: LabelMaps, image: Sequence[int], pngs: Sequence[Png | None]) -> Iterator[str]:
    """Name the images whose PNG has many ids without meaning, on few pixels.

    Args:
        side: all of its label maps.
        image: index of some of them; -1 where there is none.
        pngs: what each of these holds.
    """
    for k, png in zip(image, pngs, strict=True):
        if k < 0 or png is None or png.ids.palette is not None:
            continue
        strange = _without_meaning(side, k, png.ids.id.astype(np.int64))
        share = png.ids.area[strange] / png.ids.area.sum()
        box = png.ids.box[strange].astype(np.int64)
        filled = png.ids.area[strange] / (box[:, 2:] - box[:, :2]).prod(1)
        many = len(share) >= FEW and 2 * len(share) > len(strange)
        if many and np.median(share) <= SMALL and np.median(filled) <= THIN:
            where = f"{side.maps[k].png}: image {side.maps[k].image_id!r}"
            yield f"{where} has {len(share)} such ids, on {share.sum():.2%} of its pixels"


def _without_meaning(side: LabelMaps, image: int, ids: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Tell which ids of an image are neither void nor a segment's."""
    if isinstance(side.meaning, Encoded):
        code, _ = split_ids(side.meaning, ids)
        table = np.append(side.meaning.category, -2)
        return table[np.minimum(code, len(table) - 1)] == -2
    first, last = np.searchsorted(side.meaning.image, [image, image + 1])
    return ~np.isin(ids, [0, *side.meaning.id[first:last].tolist()])


def of_gt(facts: Facts, catalogue: Catalogue, findings: Findings) -> None:
    """Add what the whole ground truth shows."""
    thing, instances = catalogue.isthing, facts.segments - facts.crowds
    _of_side("gt", facts, findings)
    findings.add("note", "gt", "[category is|categories are] never used", _names(catalogue, facts.segments == 0))
    findings.add(
        "note",
        "gt",
        "thing [category has|categories have] crowds and no instance: AP does not exist for [it|them]",
        _names(catalogue, thing & (instances == 0) & (facts.crowds > 0)),
    )
    names = [c.name.casefold() for c in catalogue.categories]
    again = np.array([names.index(name) != k for k, name in enumerate(names)])
    findings.add("warning", "gt", "[category has|categories have] the name of another", _names(catalogue, again))
    several = (facts.images_with >= ENOUGH) & thing
    if several.any() and facts.most[thing].max() == 1:
        findings.add(
            "warning",
            "gt",
            "no image has two segments of one thing category: these look like semantic maps, in which all objects of a "
            "category are one segment; expected an id for each object",
        )


def of_pred(facts: Facts, gt: Facts, catalogue: Catalogue, findings: Findings) -> None:
    """Add what all predictions together show."""
    _of_side("pred", facts, findings)
    findings.add(
        "note",
        "pred",
        "[category is|categories are] in the ground truth and never predicted",
        _names(catalogue, (facts.segments == 0) & (gt.segments > 0)),
    )
    scores = facts.score[~np.isnan(facts.score)]
    if len(scores) >= ENOUGH and len(np.unique(scores)) == 1:
        findings.add(
            "warning",
            "pred",
            f"all {len(scores)} scores are {scores[0]:g}: AP then depends on the order of the segments in the JSON",
        )


def _of_side(side: Literal["gt", "pred"], facts: Facts, findings: Findings) -> None:
    if len(facts.kinds) > 1:
        kinds = (f"{kind} ({n})" for kind, n in facts.kinds.most_common())
        findings.add("warning", side, f"PNGs are of several modes: {', '.join(kinds)}; expected one")


def _names(catalogue: Catalogue, which: Bool[np.ndarray, " c"]) -> list[str]:
    """Return the names of categories with their ids; not of the one that stands for unknown ones."""
    chosen = zip(catalogue.categories, which.tolist(), strict=True)
    return [f"{c.name} ({c.id})" for c, wanted in chosen if wanted and c.id != UNKNOWN]


def same(
    side: Literal["gt", "pred"], maps: Sequence[LabelMap], pairs: Iterable[tuple[int, int]], findings: Findings
) -> None:
    """Add label maps that are equal, byte by byte."""
    findings.add(
        "warning",
        side,
        "[PNG is|PNGs are] the same as that of another image, byte by byte",
        (f"{maps[b].png}: as {maps[a].png}" for a, b in pairs),
    )


def alike(maps: Sequence[LabelMap], pairs: Iterable[tuple[int, int]], findings: Findings) -> None:
    """Add label maps that are nearly equal."""
    findings.add(
        "note",
        "gt",
        "label [map is|maps are] nearly that of another image: frames of one video, or one photograph twice; images "
        "then say less than their number, and intervals are too narrow",
        (f"{maps[b].png}: like {maps[a].png}" for a, b in pairs),
    )
