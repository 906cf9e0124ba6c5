"""AP against object size in eight bins of equal ratio, with the side of the training crop marked.

Percentile bins (Fig. 5) say what a score is made of. Bins of size say where a network fails: near the side of the crop,
if crops cut what it should learn; from medium sizes on, if it has learned too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from panoptic_eval.pairs.table import PairTable
from panoptic_eval.resampling import draw as draw_images
from panoptic_eval.score import scores as all_scores
from reproduce.bootstrap import Scores
from reproduce.figures import STYLE, WIDTH
from reproduce.systems import System
from reproduce.variants import BY_NAME, title

SIZE_CURVES = "size_curves.csv"
"""File of the table, in a folder of results."""
BINS = 8
"""Number of bins."""
ENDS = (1.0, 100.0)
"""Percentiles of size between which the bins have equal ratios; the first one takes the few that are smaller, too."""
KINDS = {"AP_box": "box AP", "AP_mask": "mask AP"}
RESAMPLES = 200
"""Number of resampled image sets."""
FEWEST = 20
"""Smallest number of objects in a bin that is drawn: the AP of fewer says little."""


def size_edges(table: PairTable) -> Float[np.ndarray, " e"]:
    """Return the edges of the bins: √area of the objects, pixels of the image."""
    gt = table.gt
    area = gt.area[table.catalogue.isthing[gt.category] & ~gt.crowd]
    low, high = np.sqrt(np.percentile(area, ENDS))
    return np.geomspace(low, high, BINS + 1)


def drawn(systems: Sequence[System]) -> list[System]:
    """Select FULL, CROP and its variants in the paper's network and matching, and systems that are no variants."""
    return [s for s in systems if s.name not in BY_NAME or BY_NAME[s.name].line == "-"]


def size_rows(systems: Sequence[System], *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Make a row for each variant, kind of AP and bin: mean over seeds and its interval, as of `reproduce.bootstrap`.

    Columns: name, kind, size_from and size_to in pixels, number of objects, then those of `Estimate`, fractions.

    Args:
        systems: on the same images in the same order.
        seed: of the resampled image sets.
        resamples: number of these.
    """
    table = systems[0].tables.panoptic
    edges = size_edges(table)
    limits = np.round(edges**2).tolist()  # areas are whole numbers: each is in one bin
    areas = [(0.0 if k == 0 else low + 1, high) for k, (low, high) in enumerate(pairwise(limits))]
    weights = draw_images(np.random.default_rng(seed), len(table), resamples)
    by_system: dict[str, dict[int, dict[tuple[str, str], Float[np.ndarray, " w"]]]] = {}
    for system in systems:
        parts = all_scores(system.tables, weights=weights, bins=areas).parts
        values = {(kind, str(k)): parts[kind, k] for kind in KINDS for k in range(BINS)}
        by_system.setdefault(system.name, {})[system.seed or 0] = values
    area = table.gt.area[table.catalogue.isthing[table.gt.category] & ~table.gt.crowd]
    held = [int(((area >= low) & (area <= high)).sum()) for low, high in areas]
    found = Scores(by_system, {str(k): n for k, n in enumerate(held)})
    return pd.DataFrame(
        [
            {
                "name": name,
                "kind": kind,
                "size_from": round(float(edges[k]), 2),
                "size_to": round(float(edges[k + 1]), 2),
                "objects": held[k],
                **found.estimate(name, kind, str(k)).columns(),
            }
            for name in by_system
            for kind in KINDS
            for k in range(BINS)
        ]
    )


def draw(rows: pd.DataFrame, crop: float | None) -> Figure:
    """Draw both kinds of AP against size, and how many objects there are; a variant a line.

    Args:
        rows: of `size_rows`.
        crop: side of the training crop, pixels of the image; None where there is none.
    """
    names = list(dict.fromkeys(rows["name"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        for (kind, label), ax in zip(KINDS.items(), figure.subplots(1, 2, sharey=True), strict=True):
            for k, name in enumerate(names):
                mine = rows[(rows["name"] == name) & (rows["kind"] == kind)]
                draw_curve(mine[mine["objects"] >= FEWEST], name, k, len(names), ax=ax)
            if crop is not None:
                ax.axvline(crop, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
                ax.annotate(
                    f"crop: {crop:g}", (crop, 1), (-3, 0), ("data", "axes fraction"),
                    textcoords="offset points", ha="right", va="top",
                )  # fmt: skip
            of_kind = rows[(rows["name"] == names[0]) & (rows["kind"] == kind)]
            edges = [*of_kind["size_from"], of_kind["size_to"].iloc[-1]]
            centers = np.sqrt(of_kind["size_from"] * of_kind["size_to"])
            ax.set_xscale("log", base=2)
            ax.set_xticks(edges, [f"{edge:.0f}" for edge in edges])
            ax.set_xticks(centers, [str(n) for n in of_kind["objects"]], minor=True)
            ax.tick_params(axis="x", which="minor", length=0, pad=14, labelsize=6, labelcolor="#777777")
            ax.set_title(label)
            ax.set_xlabel("object size, √area, pixels; below: number of objects")
            ax.set_ylim(bottom=0)
        figure.axes[0].set_ylabel("AP, %")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3, alignment="left")
    return figure


def draw_curve(rows: pd.DataFrame, name: str, k: int, count: int, *, ax: Axes) -> None:
    """Draw the AP of the k-th of some variants with its intervals, beside those of the others."""
    color = BY_NAME[name].color if name in BY_NAME else f"C{k}"
    line = BY_NAME[name].line if name in BY_NAME else "-."
    ratio = (rows["size_to"] / rows["size_from"]) ** (0.5 + 0.3 * ((k + 0.5) / count - 0.5))
    x = rows["size_from"] * ratio
    ax.vlines(x, 100 * rows["low"], 100 * rows["high"], color=color, linewidth=0.8, alpha=0.6)
    look: dict[str, Any] = {"color": color, "linestyle": line, "linewidth": 1}
    ax.plot(x, 100 * rows["value"], marker="o", markersize=2.5, label=title(name), **look)
