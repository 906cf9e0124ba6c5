"""Figures of reports, drawn on axes that the caller gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def ap_by_size_percentile(
    rows: pd.DataFrame, *, ax: Axes, kind: Literal["AP_mask", "AP_box"] = "AP_mask", label: str | None = None
) -> None:
    """AP in each size bin, per cent (Porzi et al., CVPR 2021, Fig. 5).

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
    ax.set_ylabel(f"{'mask' if kind == 'AP_mask' else 'box'} AP, per cent")
    ax.set_ylim(bottom=0)
    if label is not None:
        ax.legend()
