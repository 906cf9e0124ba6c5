"""Learning curves: scores of the networks that training runs keep, against steps, pixels and seconds.

The table has a row for each run, kept network and part of the data set; the figure is drawn from the table alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reproduce.experiments import LARGEST, SCORES, Run
from reproduce.figures import STYLE, WIDTH
from reproduce.variants import BY_NAME, title

AXES = {
    "step": ("steps", 1.0),
    "pixels": ("pixels seen, millions", 1e6),
    "seconds": ("seconds of training", 1.0),
}
"""Columns against which scores are drawn: their labels, and what they are divided by."""
DRAWN = ("PQ", "PQ_th", LARGEST)
"""Scores that are drawn."""
DASHES: dict[str, Any] = {"validation": "-", "training": (0, (4, 2))}
"""Line style of each part of the data set."""
MARKERS = ("o", "s", "^", "D", "v")


def curve_rows(runs: Sequence[Run]) -> pd.DataFrame:
    """Make a row for each run, kept network and part of the data set that was scored.

    Columns: variant, seed, split, images, step, `steps` of the schedule, samples, pixels and seconds until then, then
    scores as fractions. Of a run that did not log its pixels they follow from the size of its crops; without crops they
    are not known. A run's name is VARIANT or VARIANT/seedN.
    """
    parts = []
    for run in runs:
        if run.evaluations.empty:
            continue
        steps = run.steps.set_index("step")
        spent = pd.DataFrame(
            {
                "samples": steps["images"],
                "pixels": steps["pixels"].cumsum() if "pixels" in steps else steps["images"] * crop_pixels(run),
                "seconds": steps["seconds"].cumsum(),
            }
        )
        known = run.evaluations[run.evaluations["step"].isin(spent.index)]  # a killed run does some steps again
        variant, _, seed = run.name.partition("/seed")
        rows = known[["split", "images", "step"]].assign(variant=variant, seed=int(seed or 0), steps=run.planned)
        at = spent.loc[known["step"]].set_index(known.index)
        parts.append(pd.concat([rows, at, known[[*SCORES, LARGEST]]], axis=1))
    columns = ["variant", "seed", "split", "images", "step", "steps", "samples", "pixels", "seconds", *SCORES, LARGEST]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts)[columns].sort_values(["variant", "seed", "split", "step"], ignore_index=True)


def crop_pixels(run: Run) -> float:
    """Return the number of pixels of a run's crops, NaN without crops."""
    side = run.settings.get("crop", "")
    return float(int(side) ** 2) if side.isdecimal() else np.nan


def draw(rows: pd.DataFrame) -> Figure:
    """Draw scores (a row of panels each) against steps, pixels and seconds; the training images are dashed.

    A line is the mean over seeds, a dot one of them. Pixels and seconds are left out where no run has them.
    """
    names = list(dict.fromkeys(rows["variant"]))
    order = [name for name in BY_NAME if name in names] + [name for name in names if name not in BY_NAME]
    looks = {
        name: (BY_NAME[name].color if name in BY_NAME else f"C{k}", MARKERS[k % len(MARKERS)])
        for k, name in enumerate(order)
    }
    axes_shown = [axis for axis in AXES if rows[axis].notna().any()]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.5 + 1.9 * len(DRAWN)), layout="constrained")
        panels = figure.subplots(len(DRAWN), len(axes_shown), squeeze=False, sharey="row", sharex="col")
        for score, of_row in zip(DRAWN, panels, strict=True):
            for axis, ax in zip(axes_shown, of_row, strict=True):
                for name, look in looks.items():
                    draw_curve(rows[rows["variant"] == name], axis, score, look, ax=ax)
            label = "box AP of the largest hundredth" if score == LARGEST else score
            of_row[0].set_ylabel(f"{label}, %")
        for axis, ax in zip(axes_shown, panels[-1], strict=True):
            ax.set_xlabel(AXES[axis][0])
            ax.xaxis.set_major_locator(MaxNLocator(5))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        handles = [
            Line2D([], [], color=color, marker=marker, markersize=3, label=title(name))
            for name, (color, marker) in looks.items()
        ]
        handles += [
            Line2D([], [], color="#777777", linestyle=dash, label=f"{split} images") for split, dash in DASHES.items()
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=3, alignment="left")
    return figure


def draw_curve(rows: pd.DataFrame, axis: str, score: str, look: tuple[str, str], *, ax: Axes) -> None:
    """Draw one variant's curves in a panel: a line through the means over seeds, and a dot for each seed."""
    color, marker = look
    for split, dash in DASHES.items():
        mine = rows[rows["split"] == split]
        means = mine.groupby("step")[[axis, score]].mean()
        ax.plot(means[axis] / AXES[axis][1], 100 * means[score], color=color, linestyle=dash, linewidth=1)
        if split == "validation":
            x, y = mine[axis] / AXES[axis][1], 100 * mine[score]
            ax.plot(x, y, color=color, marker=marker, markersize=2.5, linestyle="none")
