"""Walks the images, over any executor: two folders in, a report out."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from panoptic_eval import tables as output
from panoptic_eval.datasets import find
from panoptic_eval.errors import InputError, PngError
from panoptic_eval.labels import LabelMap, LabelMaps
from panoptic_eval.pairs import table as pair_table
from panoptic_eval.pairs.build import build
from panoptic_eval.pairs.counts import IdCounts, Ids
from panoptic_eval.pairs.journal import Journal
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.predictions import Predictions, read
from panoptic_eval.report import Report
from panoptic_eval.report import write as write_report
from panoptic_eval.score import Protocol, Tables, score

Missing = Literal["error", "empty", "skip"]


def evaluate(
    pred: Path | str | Predictions,
    gt: Path | str | LabelMaps,
    *,
    root: Path | None = None,
    split: str | None = None,
    version: str | None = None,
    divisor: int = 1000,
    category_ids: Literal["auto", "id", "trainId"] = "auto",
    missing: Missing = "error",
    protocol: Protocol = Protocol(),  # noqa: B008 (frozen)
    out: Path | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Score a directory of panoptic predictions.

    Args:
        pred: holds panoptic.json and panoptic/*.png, or another layout that `predictions.read` knows.
        gt: mvd, idd, cityscapes, coco (below `root` or $PANOPTIC_DATA), or the path of a ground truth.
        root: where the data sets are.
        split: training, validation or test, in the data set's own word; the validation split if not given.
        version: of Mapillary Vistas: 1.2 or 2.0.
        divisor: of 16-bit predictions without JSON: category * divisor + instance.
        category_ids: of Cityscapes predictions.
        missing: what an image without prediction is: an error, all void, or left out.
        protocol: every choice that changes a number.
        out: gets the report, tables and the pair tables; an interrupted run with the same `out` goes on.
        executor: walks the images; threads, as many as `workers`, if not given.
        workers: as many as there are cores if not given.
        progress: whether to show a bar.

    Raises:
        InputError: every fault that was found in the input.
    """
    tables, warnings = count(
        pred,
        gt,
        root=root,
        split=split,
        version=version,
        divisor=divisor,
        category_ids=category_ids,
        missing=missing,
        out=out,
        executor=executor,
        workers=workers,
        progress=progress,
    )
    report = rescore(tables, protocol, warnings=warnings)
    if out is not None:
        store(report, tables, out)
    return report


