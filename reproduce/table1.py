"""Table 1: scores of every variant with their intervals, from predictions of checkpoints; and what was published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.labels import LabelMaps
from panoptic_eval.outputs import csv, markdown
from panoptic_eval.outputs.paper_table import COLUMNS
from reproduce.audit import audit, published
from reproduce.bootstrap import Scores, bootstrap
from reproduce.embedded import PAIRS
from reproduce.options import Comparison, ending_at_faults
from reproduce.pair_tables import write_pairs
from reproduce.provenance import write_provenance
from reproduce.registration import untrained
from reproduce.systems import System, about, images, systems
from reproduce.variants import BY_NAME, VARIANTS, title

HEADER = ("PQ", "PQ_th", "PQ_st", "mAP", "mIoU", "PC", "PC_th", "PC_st", "PQ_dagger")
PUBLISHED = ("PQ", "PQ_th", "PQ_st", "mAP", "mIoU")
"""Columns in which other authors' networks have numbers."""
OTHERS = """\
Networks of other authors, beside their published row. Ours are small, begin with random weights and make one pass over
an image: their order says nothing of the order in the paper. Some published rows average several passes."""
DIFFERENCES = ("PQ", "PQ_th", "PC_th", "mAP", "box AP")
"""Columns whose differences are on the page, beside those of the largest objects; the CSV file has all."""


@dataclass(frozen=True)
class Options(Comparison):
    """Make Table 1 of the variants that have checkpoints, and of other systems' predictions; print the published one.

    Writes table1.md, table1.csv, table1_differences.csv, table1.json and the pair tables.
    """


def published_block() -> str:
    """Write the published rows as a Markdown table, with suspicious cells marked and explained."""
    rows = published()
    contradictions = audit(rows)
    marks = {(k, column): f"[{n}]" for n, (k, column, _) in enumerate(contradictions, 1)}
    cells = [
        {
            "": f"{row['dataset']} {row['network']}",
            "C": row["crops"],
            "pre-training": row["pretraining"],
            **{c.replace("_dagger", "†"): (row[c] or "–") + marks.get((k, c), "") for c in HEADER},
        }
        for k, row in enumerate(rows)
    ]
    notes = [
        f"[{n}] {rows[k]['dataset']} {rows[k]['network']}: {why}" for n, (k, _, why) in enumerate(contradictions, 1)
    ]
    return "\n".join([markdown.table(cells), "", *notes])


def our_rows(scores: Scores) -> list[dict[str, str | float]]:
    """Make a row for each system and column: value, interval, lowest and highest seed; fractions."""
    rows: list[dict[str, str | float]] = []
    for name in scores.by_system:
        for column, (score, part) in COLUMNS.items():
            rows.append({"name": name, "column": column, **scores.estimate(name, score, part).columns()})
    return rows


def our_block(scores: Scores) -> str:
    """Write our rows as a Markdown table, per cent: mean over seeds ± half the 95 % interval."""
    cells = []
    for name in scores.by_system:
        row = {"": title(name), "C": crops(name), "pre-training": "none" if name in BY_NAME else "–"}
        for column, (score, part) in COLUMNS.items():
            e = scores.estimate(name, score, part)
            row[column] = f"{100 * e.value:.1f} ±{50 * (e.high - e.low):.1f}"
        cells.append(row | {"seeds": str(len(scores.by_system[name]))})
    return markdown.table(cells)


def others_block(scores: Scores) -> str:
    """Write each network of other authors beside what was published of it, per cent; empty where none was scored."""
    printed = {row["network"]: row for row in published() if row["dataset"] == "mvd"}
    cells = []
    for name in scores.by_system:
        variant = BY_NAME.get(name)
        if variant is None or variant.registered or variant.title not in printed:
            continue
        row = printed[variant.title]
        ours = {c: f"{100 * scores.estimate(name, *COLUMNS[c]).value:.1f}" for c in PUBLISHED}
        cells += [
            {"": variant.title, "images": "ours", **ours},
            {"": f"{variant.title}, published", "images": "Mapillary Vistas", **{c: row[c] or "–" for c in PUBLISHED}},
        ]
    return f"{OTHERS}\n\n{markdown.table(cells)}\n" if cells else ""


def difference_rows(scores: Scores) -> list[dict[str, str | float]]:
    """Make a row for each variant, base and column: paired difference, its intervals, p; fractions.

    `low` and `high` are those of the bootstrap, `seeds_low` and `seeds_high` Student's over seeds (empty of one).
    """
    top = list(scores.bins)[-1]
    columns = COLUMNS | {f"mAP {top}": ("AP_mask", top), f"box AP {top}": ("AP_box", top)}
    rows: list[dict[str, str | float]] = []
    for a, b in ((base, variant.name) for variant in VARIANTS for base in variant.bases):
        if {a, b} <= set(scores.by_system):
            for column, key in columns.items():
                d = scores.difference(a, b, *key)
                paired = scores.combined([(1.0, b, *key), (-1.0, a, *key)])
                low, high = paired.over_seeds
                numbers = {"difference": d.difference, "low": d.low, "high": d.high, "p": d.p}
                over_seeds = {"seeds": len(paired.seeds), "seeds_low": low, "seeds_high": high}
                rows.append({"a": a, "b": b, "column": column, **numbers, **over_seeds})
    return rows


