"""Checks a data set, and predictions for it, before anything is scored: all faults at once, and what is probably meant.

Reading and counting already say what is wrong with each file. Here they go on after a fault with all that is sound, and
what they tell is collected by kind, with what only shows in the whole: see `rules`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.checkup import alike, rules, walk
from panoptic_eval.checkup.facts import UNKNOWN, Facts, facts_of, joined
from panoptic_eval.checkup.findings import Finding, Findings
from panoptic_eval.datasets import find, ground_truth, sign_of
from panoptic_eval.errors import InputError
from panoptic_eval.files import is_file
from panoptic_eval.labels import ImageId, LabelMaps, Listed, find_segments
from panoptic_eval.pairs.instances import detections_table
from panoptic_eval.pairs.table import PairTable, concatenate
from panoptic_eval.predictions import Predictions, read_predictions
from panoptic_eval.rules import CategoryIds
from panoptic_eval.shapes import Int
from panoptic_eval.suspicions import categories_missed, detections_missed, exchanged, suspicions

SAMPLE = 2000
"""Images whose pair tables are kept, for what only shows in many of them together."""


@dataclass(frozen=True)
class Side:
    """What one side is, and its numbers."""

    source: str
    """What was recognized, for people."""
    because: str
    """Files that it was recognized by."""
    maps: LabelMaps
    facts: Facts | None
    """None where no image could be read."""


@dataclass(frozen=True)
class Checkup:
    """Everything that was found out."""

    gt: Side | None
    """None where nothing could be read, as for `pred`."""
    pred: Side | None
    findings: tuple[Finding, ...]
    """Errors first."""

    @property
    def errors(self) -> int:
        """Number of kinds of errors: with none the input can be scored."""
        return sum(finding.severity == "error" for finding in self.findings)


def check(
    gt: Path | str,
    pred: Path | str | None = None,
    *,
    root: Path | str | None = None,
    split: str | None = None,
    version: str | None = None,
    folder: Path | str | None = None,
    things: Sequence[str | int | Path] = (),
    pred_folder: Path | str | None = None,
    divisor: int = 1000,
    category_ids: CategoryIds = "auto",
    workers: int | None = None,
    progress: bool = False,
) -> Checkup:
    """Check a ground truth, and predictions for it if they are given; raises nothing for bad files.

    Args:
        gt, root, split, version, folder, things: as for `ground_truth`.
        pred, pred_folder, divisor, category_ids: as for `read_predictions`, whose `folder` is pred_folder.
        workers: threads; as many as there are cores if not given.
        progress: whether to show a bar.
    """
    findings = Findings()
    read = _read_gt(gt, root, split, version, folder, things, findings)
    if read is None:
        return Checkup(None, None, findings.sorted())
    predictions = None if pred is None else _read_pred(pred, read, pred_folder, divisor, category_ids, findings)
    theirs = None if predictions is None else predictions.panoptic
    maps, theirs = _with_unknown(_sound(read, 1), None if theirs is None else _sound(theirs, 0))
    with ExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(workers or os.cpu_count() or 1))
        of_pred = () if predictions is None else predictions.panoptic.maps
        given = frozenset(m.image_id for m in of_pred or read.maps)  # that there is none of any image was told
        gt_facts, pred_facts, sample = _walk(maps, theirs, given, executor, findings, progress)
        unknown = (sample is None) or (maps.catalogue.ids[sample.pred.category] == UNKNOWN).any()
        if predictions is not None and sample is not None and pred_facts is not None and not unknown:
            _suspect(sample, predictions, read, maps, executor, findings, progress)
    if gt_facts is not None:
        rules.of_gt(gt_facts, maps.catalogue, findings)
    if gt_facts is not None and pred_facts is not None:
        rules.of_pred(pred_facts, gt_facts, maps.catalogue, findings)
    here = Side(maps.source, sign_of(gt, root, folder), maps, gt_facts)
    there = None if theirs is None else Side(theirs.source, _layout(theirs), theirs, pred_facts)
    return Checkup(here, there, findings.sorted())


def _read_gt(
    gt: Path | str,
    root: Path | str | None,
    split: str | None,
    version: str | None,
    folder: Path | str | None,
    things: Sequence[str | int | Path],
    findings: Findings,
) -> LabelMaps | None:
    """Read a ground truth as far as it can be read; None if not at all."""
    try:
        maps = ground_truth(gt, root=root, split=split, version=version, folder=folder, things=things)
    except InputError as error:
        findings.extend("gt", error)
        if isinstance(error.read, LabelMaps):
            return error.read
        try:  # without what says which categories are things
            return find(gt, root, split, version, folder, "optional")
        except InputError as again:
            return again.read if isinstance(again.read, LabelMaps) else None
    for oddity in maps.oddities:
        findings.add("warning", "gt", oddity.kind, oddity.places or None)
    return maps


def _read_pred(
    pred: Path | str,
    gt: LabelMaps,
    folder: Path | str | None,
    divisor: int,
    category_ids: CategoryIds,
    findings: Findings,
) -> Predictions | None:
    """Read predictions as far as they can be read; None if not at all."""
    try:
        predictions = read_predictions(pred, gt, folder=folder, divisor=divisor, category_ids=category_ids)
    except InputError as error:
        findings.extend("pred", error)
        return error.read if isinstance(error.read, Predictions) else None
    for oddity in predictions.oddities:
        findings.add("warning", "pred", oddity.kind, oddity.places or None)
    return predictions


def _layout(maps: LabelMaps) -> str:
    """Say how the ids of predictions get their meaning."""
    return "a panoptic JSON lists the segments" if isinstance(maps.meaning, Listed) else "each id holds its category"


def _sound(maps: LabelMaps, least_id: int) -> LabelMaps:
    """Leave out images whose PNG is not there, and entries whose id no segment can have: all of that was told."""
    there = np.array([m.content is not None or is_file(m.png) for m in maps.maps], bool)
    chosen = tuple(m for m, is_there in zip(maps.maps, there.tolist(), strict=True) if is_there)
    if not isinstance(maps.meaning, Listed):
        return replace(maps, maps=chosen)
    listed = maps.meaning
    position = np.cumsum(there) - 1
    fits = (listed.id >= least_id) & (listed.id < 1 << 32)
    rows = np.flatnonzero(there[listed.image] & fits) if len(there) else np.empty(0, np.int64)
    _, first = np.unique((listed.image[rows] << 33) + listed.id[rows], return_index=True)
    listed = listed.take(rows[np.sort(first)])
    return replace(maps, maps=chosen, meaning=replace(listed, image=position[listed.image]))


def _with_unknown(gt: LabelMaps, pred: LabelMaps | None) -> tuple[LabelMaps, LabelMaps | None]:
    """Give segments without a known category one of their own, so that their pixels keep a meaning."""
    sides = [side.meaning for side in (gt, pred) if side is not None and isinstance(side.meaning, Listed)]
    if not any((listed.category < 0).any() for listed in sides):
        return gt, pred
    catalogue = Catalogue((*gt.catalogue.categories, Category(UNKNOWN, "of no known category", False)))

    def named(side: LabelMaps) -> LabelMaps:
        meaning = side.meaning
        if isinstance(meaning, Listed):
            meaning = replace(meaning, category=np.where(meaning.category < 0, len(catalogue) - 1, meaning.category))
        return replace(side, catalogue=catalogue, meaning=meaning)

    return named(gt), None if pred is None else named(pred)


def _walk(
    gt: LabelMaps,
    pred: LabelMaps | None,
    given: frozenset[ImageId],
    executor: Executor,
    findings: Findings,
    progress: bool,
) -> tuple[Facts | None, Facts | None, PairTable | None]:
    """Look at all images; returns the facts of both sides, and the pair table of the first images.

    Args:
        gt, pred: both sides, sound.
        given: images of which there is a prediction, though perhaps not a sound one, which was told.
        executor: reads the files.
        findings: gets what is found.
        progress: whether to show a bar.
    """
    facts: dict[str, list[Facts]] = {"gt": [], "pred": []}
    kept: list[PairTable] = []
    digests: dict[str, list[str]] = {"gt": [], "pred": []}
    grids: list[Int[np.ndarray, "i g"]] = []
    with tqdm(total=len(gt.maps), unit="image", disable=not progress, leave=False) as bar:
        for chunk in walk.chunks(gt, pred or walk.no_predictions(gt), executor):
            rules.of_chunk(chunk, gt, pred, given, findings)
            table = chunk.table
            if len(table):
                kinds = [s.gt.kind for s in chunk.seen if s.gt]
                facts["gt"].append(facts_of(table, table.gt, np.arange(len(table)), kinds))
            predicted = np.array([k for k, files in enumerate(table.files) if files.pred is not None], np.int64)
            if len(predicted):
                kinds = [s.pred.kind for s in chunk.seen if s.pred and s.fits]
                facts["pred"].append(facts_of(table, table.pred, predicted, kinds))
            if sum(map(len, kept)) < SAMPLE and len(table):
                kept.append(table)
            grids.append(_categories(chunk))
            digests["gt"] += [s.gt.digest if s.gt else "" for s in chunk.seen]
            digests["pred"] += [s.pred.digest if s.pred else "" for s in chunk.seen]
            bar.update(len(chunk.seen))
    copies = alike.equal(digests["gt"])
    rules.same("gt", gt.maps, copies, findings)
    if grids:
        again = {b for _, b in copies}
        near = [(a, b) for a, b in alike.near(np.concatenate(grids)) if b not in again]
        rules.alike(gt.maps, near, findings)
    if pred is not None:
        of_image = {m.image_id: m for m in pred.maps}
        rules.same("pred", [of_image.get(m.image_id, m) for m in gt.maps], alike.equal(digests["pred"]), findings)
    gt_facts, pred_facts = (joined(parts) if parts else None for parts in facts.values())
    return gt_facts, pred_facts, concatenate(kept) if kept else None


def _categories(chunk: walk.Chunk) -> Int[np.ndarray, "i g"]:
    """Return the category of each compared pixel of the ground truth's images; -1 for void, -2 for an unread image."""
    grids = np.full((len(chunk.seen), walk.GRID**2), -2, np.int64)
    gt = chunk.table.gt
    for k, at in enumerate(chunk.at):
        png = chunk.seen[at].gt
        if png is not None and png.ids.palette is None:
            ids = png.grid.reshape(-1).astype(np.int64)
            row = find_segments(gt.image, gt.id, np.full(len(ids), k), ids)
            grids[at] = np.append(gt.category, -1)[row]
    return grids.astype(np.int16)


