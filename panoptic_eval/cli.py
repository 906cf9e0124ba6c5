"""The `panoptic-eval` command."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from panoptic_eval import tables
from panoptic_eval.errors import InputError
from panoptic_eval.evaluate import evaluate, load, rescore, store
from panoptic_eval.score import Protocol


@dataclass(frozen=True)
class Score(Protocol):
    """Score a directory of panoptic predictions: PQ, PQ†, PC, mIoU, box and mask AP, and AP per size percentile."""

    pred: Path | None = None
    """Holds panoptic.json and panoptic/*.png; other layouts are recognised."""
    gt: str | None = None
    """mvd, idd, cityscapes, coco (below --root or $PANOPTIC_DATA), or the path of a ground truth."""
    pairs: Path | None = None
    """Instead of --pred and --gt: score again what an earlier run stored with --out, without the images."""
    out: Path | None = None
    """Gets report.json, CSV files and the pair tables; an interrupted run with the same --out goes on."""
    root: Path | None = None
    """Where the data sets are."""
    split: str | None = None
    """In the data set's own word; validation if not given."""
    version: Literal["1.2", "2.0"] | None = None
    """Of Mapillary Vistas."""
    divisor: int = 1000
    """Of 16-bit predictions without JSON: category * divisor + instance."""
    category_ids: Literal["auto", "id", "trainId"] = "auto"
    """Which ids Cityscapes predictions use."""
    missing: Literal["error", "empty", "skip"] = "error"
    """What an image without prediction is: an error, all void, or left out."""
    workers: int | None = None
    """Threads; as many as cores if not given."""
    per_category: bool = False
    """Print a row for each category."""
    quiet: bool = False
    """No progress bar."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command; exits with 1 and a list of faults if the input cannot be scored."""
    options = tyro.cli(Score, args=arguments, prog="panoptic-eval")
    try:
        print(_score(options))
    except InputError as error:
        sys.exit(f"panoptic-eval: {error}")
    except KeyboardInterrupt:
        again = "; the same command goes on where it stopped" if options.out else ""
        sys.exit(f"panoptic-eval: interrupted{again}")


def _score(options: Score) -> str:
    protocol = Protocol(**{name: getattr(options, name) for name in Protocol.__dataclass_fields__})
    if options.pairs is not None:
        if options.pred is not None or options.gt is not None:
            raise InputError("--pairs takes the place of --pred and --gt; give the one or the others")
        stored = load(options.pairs)
        report = rescore(stored, protocol)
        if options.out is not None:
            store(report, stored, options.out)
    else:
        if options.pred is None or options.gt is None:
            raise InputError("--pred and --gt are needed (or --pairs, to score again)")
        report = evaluate(
            options.pred,
            options.gt,
            root=options.root,
            split=options.split,
            version=options.version,
            divisor=options.divisor,
            category_ids=options.category_ids,
            missing=options.missing,
            protocol=protocol,
            out=options.out,
            workers=options.workers,
            progress=not options.quiet,
        )
    about = report.provenance
    head = [f"gt:   {about.get('gt')}", f"pred: {about.get('pred')}", f"{report.images} images, scores in per cent"]
    notes = [f"warning: {w}" for w in report.warnings]
    notes += [f"undefined (–): {name}: {why}" for name, why in report.undefined.items()]
    return "\n".join([*head, "", tables.markdown(report, per_category=options.per_category), "", *notes]).rstrip()
