"""Counts the images over any executor: two sides in, pair tables out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from panoptic_eval import pairs
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import Fault, Faults, InputError, PngError
from panoptic_eval.files import PNG_LIMIT, read_regular
from panoptic_eval.labels import LabelMap, LabelMaps
from panoptic_eval.pairs import palette
from panoptic_eval.pairs.build import build
from panoptic_eval.pairs.counts import IdCounts, Overlaps, Pairs
from panoptic_eval.pairs.ranking import best_detections
from panoptic_eval.pairs.table import Files, Missing, Origin, PairTable
from panoptic_eval.png.ids import Ids
from panoptic_eval.predictions import Detections, Predictions, read_predictions
from panoptic_eval.rules import check_boundary
from panoptic_eval.score import Tables, input_warnings
from panoptic_eval.shapes import Int
from panoptic_eval.suspicions import categories_missed, detections_missed, suspicions

if TYPE_CHECKING:  # what only some runs need is imported there: most processes that score live for less than a second
    from panoptic_eval.pairs.journal import Journal
    from panoptic_eval.run_folder import RunFolder

Shard = tuple[int, int]
"""Which part of how many, from 1: the images of a data set in equal runs."""
IN_FLIGHT = 256
"""Images handed to the executor at a time: enough for a cluster, few enough to take back."""
TOGETHER, PARTS = 16, 64
"""Images that are counted in one call: many, as small ones take little time; but at least so many calls in all."""


def count(
    pred: Path | str | Predictions,
    gt: Path | str | LabelMaps,
    *,
    missing: Missing = "error",
    strict: bool = False,
    shard: Shard = (1, 1),
    boundary: float = 0.0,
    out: RunFolder | Path | str | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Tables:
    """Count the pair tables of predictions, or of one shard of them; other arguments as for `evaluate`.

    Raises:
        InputError: every fault that was found in the input.
    """
    if not 1 <= shard[0] <= shard[1]:
        raise InputError(f"shard {shard[0]}/{shard[1]} does not exist; expected 1/n to n/n")
    check_boundary(boundary)
    gt_maps = gt if isinstance(gt, LabelMaps) else ground_truth(gt)
    others = [m.image_id for m in gt_maps.maps if type(m.image_id) not in (int, str)]
    if others:  # no file holds them: said before anything is counted
        raise InputError(f"image id {others[0]!r} is of type {type(others[0]).__name__}; expected int or str")
    predictions = pred if isinstance(pred, Predictions) else read_predictions(pred, gt_maps)
    read_warnings = (*gt_maps.warnings, *predictions.warnings)
    if strict and read_warnings:
        raise InputError(read_warnings)
    with ExitStack() as stack:
        if executor is None:
            executor = ThreadPoolExecutor(workers or os.cpu_count() or 1)
            stack.callback(executor.shutdown, cancel_futures=True)
        journal = None
        if out is not None:
            from panoptic_eval.pairs.journal import Journal
            from panoptic_eval.run_folder import JOURNAL, opened

            folder = stack.enter_context(opened(out))
            folder.check_shard(shard)
            journal = stack.enter_context(Journal(folder.path / JOURNAL))
        walk = partial(
            _count_side,
            gt_maps,
            missing=missing,
            shard=shard,
            strict=strict,
            executor=executor,
            journal=journal,
            progress=progress,
        )
        panoptic, overlaps = walk(predictions.panoptic, "panoptic", predictions.instances, boundary=boundary)
        semantic = None
        if predictions.semantic is not None:
            semantic = walk(predictions.semantic, "semantic", boundary=0.0)[0]
    suspected = suspicions(panoptic)
    if semantic is not None:
        suspected = (*suspected, *(f"semantic maps: {text}" for text in categories_missed(semantic)))
    instances = None
    if predictions.instances is not None:
        from panoptic_eval.pairs.instances import detections_table

        instances = detections_table(panoptic, gt_maps, predictions.instances, overlaps)
        suspected = (*suspected, *detections_missed(instances))
    if strict and (told := (*suspected, *input_warnings(panoptic))):
        raise InputError(told)
    of_reading = read_warnings if shard[0] == 1 else ()  # of the whole run: said once
    warnings = (*of_reading, *panoptic.origin.warnings, *suspected)
    panoptic = replace(panoptic, origin=replace(panoptic.origin, warnings=warnings))
    if instances is not None:
        instances = replace(instances, origin=replace(panoptic.origin, warnings=()))
    return Tables(panoptic, instances, semantic)


@dataclass(frozen=True)
class Job:
    """Two files to count, `pred` None where there is no prediction."""

    key: str
    gt: LabelMap
    pred: LabelMap | None
    masks: tuple[dict[str, Any], ...] = ()
    """Detections in this image, COCO's compressed run lengths."""
    known: str | None = None
    """Digest of the files and masks whose counts an earlier run kept."""
    boundary: float = 0.0
    """Distance up to which a pixel is near a boundary, in diagonals of the image; 0 if boundaries are not counted."""


