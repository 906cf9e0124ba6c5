"""Figures of reports, drawn on axes that the caller gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def ap_by_size_percentile(
    rows: pd.DataFrame, *, ax: Axes, kind: Literal["AP_mask", "AP_box"] = "AP_mask", label: str | None = None
) -> None:
    """Plot AP in each size bin, percent (Porzi et al., CVPR 2021, Fig. 5, arXiv 2012.07717).

    Args:
        rows: of size_percentiles.csv, as `panoptic_eval.outputs.csv.read` gives them.
        ax: gets one line; call again for another run.
        kind: the column that is drawn.
        label: the run's name in the legend.
    """
    x = np.arange(len(rows))
    if rows["from_percent"].isna().any():  # edges in pixels, from another run
        names = [f"{a:.0f}–{b:.0f} px" for a, b in zip(rows["from_area"], rows["to_area"], strict=True)]
    else:
        names = [f"{a:g}–{b:g}" for a, b in zip(rows["from_percent"], rows["to_percent"], strict=True)]
    ax.plot(x, 100 * rows[kind].to_numpy(float), marker="o", label=label)
    ax.set_xticks(x, names)
    ax.set_xlabel("instance area, percentile" if "px" not in names[0] else "instance area")
    ax.set_ylabel(f"{'mask' if kind == 'AP_mask' else 'box'} AP, percent")
    ax.set_ylim(bottom=0)
    if label is not None:
        ax.legend()


def ap_with_intervals(rows: pd.DataFrame, *, ax: Axes, looks: Mapping[str, tuple[str, str, str]]) -> None:
    """Plot AP of several runs in each size bin, percent, with intervals as bars; runs stand beside each other in a bin.

    Args:
        rows: name, from_percent, to_percent, instances, value, low, high: a row for each run and bin; fractions.
        ax: gets one line for each run.
        looks: color, line style and title in the legend, by the name of the run.
    """
    bins = rows[["from_percent", "to_percent", "instances"]].drop_duplicates()
    names = rows["name"].unique()
    for k, name in enumerate(names):
        color, style, title = looks[name]
        run = rows[rows["name"] == name]
        x = np.arange(len(run)) + (k - (len(names) - 1) / 2) * 0.6 / len(names)
        value, low, high = (100 * run[column].to_numpy(float) for column in ("value", "low", "high"))
        ax.errorbar(
            x,
            value,
            (value - low, high - value),
            color=color,
            linestyle=style,
            marker="o",
            markersize=3,
            linewidth=1.1,
            elinewidth=0.8,
            label=title,
        )
    labels = [f"{a:g}–{b:g}\n({n})" for a, b, n in bins.itertuples(index=False)]
    ax.set_xticks(np.arange(len(bins)), labels)
    ax.set_xlabel("size percentile of the object (instances)")
    ax.set_ylim(bottom=0)
