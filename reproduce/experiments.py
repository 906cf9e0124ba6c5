"""Learning curves of training runs as a page:  python -m reproduce.experiments RUNS

RUNS is a folder in which each run has a folder of its own, as model.train writes it: metrics.jsonl and, perhaps,
config.json. Reports of its checkpoints, scored by panoptic-eval, are found as evaluated/STEP/report.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import tyro
from matplotlib.figure import Figure

from model.checkpoint_files import CONFIG
from model.train import METRICS, loss_names
from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs import json as reports
from panoptic_eval.outputs.markdown import score, table
from panoptic_eval.outputs.plots import PER_PANEL
from reproduce.figures import STYLE, WIDTH, save
from reproduce.options import ending_at_faults
from reproduce.variants import BY_NAME, title

LINES = ("-", "--", ":", "-.")
"""Line styles of the runs of a panel: those of one variant have one color."""
WINDOW = 100
"""Number of steps over which a loss is averaged."""
SCORES = {
    "PQ": ("PQ", "all"),
    "PQ_th": ("PQ", "things"),
    "PQ_st": ("PQ", "stuff"),
    "mAP": ("AP_mask", "AP"),
    "box AP": ("AP_box", "AP"),
}
"""Columns of the table, and the scores in a report."""
EVALUATION = "evaluation.jsonl"
"""File of a run with the scores of the networks that it kept, as `reproduce.evaluation` writes it."""
LARGEST = "box AP, largest"
"""Column of box AP in the last bin of size: of the largest hundredth of the objects, by default."""
SETTINGS = {
    "crop": ("sample", "crop"),
    "shortest side": ("sample", "shortest"),
    "sampling": ("sample", "sampling"),
    "ISUS": ("sample", "isus"),
    "r_th": ("sample", "thing_scales"),
    "box loss": ("box_loss",),
    "matching": ("matching",),
    "level 2 from": ("roi", "levels", "canonical_size"),
    "extra levels": ("pyramid", "extra_levels"),
    "batch": ("schedule", "batch"),
    "learning rate": ("schedule", "learning_rate"),
}
"""Settings that are listed, and where they are in config.json."""
COLORS = ("#0072b2", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#e69f00", "#000000", "#999999")
"""Colors of runs that are no variants."""


@dataclass(frozen=True)
class Run:
    """One training run, finished or not."""

    name: str
    """Path below the folder of the runs."""
    steps: pd.DataFrame
    """A row for each step that is done, with the columns of metrics.jsonl."""
    losses: tuple[str, ...]
    """Names of its losses."""
    planned: int | None
    """Number of steps of its schedule; None without a configuration."""
    settings: Mapping[str, str]
    """Settings of its configuration, with its seed and the fingerprint of its data; empty without a configuration."""
    reports: pd.DataFrame
    """A row for each checkpoint that was scored: step, the columns of SCORES, and LARGEST; fractions."""
    evaluations: pd.DataFrame
    """A row for each kept network and part of the data set on which it was scored: the same, split and images."""


@dataclass(frozen=True)
class Options:
    """Write a page with the learning curves and scores of training runs."""

    runs: tyro.conf.Positional[Path] = tyro.MISSING
    """Folder of the runs."""
    about: str = ""
    """Text for the head of the page: on what the runs were trained and scored, and by which commit."""
    out: Path = Path("results/streets/experiments")
    """Path of the page and its figure, without suffix."""


def read_run(folder: Path, root: Path) -> Run:
    """Read what a run has written so far; a half-written last line is left out.

    Raises:
        InputError: a whole line, the configuration or a report cannot be read.
    """
    rows = whole_lines(folder / METRICS)
    if not rows:
        raise InputError(f"{folder / METRICS}: has no whole line yet; expected one a step")
    steps = pd.DataFrame(rows).drop_duplicates("step", keep="last")
    return Run(
        name=folder.relative_to(root).as_posix(),
        steps=steps,
        losses=tuple(loss_names(rows[-1])),
        planned=planned_steps(folder),
        settings=settings(folder),
        reports=scored(folder / "evaluated"),
        evaluations=pd.DataFrame(whole_lines(folder / EVALUATION)),
    )


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines; there are none of a file that is not there, and a half-written last one is left out.

    Raises:
        InputError: a whole line cannot be read.
    """
    lines = path.read_text().split("\n") if path.is_file() else [""]
    try:
        return [json.loads(line) for line in lines[:-1]]
    except ValueError as error:
        raise InputError(f"{path}: is not JSON lines ({error}); expected what the run writes") from error


def planned_steps(folder: Path) -> int | None:
    """Return the number of steps of a run's schedule, from its config.json or the newest of its training states."""
    for path in (folder / CONFIG, *sorted(folder.glob(f"checkpoints/*/{CONFIG}"), reverse=True)):
        if path.is_file():
            try:
                return int(json.loads(path.read_text())["schedule"]["steps"])
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{path}: has no schedule.steps; expected a run's configuration") from error
    return None


