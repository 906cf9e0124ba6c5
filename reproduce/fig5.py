"""Fig. 5: box and mask AP of every arm by size of the objects, with intervals. Porzi et al., CVPR 2021."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import tyro
from matplotlib.figure import Figure

from model.checkpoint import CheckpointError
from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.plots import ap_with_intervals
from reproduce.bootstrap import Scores, bootstrap
from reproduce.entries import Source, about, entries, ground_truth
from reproduce.provenance import write_provenance
from reproduce.table1 import TITLES

KINDS = {"AP_box": "box AP", "AP_mask": "mask AP"}
LOOKS = {
    "full": ("#000000", "-"),
    "crop": ("#0072b2", "-"),
    "crop+cabb": ("#56b4e9", "-"),
    "crop+isus": ("#009e73", "-"),
    "crop+cabb+isus": ("#d55e00", "-"),
    "seamless": ("#000000", "--"),
    "seamless+crop": ("#0072b2", "--"),
    "seamless+cabb+isus": ("#d55e00", "--"),
    "crop+clipped": ("#0072b2", ":"),
    "crop+cabb+isus+clipped": ("#d55e00", ":"),
}
"""Colour says how an arm is trained, style which network or matching it has. Colours that everybody tells apart (Okabe
and Ito, 2008)."""
OTHERS = ("#cc79a7", "#e69f00", "#999999")
"""Colours of other systems."""


@dataclass(frozen=True)
class Options(Source):
    """Draw Fig. 5 of the arms whose checkpoints there are, and of other systems' predictions."""

    arms: tuple[str, ...] = ()
    """Only these entries; all of them if not given."""
    out: Path | None = None
    """Gets fig5.png, .pdf, .csv and .json; results/NAME if not given. (With --full: fig5_full.)"""


def ap_by_size(scores: Scores) -> pd.DataFrame:
    """One row an entry, kind of AP and size bin; scores are fractions, empty where no instance is in the bin."""
    rows = []
    for name in scores.by_name:
        for kind in KINDS:
            for part, instances in scores.bins.items():
                low, high = part.removesuffix(" %").split("–")
                e = scores.estimate(name, kind, part)
                seeds = {"seeds": len(e.seeds), "seeds_low": min(e.seeds), "seeds_high": max(e.seeds)}
                rows.append(
                    {
                        "name": name,
                        "kind": kind,
                        "from_percent": float(low),
                        "to_percent": float(high),
                        "instances": instances,
                        "value": e.value,
                        "low": e.low,
                        "high": e.high,
                        **seeds,
                    }
                )
    return pd.DataFrame(rows)


def draw(rows: pd.DataFrame) -> Figure:
    """Both kinds of AP side by side."""
    style: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(style):
        names = rows["name"].unique().tolist()
        figure = Figure(figsize=(7.2, 3.8), layout="constrained")
        for ax, (kind, title) in zip(figure.subplots(1, 2), KINDS.items(), strict=True):
            ap_with_intervals(rows[rows["kind"] == kind], ax=ax, looks=looks(names))
            ax.set_ylabel(f"{title}, per cent")
        figure.legend(
            *ax.get_legend_handles_labels(), loc="outside upper left", ncols=min(3, len(names)), frameon=False
        )
    return figure


def looks(names: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Color, line style and title of each entry; other systems get colors of their own."""
    others = {name: (OTHERS[k % len(OTHERS)], "-.") for k, name in enumerate(n for n in names if n not in LOOKS)}
    return {name: (*(LOOKS | others)[name], TITLES.get(name, name)) for name in names}


def main() -> None:
    """Predict, count, and draw."""
    options = tyro.cli(Options)
    try:
        gt = ground_truth(options)
        found = entries(options, gt)
    except (InputError, CheckpointError) as error:
        sys.exit(f"fig5: {error}")
    found = [e for e in found if not options.arms or e.name in options.arms]
    rows = ap_by_size(bootstrap(found, wide=None))
    out = options.out or Path("results") / Path(options.gt).name
    name = "fig5_full" if options.full else "fig5"
    write_atomically(out / f"{name}.csv", rows.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_provenance(out / f"{name}.json", about(options, gt, found))
    figure = draw(rows)
    for suffix, undated in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        content = io.BytesIO()
        with mpl.rc_context({"pdf.fonttype": 42}):  # letters that other programs can edit
            figure.savefig(content, format=suffix, dpi=300, metadata=undated)
        write_atomically(out / f"{name}.{suffix}", content.getvalue())
    shown = rows.pivot_table(index=["kind", "name"], columns="from_percent", values="value", sort=False)
    print(f"{(100 * shown).round(1).to_string()}\nwrote {out / name}.png")


if __name__ == "__main__":
    main()
