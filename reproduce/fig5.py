"""Fig. 5: box and mask AP of every variant by size of the objects, with intervals. Porzi et al., CVPR 2021.

Ten variants in one panel cannot be told apart, and their differences, which are paired, are known better than their
scores: the figure shows FULL and CROP as they are, and the others as differences to CROP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import tyro
from matplotlib.figure import Figure

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.plots import PER_PANEL, Look, Panel, draw_panels
from panoptic_eval.size_curves import SizePoint
from reproduce.bootstrap import Scores, bootstrap
from reproduce.figures import save
from reproduce.options import Comparison, ending_at_faults
from reproduce.provenance import write_provenance
from reproduce.systems import about, images, systems
from reproduce.variants import BY_NAME

KINDS = {"AP_box": "box AP", "AP_mask": "mask AP"}
BASE, FULL = "crop", "full"
"""Variant that the others are compared with, and the one that stands beside it."""
OTHERS = ("#cc79a7", "#e69f00", "#999999")
"""Colors of other systems."""
MARKERS_OF_LINES = {"-": "o", "--": "s", ":": "^", "-.": "D"}
"""Marker of each network or matching, by the style of its line."""


@dataclass(frozen=True)
class Options(Comparison):
    """Draw Fig. 5 of the variants that have checkpoints, and of other systems' predictions.

    Writes fig5.png, fig5.pdf, fig5.csv, fig5_differences.csv and fig5.json.
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


def differences_by_size(scores: Scores) -> pd.DataFrame:
    """Make a row for each system but the base, kind of AP and size bin: paired differences to the base, fractions."""
    names = list(scores.by_system)
    base = base_of(names)
    rows = []
    for name in names:
        if name != base:
            for kind in KINDS:
                for part in scores.bins:
                    d = scores.difference(base, name, kind, part)
                    values = {"difference": d.difference, "low": d.low, "high": d.high}
                    rows.append({"name": name, "minus": base, "kind": kind, "bin": part, **values})
    return pd.DataFrame(rows, columns=["name", "minus", "kind", "bin", "difference", "low", "high"])


def base_of(names: Sequence[str]) -> str:
    """Choose the system with which the others are compared: CROP, or the first."""
    return BASE if BASE in names else names[0]


def draw(rows: pd.DataFrame, differences: pd.DataFrame) -> Figure:
    """Draw both kinds of AP side by side: the base and FULL, then differences to the base.

    Args:
        rows: of `ap_by_size`.
        differences: of `differences_by_size`.
    """
    names = rows["name"].unique().tolist()
    base, looks = base_of(names), looks_of(names)
    bins = bins_of(rows)
    absolute = [name for name in names if name in (base, FULL)]
    panels = [
        [
            Panel(label, "AP, %", [p for p in _points(rows, "value", bins) if p.score == kind and p.run in absolute],
                  {name: looks[name] for name in absolute})
            for kind, label in KINDS.items()
        ]
    ]  # fmt: skip
    others = [name for name in names if name != base]
    points = _points(differences, "difference", bins)
    for group in groups_of(others):
        panels.append(
            [
                Panel(f"{label} − {looks[base].title}", "points of AP",
                      [p for p in points if p.score == kind and p.run in group],
                      {name: looks[name] for name in group}, differences=True)
                for kind, label in KINDS.items()
            ]
        )  # fmt: skip
    over = "seeds and images" if rows["seeds"].max() > 1 else "images"
    return draw_panels(panels, looks, interval=f"95 % interval over {over}")


def bins_of(rows: pd.DataFrame) -> dict[str, tuple[str, int]]:
    """Return what is written at each bin, and its number of objects, by its name in the results.

    A bin that lies within the one before it says so: its objects are there, too.
    """
    found: dict[str, tuple[str, int]] = {}
    end = 0.0
    for low, high, n in rows[["from_percent", "to_percent", "instances"]].drop_duplicates().itertuples(index=False):
        name = f"{low:g}–{high:g} %"
        found[name] = (f"of these\n{name}" if low < end else name, int(n))
        end = high
    return found


def _points(rows: pd.DataFrame, value: str, bins: Mapping[str, tuple[str, int]]) -> list[SizePoint]:
    if "bin" not in rows:
        rows = rows.assign(
            bin=[f"{a:g}–{b:g} %" for a, b in zip(rows["from_percent"], rows["to_percent"], strict=True)]
        )
    nan = float("nan")
    return [
        SizePoint(row["name"], row["kind"], bins[row["bin"]][0], nan, nan, bins[row["bin"]][1], row[value], row["low"],
                  row["high"])
        for row in rows.to_dict("records")
    ]  # fmt: skip


def groups_of(names: Sequence[str]) -> list[list[str]]:
    """Put variants of one network and matching together, at most as many as a panel holds; other systems last."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(BY_NAME[name].line if name in BY_NAME else "other", []).append(name)
    return [group[k : k + PER_PANEL] for group in groups.values() for k in range(0, len(group), PER_PANEL)]


def looks_of(names: Sequence[str]) -> dict[str, Look]:
    """Choose color, marker and title of each system; those that are no variants get colors of their own."""
    others = [name for name in names if name not in BY_NAME]
    looks = {
        name: Look(variant.title, variant.color, MARKERS_OF_LINES[variant.line]) for name, variant in BY_NAME.items()
    }
    looks |= {name: Look(name, OTHERS[k % len(OTHERS)], "P") for k, name in enumerate(others)}
    return {name: looks[name] for name in names}


def main() -> None:
    """Predict, count, and draw."""
    options = tyro.cli(Options)
    with ending_at_faults("fig5"):
        gt = images(options)
        compared = [s for s in systems(options, gt) if not options.systems or s.name in options.systems]
        if not compared:
            raise InputError(f"--systems: none of {', '.join(options.systems)} is there; expected a variant's name")
        scores = bootstrap(compared, wide=None)
        rows, differences = ap_by_size(scores), differences_by_size(scores)
        path = options.result("fig5")
        for name, frame in ((path.name, rows), (f"{path.name}_differences", differences)):
            content = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
            write_atomically(path.with_name(f"{name}.csv"), content)
        write_provenance(path.with_suffix(".json"), about(options, gt, compared))
        save(draw(rows, differences), path)
    shown = rows.pivot_table(index=["kind", "name"], columns="from_percent", values="value", sort=False)
    print(f"{(100 * shown).round(1).to_string()}\nwrote {path}.png")


if __name__ == "__main__":
    main()