def settings(folder: Path) -> dict[str, str]:
    """Read a run's settings, from its config.json or its training states."""
    states = sorted(folder.glob("checkpoints/*"), key=lambda path: path.name.zfill(12))
    files = [path for path in (folder / CONFIG, *(state / CONFIG for state in states)) if path.is_file()]
    if not files:
        return {}
    found = {}
    config = json.loads(files[0].read_text())
    for name, path in SETTINGS.items():
        value: Any = config
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        found[name] = "–" if value is None else " to ".join(map(str, value)) if isinstance(value, list) else str(value)
    for state in states[-1:]:
        if (state / "state.json").is_file():
            found |= {k: str(v) for k, v in json.loads((state / "state.json").read_text()).items() if k != "step"}
    return found


def scored(folder: Path) -> pd.DataFrame:
    """Read the reports of a run's checkpoints, by step."""
    rows = []
    for path in folder.glob("[0-9]*/report.json"):
        report = reports.read(path)
        row = {c: report.scores[name][part] for c, (name, part) in SCORES.items()}
        rows.append({"step": int(path.parent.name), **row, LARGEST: report.size_percentiles[-1]["AP_box"]})
    return pd.DataFrame(rows, columns=["step", *SCORES, LARGEST]).sort_values("step", ignore_index=True)


def read_runs(root: Path) -> list[Run]:
    """Read all runs below a folder, in the order of their names.

    Raises:
        InputError: there is no run, or one that cannot be read.
    """
    folders = sorted(path.parent for path in root.rglob(METRICS)) if root.is_dir() else []
    if not folders:
        raise InputError(f"{root}: holds no {METRICS}; expected a folder of runs of model.train")
    return [read_run(folder, root) for folder in folders]


def colors(runs: Sequence[Run]) -> dict[str, str]:
    """Choose a color for each run: that of its variant, else one of COLORS."""
    others = [run.name for run in runs if run.name not in BY_NAME]
    chosen = {name: COLORS[k % len(COLORS)] for k, name in enumerate(others)}
    return {run.name: BY_NAME[run.name].color if run.name in BY_NAME else chosen[run.name] for run in runs}


def draw(runs: Sequence[Run]) -> Figure:
    """Draw the loss against steps and, where checkpoints were scored, PQ against steps; up to four runs in a panel."""
    panels = 2 if any(len(run.reports) for run in runs) else 1
    groups = [runs[k : k + PER_PANEL] for k in range(0, len(runs), PER_PANEL)]
    color = colors(runs)
    settled = pd.concat([run.steps["loss"].iloc[WINDOW:] for run in runs])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3 * len(groups)), layout="constrained")
        for group, axes in zip(groups, figure.subplots(len(groups), panels, squeeze=False), strict=True):
            for run, style in zip(group, LINES, strict=False):
                smooth = run.steps["loss"].rolling(WINDOW, min_periods=1).mean()
                look = {"color": color[run.name], "linestyle": style, "linewidth": 1}
                axes[0].plot(run.steps["step"], smooth, label=title(run.name), **look)
                if len(run.reports):
                    axes[1].plot(run.reports["step"], 100 * run.reports["PQ"], marker="o", markersize=3, **look)
            axes[0].set_title(f"training loss, mean of {WINDOW} steps")
            axes[0].set_ylabel("loss")
            axes[0].set_ylim(0, 1.1 * float(settled.max()) if len(settled) else None)
            axes[0].legend()
            if panels == 2:
                axes[1].set_title("PQ of checkpoints")
                axes[1].set_ylabel("PQ, %")
            for ax in axes:
                ax.set_xlabel("steps")
    return figure


def page(runs: Sequence[Run], figure: str, about: str = "") -> str:
    """Write the page: the figure, a table of the runs, one of the scored checkpoints, and one of settings."""
    losses = list(dict.fromkeys(name for run in runs for name in run.losses))
    progress = [
        {
            "run": title(run.name),
            "steps": f"{len(run.steps)} of {run.planned or '?'}",
            "seconds a step": f"{run.steps['seconds'].median():.2f}",
            "instances a batch": f"{run.steps['instances'].mean():.0f}",
            "loss": f"{run.steps['loss'].tail(WINDOW).mean():.3f}",
            **{name: f"{run.steps[name].tail(WINDOW).mean():.3f}" if name in run.losses else "–" for name in losses},
        }
        for run in runs
    ]
    parts = [
        "# Experiments",
        "Made by `python -m reproduce.experiments`. Losses are means of the last "
        f"{WINDOW} steps that are done; a run that is not finished says how far it is.",
        *([about] if about else []),
        f"![Learning curves]({figure})",
        table(progress),
    ]
    checkpoints = [
        {"run": title(run.name), "step": str(row["step"]), **{c: score(c, row[c]) for c in (*SCORES, LARGEST)}}
        for run in runs
        for row in run.reports.to_dict("records")
    ]
    if checkpoints:
        parts += ["Scored checkpoints, percent. The last column is of the largest objects alone:", table(checkpoints)]
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    if names:
        rows = [{"": name, **{title(run.name): run.settings.get(name, "–") for run in runs}} for name in names]
        parts += ["Settings, pixels of the network's input:", table(rows)]
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Read the runs, and write the page and its figure."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    with ending_at_faults("experiments"):
        runs = read_runs(options.runs)
        save(draw(runs), options.out)
        text = page(runs, f"{options.out.name}.png", options.about)
        write_atomically(options.out.with_name(f"{options.out.name}.md"), text)
    print(text)


if __name__ == "__main__":
    main()
