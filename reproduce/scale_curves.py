"""Scores of the same networks at other scales of the test images: do ISUS' networks generalize over scales?

A network sees the images at its own resolution times a factor. What a variant loses away from factor 1 does not depend
on how well it has learned; the difference of two variants at each factor is paired, on the same resampled images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from tqdm import tqdm

from panoptic_eval.labels import LabelMaps
from reproduce.bootstrap import Scores, Term, bootstrap
from reproduce.figures import STYLE, WIDTH
from reproduce.options import Comparison
from reproduce.systems import CORES, Checkpoint, System, predicted, processes
from reproduce.variants import BY_NAME, title

SCALES = (0.5, 0.71, 1.0, 1.41, 2.0)
"""Factors on the resolution, half an octave apart."""
SCORES = {"PQ": ("PQ", "all"), "PQ_th": ("PQ", "things"), "box AP": ("AP_box", "AP")}


def systems_at_scales(options: Comparison, gt: LabelMaps, trained: Sequence[Checkpoint]) -> dict[float, list[System]]:
    """Predict with each checkpoint at each scale what is not predicted yet, and count it.

    Raises:
        InputError: predictions cannot be counted.
        CheckpointError: a checkpoint cannot be read.
    """
    jobs = [(checkpoint, scale) for scale in reversed(SCALES) for checkpoint in trained]  # the longest ones first
    at_a_time = min(options.side_by_side or (CORES if options.embedded else 1), len(jobs))
    found: dict[float, list[System]] = {scale: [] for scale in SCALES}
    with processes(at_a_time) as walk, tqdm(total=len(jobs), unit="prediction", desc="predict at scales") as bar:
        made = walk(partial(predicted, options, gt), *zip(*jobs, strict=True))
        for (_, scale), system in zip(jobs, made, strict=True):
            found[scale].append(system)
            bar.update()
    return found


def scale_rows(systems: dict[float, list[System]], base: str) -> pd.DataFrame:
    """Make a row for each variant, scale and score, and one for its difference to a base at that scale.

    Columns: name, `minus` (name of the base; empty where the score is as it is), scale, score, then those of
    `Estimate`, fractions.
    """
    named = [replace(s, name=f"{s.name}@{scale:g}") for scale, of_scale in systems.items() for s in of_scale]
    scores = bootstrap(named, wide=None)
    names = list(dict.fromkeys(s.name for s in systems[1.0]))
    rows = []
    for name in names:
        for minus in ("", base) if name != base and base in names else ("",):
            for scale in systems:
                for score, of in SCORES.items():
                    terms: list[Term] = [(1.0, f"{name}@{scale:g}", *of)]
                    if minus:
                        terms.append((-1.0, f"{minus}@{scale:g}", *of))
                    rows.append(_row(scores, terms, {"name": name, "minus": minus, "scale": scale, "score": score}))
    return pd.DataFrame(rows)


def _row(scores: Scores, terms: Sequence[Term], about: dict[str, str | float]) -> dict[str, str | float]:
    return {**about, **scores.combined(terms).columns()}


def draw(rows: pd.DataFrame) -> Figure:
    """Draw each score against scale; below, the differences to the base.

    Args:
        rows: of `scale_rows`.
    """
    scores = [score for score in SCORES if (rows["score"] == score).any()]
    kinds = ["", *[minus for minus in dict.fromkeys(rows["minus"]) if minus]]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.4 + 2.1 * len(kinds)), layout="constrained")
        panels = figure.subplots(len(kinds), len(scores), squeeze=False, sharex=True)
        for minus, of_row in zip(kinds, panels, strict=True):
            for score, ax in zip(scores, of_row, strict=True):
                shown = rows[(rows["minus"] == minus) & (rows["score"] == score)]
                for k, (name, mine) in enumerate(shown.groupby("name", sort=False)):
                    variant = BY_NAME.get(str(name))
                    color, line = (variant.color, variant.line) if variant else (f"C{k}", "-")
                    x = mine["scale"] * 2 ** (0.06 * (k - 0.5))  # so that intervals do not hide each other
                    look: dict[str, Any] = {"color": color, "linestyle": line, "linewidth": 1}
                    ax.plot(x, 100 * mine["value"], marker="o", markersize=3, label=title(str(name)), **look)
                    ax.vlines(x, 100 * mine["low"], 100 * mine["high"], color=color, linewidth=0.8)
                ax.set_title(f"{score} − that of {title(minus)}" if minus else score)
                if minus:
                    ax.axhline(0, color="black", linewidth=0.7)
                ax.set_xscale("log", base=2)
                ax.set_xticks(SCALES)
                ax.xaxis.set_minor_locator(NullLocator())
                ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            of_row[0].set_ylabel("points" if minus else "%")
        for ax in panels[-1]:
            ax.set_xlabel("factor on the test images' scale")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3, alignment="left")
    return figure


def losses_off_scale(rows: pd.DataFrame) -> dict[str, float]:
    """Return how many points of PQ each variant loses, on average over the factors that are not 1."""
    absolute = rows[(rows["minus"] == "") & (rows["score"] == "PQ")]
    values = absolute.pivot_table(index="name", columns="scale", values="value", sort=False)
    lost = values.rsub(values[1.0], axis=0).drop(columns=1.0)
    return {str(name): float(100 * np.mean(of)) for name, of in lost.iterrows()}
