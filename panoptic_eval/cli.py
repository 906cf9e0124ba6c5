"""The `panoptic-eval` command."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from panoptic_eval import __version__
from panoptic_eval.counting import count
from panoptic_eval.datasets import ground_truth
from panoptic_eval.datasets.numbering import CategoryIds
from panoptic_eval.errors import SHOWN, InputError
from panoptic_eval.evaluation import load, merge, rescore, store
from panoptic_eval.outputs import csv, markdown
from panoptic_eval.pairs import slow_because
from panoptic_eval.predictions import read_predictions
from panoptic_eval.rules import Rules
from panoptic_eval.run_folder import RunFolder
from panoptic_eval.score import Tables
from panoptic_eval.text import abbreviated, printable


@dataclass(frozen=True)
class Score(Rules):
    """Score a directory of panoptic predictions: PQ, PQ†, PC, mIoU, box and mask AP, and AP per size percentile.

    The tables of several shards are joined by:  panoptic-eval merge SHARD SHARD ... --out DIR
    Two runs that were stored with --out are compared by:  panoptic-eval compare A B
    """

    pred: Path | None = None
    """Holds panoptic.json and panoptic/*.png; other layouts are recognized."""
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
    gt_version: Literal["1.2", "2.0"] | None = None
    """Of Mapillary Vistas."""
    divisor: int = 1000
    """Of 16-bit predictions without JSON: category * divisor + instance."""
    category_ids: CategoryIds = "auto"
    """How predictions number categories. id: as the data set. position: 0, 1, 2, … in the order of the ground truth's
    categories. label: one less than the id, as Mapillary's own files. trainId: of Cityscapes. auto: by the names that
    the predictions' JSON gives, else id (of Cityscapes: the one that fits)."""
    gt_folder: Path | None = None
    """Folder of the ground truth's PNGs, if they are not in the folder named like its JSON."""
    pred_folder: Path | None = None
    """Folder of the predictions' PNGs, if they are not in the folder named like their JSON."""
    things: tuple[str, ...] = ()
    """Names or ids of the categories that are things, or a JSON of categories, if the ground truth does not say so."""
    strict: bool = False
    """Stop with an error where there would be a warning about the input."""
    missing: Literal["error", "empty", "skip"] = "error"
    """What an image without prediction is: an error, all void, or left out."""
    workers: int | None = None
    """Threads; as many as cores if not given."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers see the same paths, instead of threads."""
    shard: str | None = None
    """i/n, from 1/n to n/n: count only this part of the images, and store its tables in --out for merge."""
    per_category: bool = False
    """Print a row for each category."""
    quiet: bool = False
    """No progress bar."""

    def check(self) -> None:
        """Say what is wrong with the options, before anything is counted."""
        super().check()
        if self.workers is not None and self.workers < 1:
            raise InputError(f"--workers {self.workers}: expected 1 or more")
        _shard(self.shard)


@dataclass(frozen=True)
class Merge(Rules):
    """Join the tables of all shards of a run, and score them."""

    shards: tyro.conf.Positional[tuple[Path, ...]] = ()
    """The folders that --shard wrote, in any order."""
    out: Path | None = None
    """Gets report.json, CSV files and the pair tables."""
    per_category: bool = False
    """Print a row for each category."""


@dataclass(frozen=True)
class Compare(Rules):
    """Differences of all scores of two stored runs, with 95 % intervals: paired bootstrap over images."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Two folders that --out wrote."""
    resamples: int = 2000
    """Sets of images drawn with replacement."""
    seed: int = 0
    """Of the draw."""
    out: Path | None = None
    """Gets the table as CSV: fractions."""

    def check(self) -> None:
        """Say what is wrong with the options, before anything is read."""
        super().check()
        if len(self.runs) != 2:
            raise InputError(f"compare takes two runs; {len(self.runs)} are given")
        for name, value, least in (("resamples", self.resamples, 1), ("seed", self.seed, 0)):
            if value < least:
                raise InputError(f"--{name} {value}: expected {least} or more")


def main(arguments: list[str] | None = None) -> None:
    """Run the command; exits with 1 and a list of faults if the input cannot be scored."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"panoptic-eval {__version__}")
        return
    commands: dict[str, tuple[type[Rules], Callable[[Any], str]]] = {
        "merge": (Merge, _merge),
        "compare": (Compare, _compare),
    }
    name = arguments[0] if arguments[:1] and arguments[0] in commands else ""
    options_type, command = commands.get(name, (Score, _score))
    run: Any = tyro.cli(options_type, args=arguments[1:] if name else arguments, prog=f"panoptic-eval {name}".strip())
    try:
        run.check()
        result = command(run)
    except InputError as error:
        sys.exit(f"panoptic-eval: {_shown(str(error))}")
    except OSError as error:
        name = "" if error.filename is None else f"{printable(abbreviated(str(error.filename)))}: "
        sys.exit(f"panoptic-eval: {name}{error.strerror or error}")
    except KeyboardInterrupt:
        again = "; the same command goes on where it stopped" if run.out else ""
        print(f"panoptic-eval: interrupted{again}", file=sys.stderr)
        sys.exit(130)
    _print(_shown(result))


def _shown(text: str) -> str:
    """Make lines printable: names in them come from files."""
    return "\n".join(map(printable, text.split("\n")))


def _print(text: str) -> None:
    """Print the result; leave quietly where nobody reads on, as other tools do."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what a terminal cannot show must not lose a run of hours
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # which Python flushes again when it leaves
        if isinstance(error, BrokenPipeError):
            sys.exit(141)  # as killed by SIGPIPE
        sys.exit(f"panoptic-eval: standard output: {error.strerror}")


def _protocol(options: Rules) -> Rules:
    return Rules(**{name: getattr(options, name) for name in Rules.__dataclass_fields__})


def _merge(options: Merge) -> str:
    with _claimed(options.out) as out:
        return _finish(merge([load(folder) for folder in options.shards]), options, out)


def _compare(options: Compare) -> str:
    import numpy as np

    from panoptic_eval.compare import compare

    a, b = (load(folder) for folder in options.runs)
    rng = np.random.default_rng(options.seed)
    result = compare(a, b, rng=rng, resamples=options.resamples, rules=_protocol(options))
    if options.out is not None:
        csv.write_rows([vars(d) for d in (*result.scores, *result.categories)], options.out)
    first, second = map(str, options.runs)
    head = f"a: {first}\nb: {second}\n{len(a.panoptic)} images, scores in percent\n\n"
    return head + markdown.comparison(result, "a", "b")


def _score(options: Score) -> str:
    if options.pairs is not None:
        if options.pred is not None or options.gt is not None:
            raise InputError("--pairs takes the place of --pred and --gt; give the one or the others")
        with _claimed(options.out) as out:
            return _finish(load(options.pairs), options, out)
    if options.pred is None or options.gt is None:
        raise InputError("--pred and --gt are needed (or --pairs, to score again)")
    if options.shard is not None and options.out is None:
        raise InputError("--shard needs --out, where its tables are stored for merge")
    if reason := slow_because():
        print(f"panoptic-eval: {reason}", file=sys.stderr)
    with ExitStack() as stack:
        out = stack.enter_context(_claimed(options.out))
        gt = ground_truth(
            options.gt,
            root=options.root,
            split=options.split,
            version=options.gt_version,
            folder=options.gt_folder,
            things=options.things,
        )
        tables = count(
            read_predictions(
                options.pred,
                gt,
                folder=options.pred_folder,
                divisor=options.divisor,
                category_ids=options.category_ids,
            ),
            gt,
            missing=options.missing,
            strict=options.strict,
            shard=_shard(options.shard),
            out=out,
            executor=None if options.dask is None else _dask(options.dask, stack),
            workers=options.workers,
            progress=not options.quiet,
        )
        if options.shard is None or out is None:
            return _finish(tables, options, out)
        store(None, tables, out)
    return f"shard {options.shard}: {len(tables.panoptic)} images, stored in {options.out} for panoptic-eval merge"


def _claimed(out: Path | None) -> AbstractContextManager[RunFolder | None]:
    """The folder of --out, for this run alone; None without --out."""
    return nullcontext() if out is None else RunFolder(out)


def _finish(tables: Tables, options: Score | Merge, out: RunFolder | None) -> str:
    """Score tables, store them if asked to, and say what to print."""
    report = rescore(tables, _protocol(options))
    if out is not None:
        store(report, tables, out)
    about = report.provenance
    missing = report.protocol["missing_images"]
    done_to = {"empty": "count as predicted void", "skip": "are left out"}.get(report.protocol["missing"])
    images = f"{report.images} images" + (f" ({missing} without prediction {done_to})" if missing else "")
    head = [f"gt:   {about['gt']}", f"pred: {about['pred']}", f"{images}, scores in percent"]
    notes = [f"warning: {w}" for w in report.warnings[:SHOWN]]
    if len(report.warnings) > SHOWN:
        notes.append(f"… and {len(report.warnings) - SHOWN} more warnings; report.json has them all")
    notes += [f"undefined (–): {name}: {why}" for name, why in report.undefined.items()]
    return "\n".join([*head, "", markdown.report(report, per_category=options.per_category), "", *notes]).rstrip()


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    part, slash, total = text.partition("/")
    if not (slash and part.isdecimal() and total.isdecimal() and len(text) < 20 and 1 <= int(part) <= int(total)):
        raise InputError(f"--shard {abbreviated(text)}: expected i/n from 1/n to n/n, such as 1/4")
    return int(part), int(total)


def _dask(address: str, stack: ExitStack) -> Executor:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--dask needs the extra:  pip install 'panoptic-eval[dask]'") from error
    try:
        client = stack.enter_context(Client(address, timeout=10))
    except (OSError, ValueError) as error:
        raise InputError(f"--dask {address}: no scheduler answers there ({error})") from error
    executor: Executor = client.get_executor()
    return executor


if __name__ == "__main__":
    main()
