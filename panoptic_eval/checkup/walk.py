"""The files of each image, looked at once: in parallel, some images at a time, so that memory has a bound."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from panoptic_eval import pairs
from panoptic_eval.counting import without_prediction
from panoptic_eval.errors import Fault, Faults, InputError, PngError
from panoptic_eval.files import PNG_LIMIT, is_file, read_regular
from panoptic_eval.labels import Encoded, LabelMap, LabelMaps, Listed, find_segments
from panoptic_eval.pairs.build import build
from panoptic_eval.pairs.counts import IdCounts
from panoptic_eval.pairs.table import Files, Origin, PairTable
from panoptic_eval.photographs import shown_size
from panoptic_eval.png.container import GRAY, GRAY_ALPHA, PALETTE, RGB, RGBA, header
from panoptic_eval.png.ids import Ids
from panoptic_eval.png.label_runs import read_runs
from panoptic_eval.shapes import Float, UInt32

TOGETHER = 64
"""Images of a chunk."""
AHEAD = 4
"""Chunks in work at a time."""
GRID = 16
"""Rows and columns of the pixels that are compared between images."""
TOLERANCE = 1.0
"""Pixels by which a stated box may differ: some tools give the last pixel, others the one behind it."""
COLORS = {GRAY: "gray", RGB: "RGB", PALETTE: "palette", GRAY_ALPHA: "gray with alpha", RGBA: "RGB with alpha"}


@dataclass(frozen=True)
class Png:
    """What one label PNG says by itself."""

    kind: str
    """Mode, for people: "8-bit RGB"."""
    digest: str
    """SHA-256 of its bytes."""
    ids: Ids
    size: tuple[int, int]
    """Height, width."""
    grid: UInt32[np.ndarray, "g g"]
    """Values of pixels that lie evenly over the image."""


@dataclass(frozen=True)
class Seen:
    """What the files of one image say."""

    gt: Png | None
    """None where it cannot be read, as for `pred`."""
    pred: Png | None
    fits: bool
    """Whether the prediction is there and has the size of the ground truth."""
    counts: IdCounts | None
    """Both sides, or the ground truth alone where there is no prediction that fits; None without ground truth."""
    faults: tuple[tuple[Literal["gt", "pred"], Fault], ...]
    photograph: Literal["none", "missing", "fits", "other size", "unreadable"]


@dataclass(frozen=True)
class Chunk:
    """Some images."""

    first: int
    """Index of the first image in the ground truth."""
    seen: tuple[Seen, ...]
    """What each image's files say."""
    table: PairTable
    """Pair table of the images whose ground truth could be read; predictions that do not fit are left out."""
    at: tuple[int, ...]
    """Index in `seen` of each image of the table."""
    pred_at: tuple[int, ...]
    """Index in the predictions of each image in `seen`; -1 where there is none."""
    told: Mapping[Literal["gt", "pred"], Faults]
    """What the ids of each side say that is wrong or odd."""


def chunks(gt: LabelMaps, pred: LabelMaps, executor: Executor) -> Iterator[Chunk]:
    """Walk over all images of the ground truth, in its order.

    Args:
        gt: the ground truth.
        pred: the predictions; images may be missing.
        executor: reads the files of several chunks at a time.
    """
    of_image = {m.image_id: k for k, m in enumerate(pred.maps)}
    starts = iter(range(0, len(gt.maps), TOGETHER))
    waiting: list[tuple[list[int], list[int], Future[list[Seen]]]] = []

    def start() -> None:
        for first in starts:
            rows = list(range(first, min(first + TOGETHER, len(gt.maps))))
            at = [of_image.get(gt.maps[k].image_id, -1) for k in rows]
            files = [(gt.maps[k], pred.maps[p] if p >= 0 else None) for k, p in zip(rows, at, strict=True)]
            waiting.append((rows, at, executor.submit(look_at, files)))
            return

    for _ in range(AHEAD):
        start()
    while waiting:
        rows, at, future = waiting.pop(0)
        seen = future.result()
        start()
        yield _chunk(_part(gt, rows), _part(pred, [p for p in at if p >= 0]), rows[0], at, seen)


def _part(maps: LabelMaps, rows: Sequence[int]) -> LabelMaps:
    """Select images, in the order given."""
    chosen = tuple(maps.maps[k] for k in rows)
    if isinstance(maps.meaning, Encoded):
        return replace(maps, maps=chosen)
    image = maps.meaning.image
    ranges = [np.arange(*np.searchsorted(image, [k, k + 1])) for k in rows]
    listed = maps.meaning.take(np.concatenate([np.empty(0, np.int64), *ranges]))
    listed = replace(listed, image=np.repeat(np.arange(len(rows)), [len(r) for r in ranges]))
    return replace(maps, maps=chosen, meaning=listed)


def _chunk(gt: LabelMaps, pred: LabelMaps, first: int, at: Sequence[int], seen: Sequence[Seen]) -> Chunk:
    """Find out what the ids of some images mean."""
    of_part = np.cumsum([p >= 0 for p in at]) - 1
    used = [k for k, s in enumerate(seen) if s.counts is not None]
    pred_at = [int(of_part[k]) if seen[k].fits else -1 for k in used]
    counts = [c for s in seen if (c := s.counts) is not None]

    def built(side: LabelMaps, at: Sequence[int], counts: Sequence[IdCounts], told: Faults) -> PairTable:
        where = np.array(used, np.int64), np.array(at, np.int64)
        origin = Origin(gt.source, side.source)
        return build(gt, side, *where, counts, digest=[""] * len(used), origin=origin, faults=told)

    of_gt, of_both = Faults(), Faults()
    built(no_predictions(gt), [-1] * len(used), [without_prediction(c) for c in counts], of_gt)
    table = built(pred, pred_at, counts, of_both)
    _compare_boxes(table, gt, used, of_gt)
    files = tuple(
        Files(gt.maps[k].png, pred.maps[p].png if p >= 0 else None, gt.maps[k].photograph)
        for k, p in zip(used, pred_at, strict=True)
    )
    table = replace(table, files=files, pairs=replace(table.pairs, pred=np.maximum(table.pairs.pred, -1)))
    return Chunk(first, tuple(seen), table, tuple(used), tuple(at), {"gt": of_gt, "pred": _without(of_both, of_gt)})


