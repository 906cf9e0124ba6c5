"""Fig. 5: box and mask AP of every variant by size of the objects, with intervals. Porzi et al., CVPR 2021."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
import tyro
from matplotlib.figure import Figure

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.plots import ap_with_intervals
from reproduce.bootstrap import Scores, bootstrap
from reproduce.figures import STYLE, WIDTH, save
from reproduce.options import Comparison, ending_at_faults
from reproduce.provenance import write_provenance
from reproduce.systems import about, images, systems
from reproduce.variants import BY_NAME

KINDS = {"AP_box": "box AP", "AP_mask": "mask AP"}
OTHERS = ("#cc79a7", "#e69f00", "#999999")
"""Colors of other systems."""


@dataclass(frozen=True)
class Options(Comparison):
    """Draw Fig. 5 of the variants that have checkpoints, and of other systems' predictions.

    Writes fig5.png, fig5.pdf, fig5.csv and fig5.json.
    """

    systems: tuple[str, ...] = ()
    """Names of the systems to draw: of variants, or of folders of predictions. Default: all."""


def ap_by_size(scores: Scores) -> pd.DataFrame:
    """Make a row for each system, kind of AP and size bin; scores are fractions, empty where a bin has no instance."""
    rows = []
    for name in scores.by_system:
        for kind in KINDS:
            for part, instances in scores.bins.items():
                low, high = part.removesuffix(" %").split("–")
                rows.append(
                    {
                        "name": name,
                        "kind": kind,
                        "from_percent": float(low),
                        "to_percent": float(high),
                        "instances": instances,
                        **scores.estimate(name, kind, part).columns(),
                    }
                )
    return pd.DataFrame(rows)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw both kinds of AP side by side."""
    with mpl.rc_context(STYLE):
        names = rows["name"].unique().tolist()
        figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
        for ax, (kind, label) in zip(figure.subplots(1, 2), KINDS.items(), strict=True):
            ap_with_intervals(rows[rows["kind"] == kind], ax=ax, looks=looks(names))
            ax.set_ylabel(f"{label}, per cent")
        figure.legend(
            *ax.get_legend_handles_labels(), loc="outside upper left", ncols=min(3, len(names)), frameon=False
        )
    return figure


def looks(names: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Choose color, line style and title of each system; those that are no variants get colors of their own."""
    others = [name for name in names if name not in BY_NAME]
    chosen = {name: (variant.color, variant.line, variant.title) for name, variant in BY_NAME.items()}
    chosen |= {name: (OTHERS[k % len(OTHERS)], "-.", name) for k, name in enumerate(others)}
    return {name: chosen[name] for name in names}


def main() -> None:
    """Predict, count, and draw."""
    options = tyro.cli(Options)
    with ending_at_faults("fig5"):
        gt = images(options)
        compared = [s for s in systems(options, gt) if not options.systems or s.name in options.systems]
        if not compared:
            raise InputError(f"--systems: none of {', '.join(options.systems)} is there; expected a variant's name")
        rows = ap_by_size(bootstrap(compared, wide=None))
        path = options.result("fig5")
        write_atomically(path.with_suffix(".csv"), rows.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
        write_provenance(path.with_suffix(".json"), about(options, gt, compared))
        save(draw(rows), path)
    shown = rows.pivot_table(index=["kind", "name"], columns="from_percent", values="value", sort=False)
    print(f"{(100 * shown).round(1).to_string()}\nwrote {path}.png")


if __name__ == "__main__":
    main()
