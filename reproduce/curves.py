"""Curves: what the verdicts depend on. Steps (learning), scale of the test images, object size, ISUS' settings.

Learning curves and sensitivity come from folders of training runs (--runs), which are not shipped; without them both
figures are drawn again from their committed tables. Size curves come from the committed pair tables, of all images;
curves over scales from the shipped checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import tyro

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from reproduce.learning import LEARNING
from reproduce.options import Comparison, ending_at_faults, ground_truth
from reproduce.systems import about, checkpoints, gt_sha256, same_images, shipped_tables
from reproduce.systems import systems as all_systems
from reproduce.variants import BY_NAME

IMAGES = 100
"""Number of validation images of the embedded data set that are predicted at other scales, by default."""
COMPARED = ("crop", "crop+isus")
"""Variants whose scores at other scales are drawn by default; the others are compared with the first."""
SENSITIVITY = "sensitivity.csv"
Figures = Literal["learning", "sensitivity", "sizes", "scales"]


@dataclass(frozen=True)
class Options(Comparison):
    """Draw learning curves, sensitivity, and curves over object size and test scale; each with its numbers as CSV.

    Writes learning*, sensitivity*, size_curves* and scale_curves*: .png, .pdf, .csv and .json (where it comes from).
    """

    runs: Path | None = None
    """Folder of training runs, as train.sh makes it. Default: none; both figures are drawn from the tables in --out."""
    preset: str | None = None
    """Preset whose setting of ISUS is marked in the sensitivity figure. Default: that of the data set, else mvd."""
    only: tuple[Figures, ...] = ("learning", "sensitivity", "sizes", "scales")
    """Figures to draw."""


def from_runs(options: Options) -> None:
    """Write the tables of the training runs, and draw them; without runs, draw the tables that are there.

    Raises:
        InputError: the runs cannot be read.
    """
    from reproduce import learning_curves, sensitivity
    from reproduce.figures import save

    folder = options.result("x").parent
    preset = options.preset or (options.embedded.preset if options.embedded else "mvd")
    tables: dict[Figures, tuple[Path, pd.DataFrame | None]] = {
        "learning": (folder / LEARNING, None),
        "sensitivity": (folder / SENSITIVITY, None),
    }
    if options.runs is not None:
        from reproduce.experiments import read_runs

        runs = read_runs(options.runs)
        tables["learning"] = (folder / LEARNING, learning_curves.curve_rows(runs))
        registered = _registered(preset)
        rows = sensitivity.sensitivity_rows(sensitivity.cells(runs, options.runs), registered)
        tables["sensitivity"] = (folder / SENSITIVITY, rows)
    for name, (path, made) in tables.items():
        if name not in options.only:
            continue
        if made is not None and not made.empty:
            data = {run.name: run.settings.get("data", "") for run in runs}
            write(path, made, data={"runs": data}, config={"preset": preset})
        if not path.is_file():
            print(f"no {name} figure: {path} is not there, and no scored runs; expected --runs of train.sh")
            continue
        rows = pd.read_csv(path)
        if name == "sensitivity":
            save(sensitivity.draw(rows), path.with_suffix(""))
            continue
        for suffix, names in groups(list(dict.fromkeys(rows["variant"]))).items():
            shown = rows[rows["variant"].isin(names)]
            save(learning_curves.draw(shown), path.with_name(f"{path.stem}{suffix}"))


def groups(names: list[str]) -> dict[str, list[str]]:
    """Divide variants by network and matching, a figure each, by the ending of its name."""
    endings = {"-": "", "--": "_seamless", ":": "_clipped"}
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(endings.get(BY_NAME[name].line, "_other") if name in BY_NAME else "_other", []).append(name)
    return found


def _registered(preset: str) -> Any:
    from model.presets import configure, method_named

    try:
        return configure(preset, method_named("crop+isus"))
    except ValueError as error:
        raise InputError(f"--preset: {error}") from error


def over_sizes(options: Options) -> None:
    """Draw AP against object size: of the shipped pair tables, or of checkpoints and predictions that are given."""
    from reproduce import size_curves
    from reproduce.figures import save

    if options.shipped and not options.predictions:
        compared = same_images(size_curves.drawn(shipped_tables(options.shipped.results)))
    else:
        compared = size_curves.drawn(all_systems(options, ground_truth(options)))
    if not compared:
        raise InputError(
            "no pair table of FULL, CROP or its variants is there; expected some, for size curves, as table1.sh or "
            "python -m reproduce.pair_tables makes them"
        )
    rows = size_curves.size_rows(compared)
    table = compared[0].tables.panoptic
    path = options.result("x").parent / size_curves.SIZE_CURVES
    data = {"gt": options.gt, "images": len(table), "gt_sha256": gt_sha256(table)}
    write(path, rows, data=data, config={"checkpoints": {s.label: s.weights_sha256 for s in compared}})
    save(size_curves.draw(rows, options.embedded.crop if options.embedded else None), path.with_suffix(""))
    shown = rows.pivot_table(index=["kind", "name"], columns="size_to", values="value", sort=False)
    print((100 * shown).round(1).to_string(float_format=lambda x: f"{x:.1f}"))


def over_scales(options: Options) -> None:
    """Draw scores against the scale of the test images.

    Raises:
        InputError: there are no checkpoints, or predictions cannot be counted.
    """
    from reproduce import scale_curves
    from reproduce.figures import save
    from reproduce.provenance import write_provenance

    wanted = [c for c in checkpoints(options) if options.full or c.variant in COMPARED]
    if not wanted:
        raise InputError(
            f"{options.shipped.checkpoints if options.shipped else options.checkpoints}: holds no checkpoint of "
            f"{', '.join(COMPARED)}; expected one"
        )
    gt = ground_truth(options, images=None if options.full else IMAGES)
    found = scale_curves.systems_at_scales(options, gt, wanted)
    rows = scale_curves.scale_rows(found, COMPARED[0])
    path = options.result("scale_curves")
    write_atomically(path.with_suffix(".csv"), rows.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_provenance(path.with_suffix(".json"), about(options, gt, found[1.0]) | {"scales": scale_curves.SCALES})
    save(scale_curves.draw(rows), path)
    for name, lost in scale_curves.losses_off_scale(rows).items():
        print(f"{name}: loses {lost:.1f} PQ on average at the other scales")


def write(path: Path, rows: pd.DataFrame, *, data: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write a table as CSV, and where it comes from as JSON beside it."""
    from reproduce.provenance import provenance, write_provenance

    write_atomically(path, rows.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_provenance(path.with_suffix(".json"), provenance(seed=0, data=data, config=config))


def main(arguments: list[str] | None = None) -> None:
    """Draw what was asked for."""
    options = tyro.cli(Options, args=arguments)
    with ending_at_faults("curves"):
        if {"learning", "sensitivity"} & {*options.only}:
            from_runs(options)
        if "sizes" in options.only:
            over_sizes(options)
        if "scales" in options.only:
            over_scales(options)


if __name__ == "__main__":
    main()
