"""The `panoptic-eval` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import tyro
from tyro.conf import Positional, arg

from panoptic_eval import __version__
from panoptic_eval.commands.check import Check
from panoptic_eval.commands.options import (
    DATA_SETS,
    MOST,
    MOST_RESAMPLES,
    Flag,
    OptionalNumber,
    OptionalPath,
    OptionalText,
    Reading,
    Scoring,
    can_be_written,
    number,
    within,
)
from panoptic_eval.commands.plot import Plot
from panoptic_eval.commands.report import Report as ReportCommand
from panoptic_eval.commands.table import Table
from panoptic_eval.errors import SHOWN, InputError
from panoptic_eval.rules import Rules
from panoptic_eval.text import abbreviated, path_text, printable

if TYPE_CHECKING:  # what counts and scores is imported where it is used: a help text does not wait for NumPy
    from panoptic_eval.report import Report
    from panoptic_eval.run_folder import RunFolder
    from panoptic_eval.score import Tables

BOUNDARY = (
    "Compute boundary PQ and boundary AP, too, of pixels up to this share of the image's diagonal from the boundary of "
    "their segment. 0.02 is usual. 0: do not."
)
RESAMPLES = 300
"""Resamples of the intervals of one run: a few seconds for 2,000 images, and limits good to a tenth of their width."""


@dataclass(frozen=True)
class Inputs:
    """Predictions and the ground truth they are scored against."""

    pred: Annotated[Path, arg(metavar="PATH")]
    """Folder with panoptic.json and panoptic/*.png. README lists the other layouts that are recognized."""
    gt: Annotated[str, arg(metavar="NAME|PATH", help=f"Name of a data set ({DATA_SETS}), or path of a ground truth.")]


@dataclass(frozen=True)
class Counting(Scoring):
    """Rules of the scores, their size bins, and what becomes of images without prediction."""

    missing: Literal["error", "empty", "skip"] = "error"
    """If an image has no prediction: stop with an error, count all of it as predicted void, or leave it out."""
    boundary: Annotated[float, arg(metavar="RATIO", help=BOUNDARY)] = 0.0


@dataclass(frozen=True)
class Outputs:
    """Reports: what is printed and written."""

    out: OptionalPath = None
    """Folder that receives report.json, CSV files and the pair tables. The same command resumes an interrupted run."""
    html: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """File that receives the report as one HTML page, with pictures. `panoptic-eval report` makes it later."""
    json: Flag = False
    """Print report.json instead of tables."""
    per_category: Flag = False
    """Print a row for each category, too."""
    groups: OptionalText = None
    """Score groups of categories, too: supercategory for those of the data set, or a CSV file with category, group."""
    slices: OptionalPath = None
    """Score slices of images, too: a CSV file with image_id and a column for each attribute, such as weather."""
    resamples: OptionalNumber = None
    """Number of resamples for 95 % intervals, 0 for no intervals. Default: 300, or 0 without the compiled core."""
    seed: int = 0
    """Random seed of the resamples."""
    anonymous: Flag = False
    """Leave the command line and all folders out of the report."""

    def check(self) -> None:
        """Say what is wrong with the options, before anything is counted."""
        within(0, MOST_RESAMPLES, resamples=self.resamples or 0)
        within(0, MOST, seed=self.seed)
        can_be_written(html=self.html)


@dataclass(frozen=True)
class Running:
    """Threads, machines and progress; they change no score."""

    workers: OptionalNumber = None
    """Number of threads. Default: one for each core."""
    dask: OptionalText = None
    """Address of a Dask scheduler to use instead of threads. Its workers must see the same paths."""
    shard: OptionalText = None
    """Part i of n to process, such as 2/4. Its tables go to --out. `panoptic-eval merge` joins all parts."""
    quiet: Flag = False
    """Show no progress bar."""

    def check(self) -> None:
        """Say what is wrong with the options, before anything is counted."""
        if self.workers is not None:
            within(1, MOST, workers=self.workers)
        _shard(self.shard)


@dataclass(frozen=True)
class Score:
    """Score predictions: PQ, PQ†, PC, mIoU, box and mask AP, and AP for each size of object."""

    inputs: Inputs
    reading: Reading = field(default_factory=Reading)
    counting: Counting = field(default_factory=Counting)
    outputs: Outputs = field(default_factory=Outputs)
    running: Running = field(default_factory=Running)

    def run(self) -> str:
        """Count the images, and score the tables."""
        from panoptic_eval.counting import count
        from panoptic_eval.evaluation import store
        from panoptic_eval.pairs import slow_because

        for group in (self.reading, self.counting, self.outputs, self.running):
            group.check()
        shard, out = self.running.shard, self.outputs.out
        if shard is not None and (out is None or self.outputs.json or self.outputs.html):
            raise InputError(
                "--shard needs --out, where its tables wait for merge; --json and --html cannot be given with it"
            )
        if reason := slow_because():
            print(f"panoptic-eval: {reason}", file=sys.stderr)
        with ExitStack() as stack:
            folder = stack.enter_context(_claimed(out))
            gt = self.reading.ground_truth(self.inputs.gt)
            predictions = self.reading.predictions(self.inputs.pred, gt)
            tables = count(
                predictions,
                gt,
                missing=self.counting.missing,
                strict=self.reading.strict,
                boundary=self.counting.boundary,
                shard=_shard(shard),
                out=folder,
                executor=None if self.running.dask is None else _dask(self.running.dask, stack),
                workers=self.running.workers,
                progress=not self.running.quiet,
            )
            if shard is None or folder is None:
                return _finish(tables, self.counting, self.outputs, folder)
            store(None, tables, folder)
        return f"shard {shard}: {number(len(tables.panoptic), 'image')}, stored in {out} for panoptic-eval merge"


@dataclass(frozen=True)
class Rescore:
    """Score a finished run again from its saved tables, without reading images: for example with other percentiles."""

    folder: Annotated[Path, Positional, arg(metavar="RUN")]
    """Folder of the run: the one that was given to --out."""
    scoring: Scoring = field(default_factory=Scoring)
    outputs: Outputs = field(default_factory=Outputs)

    def run(self) -> str:
        """Score the tables."""
        from panoptic_eval.evaluation import load

        return _score_stored(lambda: load(self.folder), self.scoring, self.outputs)


@dataclass(frozen=True)
class Merge:
    """Join the tables of all shards of a run, and score them."""

    shards: Annotated[tuple[Path, ...], Positional, arg(metavar="SHARD", help_behavior_hint="")]
    """Folders of the shards, in any order: those that were given to --out."""
    scoring: Scoring = field(default_factory=Scoring)
    outputs: Outputs = field(default_factory=Outputs)

    def run(self) -> str:
        """Join and score."""
        from panoptic_eval.evaluation import load, merge

        return _score_stored(lambda: merge([load(shard) for shard in self.shards]), self.scoring, self.outputs)


@dataclass(frozen=True)
class Compare:
    """Compare two finished runs on the same images: differences of all scores (B - A), with 95 % intervals and p values
    of a paired bootstrap over images, and the images that got worse and better."""

    a: Annotated[Path, Positional, arg(metavar="A")]
    """Folder of the first run: the one that was given to --out."""
    b: Annotated[Path, Positional, arg(metavar="B")]
    """Folder of the second run: the one that was given to --out."""
    scoring: Scoring = field(default_factory=Scoring)
    resamples: int = 2000
    """Number of resamples of the images for intervals and p values."""
    seed: int = 0
    """Random seed of the resamples."""
    out: OptionalPath = None
    """CSV file that receives the differences of all scores, also for each category; fractions."""
    json: Flag = False
    """Print JSON instead of tables: differences of scores, of categories and of images."""
    per_category: Flag = False
    """Print a row for each score of each category, too."""

    def run(self) -> str:
        """Compare the tables."""
        import numpy as np

        from panoptic_eval.comparison import FORMAT, compare
        from panoptic_eval.evaluation import load
        from panoptic_eval.outputs import csv, markdown
        from panoptic_eval.outputs import json as json_output

        self.scoring.check()
        within(1, MOST_RESAMPLES, resamples=self.resamples)
        within(0, MOST, seed=self.seed)
        can_be_written(out=self.out)
        a, b = load(self.a), load(self.b)
        rng = np.random.default_rng(self.seed)
        result = compare(a, b, rng=rng, resamples=self.resamples, rules=self.scoring)
        if self.out is not None:
            csv.write_rows([vars(d) for d in (*result.scores, *result.categories)], self.out)
        if self.json:
            return json_output.dumps({"format": FORMAT, "a": str(self.a), "b": str(self.b), **asdict(result)})
        first, second = markdown.run_names(self.a, self.b)
        images = number(len(a.panoptic), "image")
        units = f"{images}, scores in percent; low and high: 95 % interval of the difference"
        tables = markdown.comparison(result, first, second, per_category=self.per_category)
        return "\n".join([f"{first}: {self.a}", f"{second}: {self.b}", units, "", tables])


@dataclass(frozen=True)
class Draw:
    """Draw the predictions of a finished run over their photographs, beside the ground truth. The images that cost most
    of 1 - PQ come first. Photographs may be missing."""

    folder: Annotated[Path, Positional, arg(metavar="RUN")]
    """Folder of the run: the one that was given to --out. The PNGs must still be where they were."""
    out: Annotated[Path, arg(metavar="PATH")]
    """Folder that receives one PNG for each image."""
    images: int = 20
    """Largest number of pictures."""
    label_errors: Flag = False
    """Draw what may be an error in the ground truth instead: sure predictions that none of its segments explains."""
    longest: OptionalNumber = None
    """Longer side of a panel, pixels. Default: 1600 at most for whole images, 480 for parts of them."""
    quiet: Flag = False
    """Show no progress bar."""

    def run(self) -> str:
        """Draw the images."""
        import numpy as np
        from tqdm import tqdm

        from panoptic_eval.evaluation import load
        from panoptic_eval.metrics.accounting import account_counts, image_costs
        from panoptic_eval.metrics.label_errors import candidates
        from panoptic_eval.outputs import label_error_pictures, pictures

        within(1, MOST, images=self.images, longest=1 if self.longest is None else self.longest)
        table = load(self.folder).panoptic
        if self.label_errors:
            found = candidates(table, most=self.images)
            drawn = label_error_pictures.write(table, found, self.out, longest=self.longest or 480)
            count, panels = len(found), "photograph, ground truth, prediction; the first is the surest prediction"
        else:
            worst = np.argsort(-image_costs(account_counts(table)), kind="stable")[: self.images]
            drawn = pictures.write(table, worst.tolist(), self.out, longest=self.longest or 1600)
            count, panels = len(worst), "photograph, ground truth, prediction; the first image costs most of 1 - PQ"
        paths = list(tqdm(drawn, total=count, unit="image", disable=self.quiet, leave=False))
        return f"{number(len(paths), 'picture')} in {self.out}: {panels}"


COMMANDS: dict[str, Callable[..., Any]] = {
    "score": Score,
    "rescore": Rescore,
    "merge": Merge,
    "compare": Compare,
    "draw": Draw,
    "report": ReportCommand,
    "check": Check,
    "table": Table,
    "plot": Plot,
}
HELP = """Exact and fast metrics of panoptic segmentation.

`score` is the default: panoptic-eval --pred predictions/ --gt mvd --out runs/mine
`check` looks at files before anything is scored: panoptic-eval check mvd --pred predictions/
`panoptic-eval COMMAND --help` lists the options of a command.

Exit codes: 0 done; 1 the input cannot be scored, or the output cannot be written; 2 the command is not understood;
130 interrupted; 141 nobody reads the output any more."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command; exits with 1 and a list of faults if the input cannot be scored."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # what a terminal cannot show must not lose a run of hours
    if arguments == ["--version"]:
        print(f"panoptic-eval {__version__}")
        return
    if unknown := _unknown_command(arguments):
        print(f"panoptic-eval: {_shown(unknown)}", file=sys.stderr)
        sys.exit(2)
    try:
        command: Any = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="panoptic-eval",
            description=HELP,
            args=_with_command(arguments),
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        )
        result = command.run()
        text, code = (result, 0) if isinstance(result, str) else result
    except InputError as error:
        _fail(str(error))
    except OSError as error:
        name = "" if error.filename is None else f"{path_text(error.filename)}: "
        _fail(f"{name}{error.strerror or error}")
    except MemoryError:
        _fail("there is not enough memory for this; expected fewer images at a time (--shard), or fewer --resamples")
    except KeyboardInterrupt:
        counting = _with_command(arguments)[:1] == ["score"]
        again = "; the same command goes on where it stopped" if counting and "--out" in arguments else ""
        print(f"panoptic-eval: interrupted{again}", file=sys.stderr)
        sys.exit(130)
    _print(text)
    if code:
        sys.exit(code)


def _unknown_command(arguments: list[str]) -> str | None:
    """Say what is wrong with a first word that is no command; None where there is a command, or an option."""
    if not arguments or arguments[0] in COMMANDS or arguments[0].startswith("-"):
        return None
    near = get_close_matches(arguments[0], COMMANDS, 1)
    meant = f"; did you mean {near[0]}?" if near else "; predictions are given by --pred, a ground truth by --gt"
    return f"{abbreviated(arguments[0])} is no command; expected one of {', '.join(COMMANDS)}{meant}"


def _with_command(arguments: list[str]) -> list[str]:
    """Put `score` before options without a command; --pairs RUN is another way to write `rescore RUN`."""
    if not arguments or arguments[0] in (*COMMANDS, "-h", "--help"):
        return arguments
    split = [part for a in arguments for part in (a.split("=", 1) if a.startswith("--pairs=") else [a])]
    if "--pairs" not in split:
        return ["score", *arguments]
    if given := [name for name in ("--pred", "--gt") if name in split]:
        raise InputError(f"--pairs takes the place of --pred and --gt; {' and '.join(given)} cannot be given with it")
    at = split.index("--pairs")
    rest = [part for part in (*split[:at], *split[at + 2 :]) if part != "--quiet"]  # rescoring shows no progress bar
    return ["rescore", *split[at + 1 : at + 2], *rest]


def _fail(message: str) -> NoReturn:
    sys.exit(f"panoptic-eval: {_shown(message)}")


def _shown(text: str) -> str:
    """Make lines printable: names in them come from files."""
    return "\n".join(map(printable, text.split("\n")))


def _print(text: str) -> None:
    """Print the result; leave quietly where nobody reads on, as other tools do."""
    try:
        print(_shown(text), flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # which Python flushes again when it leaves
        if isinstance(error, BrokenPipeError):
            sys.exit(141)  # as killed by SIGPIPE
        _fail(f"standard output: {error.strerror}")


def _claimed(out: Path | None) -> AbstractContextManager[RunFolder | None]:
    """Claim the folder of --out for this run alone; None without --out."""
    from panoptic_eval.run_folder import RunFolder

    return nullcontext() if out is None else RunFolder(out)


def _score_stored(read: Callable[[], Tables], scoring: Scoring, outputs: Outputs) -> str:
    """Check the options, read stored tables, score them, and return what to print."""
    scoring.check()
    outputs.check()
    with _claimed(outputs.out) as folder:
        return _finish(read(), scoring, outputs, folder)


def _finish(tables: Tables, rules: Rules, outputs: Outputs, folder: RunFolder | None) -> str:
    """Score tables, store them if asked to, and return what to print."""
    from panoptic_eval.evaluation import rescore, store
    from panoptic_eval.files import write_atomically
    from panoptic_eval.outputs import json as json_output
    from panoptic_eval.pairs import slow_because
    from panoptic_eval.report import anonymous

    resamples = (0 if slow_because() else RESAMPLES) if outputs.resamples is None else outputs.resamples
    plain = Rules(**{f.name: getattr(rules, f.name) for f in fields(Rules)})
    report = rescore(
        tables, plain, resamples=resamples, seed=outputs.seed, groups=outputs.groups, slices=outputs.slices
    )
    if outputs.anonymous:
        report = anonymous(report)
    if folder is not None:
        store(report, tables, folder)
    if outputs.html is not None:
        from panoptic_eval.outputs import html

        name = (outputs.out or outputs.html).resolve().stem
        write_atomically(outputs.html, html.page(report, tables, name=name, resamples=resamples, seed=outputs.seed))
    if outputs.json:
        return json_output.encode(report).decode().rstrip()
    return _text(report, per_category=outputs.per_category)


def _text(report: Report, *, per_category: bool) -> str:
    from panoptic_eval.outputs import markdown

    missing = report.protocol["missing_images"]
    done_to = {"empty": "count as predicted void", "skip": "are left out"}.get(report.protocol["missing"])
    images = number(report.images, "image") + (f" ({missing} without prediction {done_to})" if missing else "")
    interval = " [95 % interval over images]" if report.intervals else ""
    head = [
        f"gt:   {report.provenance['gt']}",
        f"pred: {report.provenance['pred']}",
        f"{images}, scores in percent{interval}",
    ]
    notes = [f"warning: {w}" for w in report.warnings[:SHOWN]]
    if len(report.warnings) > SHOWN:
        notes.append(f"… and {len(report.warnings) - SHOWN} more warnings; report.json has them all")
    notes += [f"undefined (–): {name}: {why}" for name, why in report.undefined.items()]
    return "\n".join([*head, "", markdown.report(report, per_category=per_category), "", *notes]).rstrip()


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