def _without(both: Faults, gt: Faults) -> Faults:
    """Leave out of what was told about both sides what was told about the ground truth, which comes first."""
    rest = Faults()
    for add, told, of_gt in ((rest.add, both.faults, gt.faults), (rest.warn, both.oddities, gt.oddities)):
        there = {fault.kind: len(fault.places) for fault in of_gt}
        for fault in told:
            if fault.kind not in there:
                add(fault.kind, fault.places or None)
            else:
                add(fault.kind, fault.places[there[fault.kind] :])
    return rest


def _compare_boxes(table: PairTable, gt: LabelMaps, used: Sequence[int], told: Faults) -> None:
    """Warn of segments of the ground truth whose box is another than the JSON states."""
    if isinstance(gt.meaning, Encoded) or gt.meaning.box is None:
        return
    at = np.array(used, np.int64)[table.gt.image]
    row = find_segments(gt.meaning.image, gt.meaning.id, at, table.gt.id)
    stated = gt.meaning.box[row]
    with np.errstate(invalid="ignore"):
        other = (np.abs(stated - table.gt.box) > TOLERANCE).any(1)
    told.warn(
        "gt [segment has|segments have] another box than the JSON states; the PNG counts",
        (
            f"{gt.maps[at[k]].png}: segment {table.gt.id[k]} has {_numbers(table.gt.box[k])}, "
            f"stated are {_numbers(stated[k])}"
            for k in np.flatnonzero(other).tolist()
        ),
    )


def _numbers(box: Float[np.ndarray, " 4"]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in box) + "]"


def look_at(files: Sequence[tuple[LabelMap, LabelMap | None]]) -> list[Seen]:
    """Read the files of some images."""
    return [_look_at(gt, pred) for gt, pred in files]


def _look_at(gt: LabelMap, pred: LabelMap | None) -> Seen:
    contents: dict[str, bytes] = {}
    pngs: dict[str, Png] = {}
    alone: dict[str, IdCounts] = {}
    faults: list[tuple[Literal["gt", "pred"], Fault]] = []
    sides: tuple[tuple[Literal["gt", "pred"], LabelMap | None], ...] = (("gt", gt), ("pred", pred))
    for side, label_map in sides:
        if label_map is None:
            continue
        place = (f"image {label_map.image_id!r}: {label_map.png}",)
        try:
            content = label_map.content() if label_map.content else read_regular(label_map.png, PNG_LIMIT)
            alone[side] = pairs.count_pair(content, content)
            contents[side], pngs[side] = content, _png(content, alone[side])
        except OSError as error:
            faults.append((side, Fault(f"a PNG cannot be read: {error.strerror or error}", place)))
        except PngError as error:
            faults.append((side, Fault(f"a PNG {str(error).removeprefix('gt: ')}", place)))
    fits = pred is not None and len(pngs) == 2 and pngs["gt"].size == pngs["pred"].size
    if pred is not None and len(pngs) == 2 and not fits:
        (gt_height, gt_width), (height, width) = pngs["gt"].size, pngs["pred"].size
        where = f"{pred.png}: image {pred.image_id!r} has {width} x {height} pixels, its gt {gt_width} x {gt_height}"
        faults.append(
            ("pred", Fault("[PNG has|PNGs have] another size than the ground truth's; expected the same", (where,)))
        )
    counts = None
    if fits:
        counts = pairs.count_pair(contents["gt"], contents["pred"])
    elif "gt" in pngs:
        counts = without_prediction(alone["gt"])
    size = pngs["gt"].size if "gt" in pngs else None
    return Seen(pngs.get("gt"), pngs.get("pred"), fits, counts, tuple(faults), _photograph(gt, size))


def _png(content: bytes, counts: IdCounts) -> Png:
    """Read a label PNG by itself, given its counts with itself.

    Raises:
        PngError: as for `read_runs`.
    """
    kind = header(content)
    y, x = (((np.arange(GRID) + 0.5) * side / GRID).astype(np.int64) for side in (kind.height, kind.width))
    return Png(
        f"{kind.bit_depth}-bit {COLORS[kind.color_type]}",
        hashlib.sha256(content).hexdigest(),
        counts.gt,
        (kind.height, kind.width),
        read_runs(content).ids_at(y, x),
    )


def _photograph(
    label_map: LabelMap, size: tuple[int, int] | None
) -> Literal["none", "missing", "fits", "other size", "unreadable"]:
    """Compare the size of the photograph with that of the labels."""
    if label_map.photograph is None:
        return "none"
    if not is_file(label_map.photograph):
        return "missing"
    try:
        return "fits" if size in (None, shown_size(label_map.photograph)) else "other size"
    except InputError:
        return "unreadable"


def no_predictions(gt: LabelMaps) -> LabelMaps:
    """Return the side of predictions where there are none."""
    empty = np.empty(0, np.int64)
    listed = Listed(empty, empty, empty, empty.astype(bool), empty.astype(float), empty.astype(float))
    return LabelMaps("none", gt.catalogue, (), listed)
