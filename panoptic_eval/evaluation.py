"""Scores predictions: two folders, or tables that were counted before, to a report and the files of a run."""

from __future__ import annotations

import hashlib
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from panoptic_eval.counting import count
from panoptic_eval.errors import InputError
from panoptic_eval.labels import LabelMaps
from panoptic_eval.pairs.table import Missing, Origin, concatenate
from panoptic_eval.predictions import Predictions
from panoptic_eval.provenance import environment
from panoptic_eval.report import Report
from panoptic_eval.rules import DEFAULT, Rules
from panoptic_eval.score import Tables, score

if TYPE_CHECKING:  # what only some runs need is imported there: most processes that score live for less than a second
    from panoptic_eval.run_folder import RunFolder


def evaluate(
    pred: Path | str | Predictions,
    gt: Path | str | LabelMaps,
    *,
    missing: Missing = "error",
    strict: bool = False,
    boundary: float = 0.0,
    rules: Rules = DEFAULT,
    out: Path | str | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Score a directory of panoptic predictions.

    Args:
        pred: what `read_predictions` returned, or a path for it.
        gt: what `ground_truth` returned, or a path or name for it.
        missing: what an image without prediction is: an error, all void, or left out.
        strict: whether what is odd about the input, else a warning, is a fault.
        boundary: distance up to which a pixel is near the boundary of its segment, in diagonals of the image, for
            boundary PQ and AP; 0 for none.
        rules: every choice that changes a number.
        out: gets the report, tables and the pair tables; an interrupted run with the same `out` goes on.
        executor: walks the images; threads, as many as `workers`, if not given.
        workers: as many as there are cores if not given.
        progress: whether to show a bar.

    Raises:
        InputError: every fault that was found in the input.
    """
    with ExitStack() as stack:
        folder = None
        if out is not None:
            from panoptic_eval.run_folder import opened

            folder = stack.enter_context(opened(out))
        tables = count(
            pred,
            gt,
            missing=missing,
            strict=strict,
            boundary=boundary,
            out=folder,
            executor=executor,
            workers=workers,
            progress=progress,
        )
        report = rescore(tables, rules)
        if folder is not None:
            store(report, tables, folder)
    return report


def rescore(
    tables: Tables,
    rules: Rules = DEFAULT,
    *,
    resamples: int = 0,
    seed: int = 0,
    groups: str | Path | None = None,
    slices: Path | str | None = None,
) -> Report:
    """Report the scores of tables that were counted before, perhaps with other rules.

    Args:
        tables: of a run.
        rules: every choice that changes a number.
        resamples: sets of images drawn for the 95 % intervals; no intervals if 0.
        seed: of the draw.
        groups: of categories: "supercategory", or a CSV file, as for `category_groups`.
        slices: CSV file with attributes of images, as for `read_attributes`.

    Raises:
        InputError: the tables hold no image; or as for the readers of groups and slices.
    """
    table = tables.panoptic
    if not len(table):
        raise InputError("none of the images has a prediction: nothing is left to score")
    files = "\n".join(f"{i!r} {d}" for i, d in zip(table.image_id, table.digest, strict=True))
    provenance = {
        **environment(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": sys.argv,
        **{name: getattr(table.origin, name) for name in ("gt", "pred", "reference_images", "path")},
        "fingerprint": hashlib.sha256(files.encode()).hexdigest(),
    }
    warnings = list(dict.fromkeys(w for t in vars(tables).values() if t is not None for w in t.origin.warnings))
    members, attributes = None, None
    if groups is not None:
        from panoptic_eval.groups import category_groups

        members = category_groups(table.catalogue, groups)
    if slices is not None:
        from panoptic_eval.slices import read_attributes, slice_rows

        attributes = read_attributes(Path(slices), table.image_id)
    report = score(
        tables, rules, resamples=resamples, seed=seed, provenance=provenance, warnings=warnings, groups=members
    )
    if attributes is None:
        return report
    return replace(report, slices=slice_rows(tables, attributes, rules, resamples=resamples, seed=seed))


def store(report: Report | None, tables: Tables, out: RunFolder | Path | str) -> None:
    """Replace the results in a folder by these, all of them or none.

    Args:
        report: of the tables; None for those of a shard, whose folder must not look like a whole run's.
        tables: of the run.
        out: its folder; results of an earlier run are removed.

    Raises:
        InputError: the folder cannot be written to, is another run's at the moment, or holds files of another program.
    """
    from panoptic_eval.outputs import csv, json
    from panoptic_eval.pairs import stored
    from panoptic_eval.run_folder import REPORT, opened

    with opened(out) as folder:
        content = stored.pack({name: t for name, t in vars(tables).items() if t is not None}, folder.path)

        def write(staged: Path) -> None:
            (staged / stored.NAME).write_bytes(content)
            if report is not None:
                csv.write(report, staged)
                csv.write_segments(tables.panoptic, staged / "segments.csv")
                json.write(report, staged / REPORT)

        folder.replace(write)


def load(out: Path | str) -> Tables:
    """Read the tables that an evaluation with `out` stored.

    Raises:
        InputError: there are none, or they are damaged.
    """
    from panoptic_eval.pairs import stored

    return Tables(**stored.load(Path(out) / stored.NAME))


def merge(shards: Sequence[Tables]) -> Tables:
    """Return the tables of all shards as one run would have made them, whatever the order they are given in.

    Raises:
        InputError: a shard is missing, there twice, or of another run.
    """
    origins = [tables.panoptic.origin for tables in shards]
    total = origins[0].shard[1] if origins else 0
    given = Counter(origin.shard for origin in origins)
    faults = [
        f"shard {k}/{total} is given {given[k, total]} times; expected every shard of {total} once"
        for k in range(1, total + 1)
        if given[k, total] != 1
    ]
    faults += [f"shard {k}/{n} is of another run; expected shards of {total}" for k, n in given if n != total]
    for name in ("gt", "pred", "missing", "boundary"):
        values = sorted({str(getattr(origin, name)) for origin in origins})
        if len(values) > 1:
            faults.append(f"the shards differ in {name}: {', '.join(values)}; expected those of one run")
    if faults or not shards:
        raise InputError(faults or "there is no shard to merge; expected the folders that --shard wrote")
    shards = [tables for _, tables in sorted(zip(origins, shards, strict=True), key=lambda pair: pair[0].shard)]
    merged = {}
    for name in vars(shards[0]):
        parts = [t for tables in shards if (t := getattr(tables, name)) is not None]
        if parts and len(parts) < len(shards):
            raise InputError(f"{len(parts)} of {len(shards)} shards have {name} predictions; expected all or none")
        if parts:
            merged[name] = replace(concatenate(parts), origin=_of_all([t.origin for t in parts]))
    return Tables(**merged)


def _of_all(origins: Sequence[Origin]) -> Origin:
    """Return the origin of a run, from those of its shards in order."""
    return replace(
        origins[0],
        shard=(1, 1),
        missing_images=sum(o.missing_images for o in origins),
        reference_images=sum(o.reference_images for o in origins),
        warnings=tuple(w for o in origins for w in o.warnings),
        path=", ".join(sorted({o.path for o in origins})),
    )