def _suspect(
    sample: PairTable,
    predictions: Predictions,
    read: LabelMaps,
    sound: LabelMaps,
    executor: Executor,
    findings: Findings,
    progress: bool,
) -> None:
    """Add what the pixels of the first images say about predictions that are probably not meant so.

    Args:
        sample: pair table of the first images.
        predictions: read against `read`.
        read: the ground truth.
        sound: its images whose PNGs are there.
        executor, findings, progress: as for `_walk`.
    """
    told = list(suspicions(sample))
    if predictions.semantic is not None:
        semantic = Findings()
        *_, maps = _walk(sound, _sound(predictions.semantic, 1), frozenset(), executor, semantic, progress)
        for finding in semantic.sorted():
            if finding.side == "pred" and finding.severity == "error":
                findings.add("error", "pred", f"semantic maps: {finding.kind}", finding.examples)
        told += [] if maps is None else [f"semantic maps: {text}" for text in categories_missed(maps)]
    detections = predictions.instances
    if detections is not None:
        found = detections_table(sample, read, detections, [None] * len(sample))
        told += detections_missed(replace(found, has_masks=False))  # boxes say as much here, and cost little
        if len(detections.score) >= rules.ENOUGH and len(np.unique(detections.score)) == 1:
            told.append(f"detections: all {len(detections.score)} scores are {detections.score[0]:g}")
    for text in told:
        findings.add("warning", "pred", text)
    findings.add(
        "warning",
        "pred",
        "predicted [category lies|categories lie] mostly on another one of the ground truth: exchanged numbers?",
        exchanged(sample),
    )