def rescore(tables: Tables, protocol: Protocol, *, warnings: Sequence[str] = ()) -> Report:
    """The report of tables that were counted before, perhaps with other choices."""
    about = tables.panoptic.about
    provenance = {
        **_environment(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": sys.argv,
        **{key: about[key] for key in ("gt", "pred", "fingerprint") if key in about},
    }
    return score(tables, protocol, provenance=provenance, warnings=[*about.get("warnings", ()), *warnings])


def store(report: Report, tables: Tables, out: Path) -> None:
    """Write report.json, the CSV files and the pair tables; report.json last, so that it says that all is there."""
    for name, table in vars(tables).items():
        if table is not None:
            pair_table.save(table, out / "pairs" / name)
        else:
            shutil.rmtree(out / "pairs" / name, ignore_errors=True)  # of an earlier run with other inputs
    output.write_csv(report, out)
    write_report(report, out / "report.json")
    (out / "pairs.journal").unlink(missing_ok=True)


def load(out: Path) -> Tables:
    """The tables that an evaluation with `out` stored.

    Raises:
        InputError: there are none.
    """
    folder = out / "pairs"
    optional = {n: pair_table.load(folder / n) for n in ("instances", "semantic") if (folder / n).exists()}
    return Tables(pair_table.load(folder / "panoptic"), **optional)


def count(
    pred: Path | str | Predictions,
    gt: Path | str | LabelMaps,
    *,
    root: Path | None,
    split: str | None,
    version: str | None,
    divisor: int,
    category_ids: Literal["auto", "id", "trainId"],
    missing: Missing,
    out: Path | None,
    executor: Executor | None,
    workers: int | None,
    progress: bool,
) -> tuple[Tables, list[str]]:
    """The pair tables of predictions, and warnings; arguments as for `evaluate`."""
    gt_maps = gt if isinstance(gt, LabelMaps) else find(gt, root=root, split=split, version=version)
    predictions = (
        pred if isinstance(pred, Predictions) else read(Path(pred), gt_maps, divisor=divisor, category_ids=category_ids)
    )
    warnings = list(predictions.warnings)
    with ExitStack() as stack:
        if executor is None:
            executor = ThreadPoolExecutor(workers or os.cpu_count() or 1)
            stack.callback(executor.shutdown, cancel_futures=True)
        journal = None if out is None else stack.enter_context(Journal(out / "pairs.journal"))

        def walk(side: LabelMaps, what: str) -> PairTable:
            table, found = _count_side(
                gt_maps, side, what, missing=missing, executor=executor, journal=journal, progress=progress
            )
            warnings.extend(found)
            return table

        panoptic = walk(predictions.panoptic, "panoptic")
        semantic = None if predictions.semantic is None else walk(predictions.semantic, "semantic")
    instances = None
    if predictions.instances is not None:
        from panoptic_eval.pairs.instances import detections_table

        parts = _bar(detections_table(panoptic, gt_maps, predictions.instances), len(panoptic), "instances", progress)
        masks = predictions.instances.rle is not None
        instances = replace(pair_table.concatenate(list(parts)), about={**panoptic.about, "masks": masks})
    return Tables(panoptic, instances, semantic), warnings


@dataclass(frozen=True)
class Job:
    """Two files to count, `pred` None where there is no prediction."""

    key: str
    gt: LabelMap
    pred: LabelMap | None
    known: str | None
    """Digest of the files whose counts an earlier run kept."""


@dataclass(frozen=True)
class Counted:
    """What one job gave: the digest of both files, and counts or faults; neither where the digest is the known one."""

    counts: IdCounts | None
    digest: str
    faults: tuple[str, ...] = ()


def count_job(job: Job) -> Counted:
    """Read and count the two files of one image; never raises for bad files."""
    from panoptic_eval.pairs import count_pair

    contents = []
    for side, label_map in (("gt", job.gt), ("pred", job.pred)):
        if label_map is None:
            continue
        try:
            contents.append(label_map.png.read_bytes())
        except OSError as error:
            return Counted(
                None, "", (f"{side} image {label_map.image_id!r}: {label_map.png} cannot be read ({error})",)
            )
    digest = "-".join(hashlib.sha256(c).hexdigest() for c in contents)
    if digest == job.known:
        return Counted(None, digest)
    try:
        counts = count_pair(contents[0], contents[-1])
    except PngError as error:
        side, _, what = str(error).partition(": ")
        label_map = job.gt if side == "gt" or job.pred is None else job.pred
        return Counted(None, digest, (f"{side} image {job.gt.image_id!r}: {label_map.png} {what}",))
    if job.pred is None:
        counts = _without_prediction(counts)
    faults = []
    for side, label_map in (("gt", job.gt), ("pred", job.pred)):
        if label_map is not None and label_map.size not in (None, (counts.height, counts.width)):
            height, width = label_map.size  # type: ignore[misc]
            faults.append(
                f"{side} image {label_map.image_id!r}: {label_map.png} has {counts.width} x {counts.height} pixels; "
                f"expected {width} x {height}, as its JSON says"
            )
    return Counted(counts, digest, tuple(faults))


def _without_prediction(counts: IdCounts) -> IdCounts:
    """Gt's counts of itself as those of gt and nothing: every pixel is predicted void."""
    nothing = Ids(np.empty(0, np.uint32), np.empty(0, np.int64), np.empty((0, 4), np.int32))
    n = len(counts.gt.id)
    return replace(counts, pred=nothing, pair_gt=np.arange(n), pair_pred=np.full(n, -1), pair_pixels=counts.gt.area)


def _count_side(
    gt: LabelMaps,
    pred: LabelMaps,
    what: str,
    *,
    missing: Missing,
    executor: Executor,
    journal: Journal | None,
    progress: bool,
) -> tuple[PairTable, list[str]]:
    at = {m.image_id: k for k, m in enumerate(pred.maps)}
    pred_at = np.array([at.get(m.image_id, -1) for m in gt.maps], np.int64)
    gt_at = np.arange(len(gt.maps))
    without = [gt.maps[k].image_id for k in np.flatnonzero(pred_at < 0).tolist()]
    if without and missing == "error":
        raise InputError(
            [f"image {i!r} has no {what} prediction; predict it, or choose --missing empty or skip" for i in without]
        )
    if len(without) == len(gt.maps) and missing == "skip":
        raise InputError(f"none of the {len(gt.maps)} images has a {what} prediction: nothing is left to score")
    if missing == "skip":
        gt_at, pred_at = gt_at[pred_at >= 0], pred_at[pred_at >= 0]
    jobs = []
    for g, p in zip(gt_at.tolist(), pred_at.tolist(), strict=True):
        key = f"{what} {gt.maps[g].image_id!r}"
        known = None if journal is None else journal.digest(key)
        jobs.append(Job(key, gt.maps[g], pred.maps[p] if p >= 0 else None, known))
    finished = _bar(_run(executor, jobs, journal), len(jobs), what, progress)
    done = [counted for _, counted in sorted(finished, key=lambda result: result[0])]
    faults = [fault for c in done for fault in c.faults]
    if faults:
        raise InputError(faults)
    fingerprint = hashlib.sha256(
        "\n".join(f"{j.gt.image_id!r} {c.digest}" for j, c in zip(jobs, done, strict=True)).encode()
    )
    about = {
        "gt": gt.source,
        "pred": pred.source,
        "fingerprint": fingerprint.hexdigest(),
        "choices": {"missing": missing, "missing_images": len(without)},
    }
    counts = [c.counts for c in done if c.counts is not None]
    table, faults, warnings = build(gt, pred, gt_at, pred_at, counts, about=about)
    if faults:
        raise InputError(faults)
    return replace(table, about={**about, "warnings": warnings}), []


def _run(executor: Executor, jobs: Sequence[Job], journal: Journal | None) -> Iterator[tuple[int, Counted]]:
    """Results with their position, as they finish; few jobs are in flight, so that an interrupt is quick."""
    waiting = iter(enumerate(jobs))
    running: dict[Future[Counted], int] = {}
    in_flight = 8 * (os.cpu_count() or 1)
    try:
        while True:
            for k, job in waiting:
                running[executor.submit(count_job, job)] = k
                if len(running) >= in_flight:
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                k, counted = running.pop(future), future.result()
                if journal is not None and not counted.faults:
                    if counted.counts is None:
                        counted = replace(counted, counts=journal.counts(jobs[k].key))
                    else:
                        journal.add(jobs[k].key, counted.digest, counted.counts)
                yield k, counted
    finally:
        for future in running:
            future.cancel()


def _bar(items: Iterable[Any], total: int, what: str, progress: bool) -> Iterator[Any]:
    from tqdm import tqdm

    yield from tqdm(items, total=total, desc=what, unit="image", disable=not progress, leave=False)


@lru_cache(maxsize=1)
def _environment() -> dict[str, Any]:
    """Versions, and the commit of the checkout that runs, if it is one."""
    import platform
    import subprocess
    from importlib.metadata import version

    here = Path(__file__).parent
    commit = None
    if (here.parent / ".git").exists():
        git = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
        commit = git.stdout.strip() or None
    names = ("numpy", "numba", "pillow", "pycocotools")
    return {
        "version": version("panoptic-eval"),
        "commit": commit,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
    }
