"""How far ISUS' gain depends on what the paper leaves open: range of scale factors, order of its draws, steps.

A cell is a setting that was run, with a run of class-uniform sampling that is equal in everything else, seed and data
included. Cells that were not run are not drawn; the registered one is marked. The best cell is never the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from model.checkpoint_files import CONFIG
from model.config import Config, ConfigError, SampleConfig, from_json
from panoptic_eval.errors import InputError
from reproduce.experiments import LARGEST, Run
from reproduce.figures import STYLE, WIDTH

SCORES = ("PQ", "PQ_th", LARGEST)
"""Scores whose gain is listed."""
DRAWN = {"PQ": "PQ", LARGEST: "box AP of the largest hundredth"}
"""Scores whose gain is drawn."""
RULES = {"instance_first": ("#0072b2", "o"), "level_first": ("#d55e00", "s")}
"""Color and marker of each order of the draws."""
COLUMNS = ("run", "base", "seed", "images", "low", "high", "rule", "steps", *SCORES, "registered")


@dataclass(frozen=True)
class Cell:
    """A finished run, and its scores on the validation images."""

    name: str
    config: Config
    seed: str
    data: str
    """Fingerprint of the training data."""
    images: int
    """Number of validation images."""
    scores: dict[str, float]


def cells(runs: Sequence[Run], root: Path) -> list[Cell]:
    """Take the runs that are finished and scored at their last step.

    Raises:
        InputError: a configuration cannot be read.
    """
    found = []
    for run in runs:
        path = root / run.name / CONFIG
        if not path.is_file() or run.evaluations.empty:
            continue
        try:
            config = from_json(path.read_text())
        except ConfigError as error:
            raise InputError(f"{path}: {error}") from error
        rows = run.evaluations
        last = rows[(rows["step"] == run.planned) & (rows["split"] == "validation")]
        for row in last.to_dict("records"):
            about = (run.settings.get("seed", ""), run.settings.get("data", ""), int(row["images"]))
            found.append(Cell(run.name, config, *about, {score: float(row[score]) for score in SCORES}))
    return found


def sensitivity_rows(found: Sequence[Cell], registered: Config | None) -> pd.DataFrame:
    """Make a row for each run with ISUS that has its base: gains over it, fractions; columns as of COLUMNS.

    Args:
        found: all runs.
        registered: configuration of the cell that is marked.
    """
    bases = {_key(cell): cell for cell in found if cell.config.sample.sampling == "cus" and cell.config.sample.crop}
    rows = []
    for cell in found:
        base = bases.get(_key(cell))
        sample = cell.config.sample
        if sample.sampling == "isus" and base is not None:
            rows.append(
                {
                    "run": cell.name,
                    "base": base.name,
                    "seed": cell.seed,
                    "images": cell.images,
                    "low": sample.thing_scales[0],
                    "high": sample.thing_scales[1],
                    "rule": sample.isus,
                    "steps": cell.config.schedule.steps,
                    **{score: cell.scores[score] - base.scores[score] for score in SCORES},
                    "registered": registered is not None and cell.config == registered,
                }
            )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["steps", "rule", "high", "low", "seed", "run"], ignore_index=True)


def _key(cell: Cell) -> tuple[Config, str, str, int]:
    """Return all that a run with ISUS and its base have in common."""
    plain = SampleConfig()
    sample = replace(cell.config.sample, sampling="cus", isus=plain.isus, thing_scales=plain.thing_scales)
    return replace(cell.config, sample=sample), cell.seed, cell.data, cell.images


def draw(rows: pd.DataFrame) -> Figure:
    """Draw the gains: a panel for each number of steps and score, the range of factors along the axis.

    Args:
        rows: of `sensitivity_rows`, at least one.
    """
    ranges = sorted({*zip(rows["low"].tolist(), rows["high"].tolist(), strict=True)}, key=lambda r: (r[1] / r[0], r))
    lengths = sorted(set(rows["steps"].tolist()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.5 + 2.1 * len(DRAWN)), layout="constrained")
        panels = figure.subplots(len(DRAWN), len(lengths), squeeze=False, sharex=True, sharey="row")
        for (score, label), of_row in zip(DRAWN.items(), panels, strict=True):
            for steps, ax in zip(lengths, of_row, strict=True):
                for k, (rule, (color, marker)) in enumerate(RULES.items()):
                    mine = rows[(rows["steps"] == steps) & (rows["rule"] == rule)]
                    x = [ranges.index(r) + 0.2 * (k - 0.5) for r in zip(mine["low"], mine["high"], strict=True)]
                    ax.plot(x, 100 * mine[score], color=color, marker=marker, markersize=4, linestyle="none",
                            label=rule.replace("_", " "))  # fmt: skip
                    marked = [at for at, r in zip(x, mine["registered"], strict=True) if r]
                    ax.plot(marked, 100 * mine.loc[mine["registered"].astype(bool), score], color="black", marker="o",
                            markersize=9, fillstyle="none", linestyle="none", label="registered")  # fmt: skip
                ax.axhline(0, color="black", linewidth=0.7)
                ax.set_xticks(range(len(ranges)), [f"{low:.2g}–{high:.2g}" for low, high in ranges])
                ax.set_xlim(-0.5, len(ranges) - 0.5)
                ax.set_title(f"{steps:,} steps")
            of_row[0].set_ylabel(f"{label}:\nISUS − CUS, points")
        for ax in panels[-1]:
            ax.set_xlabel("range of scale factors, r_th")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        figure.legend(unique.values(), unique.keys(), loc="outside upper left", ncols=3, alignment="left")
    return figure