def difference_block(scores: Scores) -> str:
    """Write the differences as a Markdown table, per cent points; empty where no two variants are to be compared."""
    cells: dict[str, dict[str, str]] = {}
    over_seeds: dict[str, dict[str, str]] = {}
    for row in difference_rows(scores):
        a, b, column = (str(row[key]) for key in ("a", "b", "column"))
        if column not in DIFFERENCES and column in COLUMNS:
            continue
        name, value = f"{title(b)} − {title(a)}", 100 * float(row["difference"])
        for low, high, where in (("low", "high", cells), ("seeds_low", "seeds_high", over_seeds)):
            if not math.isnan(float(row[low])):
                ends = f"({100 * float(row[low]):+.1f} to {100 * float(row[high]):+.1f})"
                own = where.setdefault(name, {"": name, "seeds": str(row["seeds"])})
                own[column] = f"{value:+.1f} {ends}"
    if not cells:
        return ""
    over = f"95 % intervals over {spread_over(scores)}"
    parts = [
        f"Differences in per cent points, with {over} (same images and seeds of both):",
        markdown.table(list(cells.values())),
    ]
    if over_seeds:
        parts += [
            "The same with Student's 95 % intervals over seeds, on the images as they are:",
            markdown.table(list(over_seeds.values())),
        ]
    return "\n\n".join(parts) + "\n"


def spread_over(scores: Scores) -> str:
    """Say what the intervals are over: of a single seed, images alone."""
    several = any(len(by_seed) > 1 for by_seed in scores.by_system.values())
    return "seeds and images" if several else "images"


def crops(name: str) -> str:
    """Fill column C, as published: whether a variant trains on crops."""
    return "–" if name not in BY_NAME else "yes" if BY_NAME[name].method.crops else "no"


def spread_block(scores: Scores) -> str:
    """Write the lowest and highest seed of each system that has several, per cent; empty where none has."""
    cells = []
    for name, by_seed in scores.by_system.items():
        if len(by_seed) > 1:
            found = {c: scores.estimate(name, *key).seeds for c, key in COLUMNS.items()}
            spread = {c: f"{100 * min(v):.1f}–{100 * max(v):.1f}" for c, v in found.items()}
            cells.append({"": title(name), **spread})
    return markdown.table(cells) if cells else ""


def wide_block(scores: Scores, width: float) -> str:
    """Write how well the boxes of objects wider than the training crop are detected, before fusion."""
    cells = []
    for name, by_seed in scores.by_system.items():
        if not any(score == "wide" for values in by_seed.values() for score, _ in values):
            continue
        row = {"": title(name)}
        for part, factor in (("recall@.5", 100), ("mean IoU", 100), ("width ratio", 1)):
            e = scores.estimate(name, "wide", part)
            digits = 1 if factor == 100 else 2
            row[part] = f"{factor * e.value:.{digits}f} ±{factor * (e.high - e.low) / 2:.{digits}f}"
        cells.append(row)
    head = (
        f"Boxes of the objects wider than the training crop ({width:g} pixels), of each the detection of its category\n"
        "that overlaps it most, before fusion. Recall and IoU in per cent; width ratio: detection by object."
    )
    return f"{head}\n\n{markdown.table(cells)}" if cells else ""


def text(gt: LabelMaps, scores: Scores, width: float | None, absent: str = "") -> str:
    """Write the whole page.

    Args:
        gt: the images.
        scores: of all systems.
        width: side of the training crop, pixels of the images; None where it is not known.
        absent: names the variants that are not trained yet; empty if none is missing.
    """
    seeds = max(len(by_seed) for by_seed in scores.by_system.values())
    note = (
        "Spread over seeds, lowest to highest:\n\n" + spread_block(scores)
        if seeds > 1
        else "One seed a variant: how much a score varies from seed to seed is not known here."
    )
    return "\n".join(
        [
            "# Table 1",
            "",
            "## Ours",
            "",
            f"{gt.source}: {len(gt.maps)} images.",
            f"Per cent; ± half of the 95 % interval over {spread_over(scores)} (bootstrap).",
            "Both APs are those of the fused output.",
            "",
            our_block(scores),
            "",
            *([absent, ""] if absent else []),
            *([block] if (block := others_block(scores)) else []),
            note,
            "",
            difference_block(scores),
            *([] if width is None or not (wide := wide_block(scores, width)) else [wide, ""]),
            "## Published",
            "",
            "Porzi et al., CVPR 2021, Table 1, per cent: other images, other networks, not comparable with ours.",
            "",
            published_block(),
            "",
        ]
    )


def write(path: Path, scores: Scores, compared: Sequence[System], record: Mapping[str, Any], page: str) -> None:
    """Write the page, its numbers, their provenance, and the pair tables from which `reproduce.verify` computes them.

    Args:
        path: of the results, without suffix.
        scores, compared, record, page: what is written.
    """
    out, name = path.parent, path.name
    for system in compared:
        if system.predictions.suffix != ".npz":  # else it was read from a pair table
            write_pairs(system.tables.panoptic, out / PAIRS / f"{system.label}.npz")
    csv.write_rows(our_rows(scores), out / f"{name}.csv")
    if differences := difference_rows(scores):
        csv.write_rows(differences, out / f"{name}_differences.csv")
    write_provenance(out / f"{name}.json", record)
    write_atomically(out / f"{name}.md", page)


def main() -> None:
    """Predict, count, and write the table."""
    options = tyro.cli(Options)
    with ending_at_faults("table1"):
        try:
            gt = images(options)
            compared = systems(options, gt)
        except InputError:
            print(f"Published (Porzi et al., CVPR 2021, Table 1), per cent\n\n{published_block()}\n")
            raise
        width = options.embedded.crop if options.embedded else None
        scores = bootstrap(compared, wide=width)
        page = text(gt, scores, width, untrained(scores.labels) if options.shipped else "")
        write(options.result("table1"), scores, compared, about(options, gt, compared), page)
    print(page)


if __name__ == "__main__":
    main()