@dataclass(frozen=True)
class Counted:
    """Result of one job: counts or a fault; neither where the files and masks are known."""

    counts: IdCounts | None
    digest: str
    """Digest of both files."""
    kept_as: str = ""
    """Digest of both files and the masks, and the distance of boundaries."""
    overlaps: Overlaps | None = None
    """Pixels that the ids of gt share with the masks; None without masks."""
    fast: bool = True
    """True if the fast path takes such files; the reference counts the others."""
    fault: Fault | None = None


def count_jobs(jobs: Sequence[Job]) -> list[Counted]:
    """Read and count the files of some images, in one call of what counts; never raises for bad files."""
    read = [_read(job) for job in jobs]
    done, contents = [counted for counted, _ in read], [files for _, files in read]
    waiting = [k for k, counted in enumerate(done) if counted.fault is None and counted.kept_as != jobs[k].known]
    boundary = jobs[0].boundary if jobs else 0.0
    results = pairs.count_pairs([(contents[k][0], contents[k][-1]) for k in waiting], boundary)
    for k, counts in zip(waiting, results, strict=True):
        done[k] = _with_counts(jobs[k], done[k], contents[k][0], counts)
    return done


def _read(job: Job) -> tuple[Counted, list[bytes]]:
    """Read the files of an image, and return what is known before anything is counted, and their contents."""
    contents = []
    for side, label_map in (("gt", job.gt), ("pred", job.pred)):
        if label_map is None:
            continue
        try:
            contents.append(label_map.content() if label_map.content else read_regular(label_map.png, PNG_LIMIT))
        except OSError as error:
            kind = f"a PNG cannot be read: {error.strerror or error}"
            return Counted(None, "", fault=Fault(kind, (_place(side, label_map),))), []
    digest = "-".join(hashlib.sha256(c).hexdigest() for c in contents)
    kept_as = "-".join(
        [digest, *([_digest_of(job.masks)] if job.masks else []), *([repr(job.boundary)] if job.boundary else [])]
    )
    return Counted(None, digest, kept_as, fast=all(map(pairs.supported, contents))), contents


def _with_counts(job: Job, counted: Counted, gt: bytes, counts: IdCounts | PngError) -> Counted:
    """Add the counts of an image, or what is wrong with its files, and what the masks share with its gt file."""
    try:
        if isinstance(counts, PngError):
            raise counts
        overlaps = None
        if job.masks:
            from panoptic_eval.pairs.instances import count_overlaps

            overlaps = count_overlaps(gt, counts, job.masks, job.boundary)
    except PngError as error:
        side, _, what = str(error).partition(": ")
        label_map = job.gt if side == "gt" or job.pred is None else job.pred
        return replace(counted, kept_as="", fault=Fault(f"a PNG {what}", (_place(side, label_map),)))
    return replace(counted, counts=without_prediction(counts) if job.pred is None else counts, overlaps=overlaps)


def _place(side: str, label_map: LabelMap) -> str:
    """Return where a fault was found."""
    return f"{side} image {label_map.image_id!r}: {label_map.png}"


def _digest_of(masks: Sequence[Mapping[str, Any]]) -> str:
    """Return the digest of run lengths, whose text holds no space."""
    return hashlib.sha256(b" ".join(mask["counts"] for mask in masks)).hexdigest()


def without_prediction(counts: IdCounts) -> IdCounts:
    """Make of gt's counts with itself those of gt and nothing: every pixel is predicted void."""
    nothing = Ids(np.empty(0, np.uint32), np.empty(0, np.int64), np.empty((0, 4), np.int32))
    n = len(counts.gt.id)
    of_gt = Pairs(np.arange(n), np.full(n, -1), counts.gt.area)  # gt's counts with itself have a pair for each id
    return replace(counts, pred=nothing, pairs=of_gt)


def _count_side(
    gt: LabelMaps,
    pred: LabelMaps,
    what: str,
    detections: Detections | None = None,
    *,
    missing: Missing,
    shard: Shard,
    strict: bool,
    executor: Executor,
    journal: Journal | None,
    boundary: float,
    progress: bool,
) -> tuple[PairTable, list[Overlaps | None]]:
    """Return the table of one side's label maps; and of each image, what the detections share with gt's ids."""
    index = {m.image_id: k for k, m in enumerate(pred.maps)}
    first, last = (len(gt.maps) * k // shard[1] for k in (shard[0] - 1, shard[0]))
    gt_at = np.arange(first, last)
    pred_at = np.array([index.get(m.image_id, -1) for m in gt.maps[first:last]], np.int64)
    without = [gt.maps[k].image_id for k in gt_at[pred_at < 0].tolist()]
    if without and missing == "error":
        faults = Faults()
        faults.add(
            f"[image has|images have] no {what} prediction; predict [it|them], or choose --missing empty or skip",
            map(repr, without),
        )
        faults.check()
    if missing == "skip":
        gt_at, pred_at = gt_at[pred_at >= 0], pred_at[pred_at >= 0]
    jobs = []
    masks, place = _masks_of(detections, len(gt.maps))
    for g, p in zip(gt_at.tolist(), pred_at.tolist(), strict=True):
        key = f"{what} {gt.maps[g].image_id!r}"
        known = None if journal is None else journal.digest(key)
        jobs.append(Job(key, gt.maps[g], pred.maps[p] if p >= 0 else None, masks[g], known, boundary))
    results = _run(executor, jobs, journal)
    if progress:
        from tqdm import tqdm

        results = tqdm(results, total=len(jobs), desc=what, unit="image", leave=False)
    done = [counted for _, counted in sorted(results, key=lambda result: result[0])]
    faults = Faults()
    for fault in (counted.fault for counted in done if counted.fault is not None):
        faults.add(fault.kind, fault.places)
    faults.check()
    slow = sum(not c.fast for c in done)
    origin = Origin(gt.source, pred.source, missing, len(without), slow, shard, boundary=boundary, path=pairs.path())
    counts = [c.counts for c in done if c.counts is not None]
    digest = [c.digest for c in done]
    oddities = Faults()
    table = build(gt, pred, gt_at, pred_at, counts, digest=digest, origin=origin, faults=oddities)
    oddities.check(strict=strict)
    files = tuple(Files(j.gt.png, j.pred.png if j.pred else None, j.gt.photograph) for j in jobs)
    table = replace(table, origin=replace(origin, warnings=oddities.warnings), files=files)
    if all(c.overlaps is None for c in done):
        return table, [None] * len(done)
    from panoptic_eval.pairs.instances import placed

    overlaps: list[Overlaps | None] = []
    for g, c in zip(gt_at.tolist(), done, strict=True):
        named = palette.renamed_overlaps(gt, g, c.counts, c.overlaps)
        overlaps.append(named and placed(named, place[g]))
    return table, overlaps


def _masks_of(
    detections: Detections | None, images: int
) -> tuple[list[tuple[dict[str, Any], ...]], list[Int[np.ndarray, " m"]]]:
    """Select the masks of each image's detections that count, and the place of each among all of the image's."""
    if detections is None or detections.rle is None:
        return [()] * images, [np.empty(0, np.int64)] * images
    best = np.zeros(len(detections.image), bool)
    best[best_detections(detections.image, detections.category, detections.score)] = True
    order = np.argsort(detections.image, kind="stable")
    first = np.searchsorted(detections.image[order], np.arange(images + 1)).tolist()
    rows = [order[a:b] for a, b in pairwise(first)]
    masks = [tuple(detections.rle[k] for k in image[best[image]].tolist()) for image in rows]
    return masks, [np.flatnonzero(best[image]) for image in rows]


def _run(executor: Executor, jobs: Sequence[Job], journal: Journal | None) -> Iterator[tuple[int, Counted]]:
    """Yield results with their position, as they finish; few jobs are in flight, so that an interrupt is quick."""
    together = max(1, min(len(jobs) // PARTS, TOGETHER))
    waiting = iter(range(0, len(jobs), together))
    running: dict[Future[list[Counted]], int] = {}
    finished: SimpleQueue[Future[list[Counted]]] = SimpleQueue()

    def start() -> None:
        for k in waiting:
            future = executor.submit(count_jobs, jobs[k : k + together])
            running[future] = k
            future.add_done_callback(finished.put)
            return

    try:
        for _ in range(IN_FLIGHT // together):
            start()
        while running:
            future = finished.get()
            first, results = running.pop(future), future.result()
            start()
            for k, counted in enumerate(results, first):
                yield k, counted if journal is None or counted.fault else _kept(journal, jobs[k].key, counted)
    finally:
        for future in running:
            future.cancel()


def _kept(journal: Journal, key: str, counted: Counted) -> Counted:
    """Keep an image's counts in the journal, or take them from there where they are known."""
    if counted.counts is None:
        counts, overlaps = journal.counts(key)
        return replace(counted, counts=counts, overlaps=overlaps)
    journal.add(key, counted.kept_as, counted.counts, counted.overlaps)
    return counted
