"""Table 1: every arm's scores with their intervals, from predictions of checkpoints; beside it what was published."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from model.checkpoint import CheckpointError
from model.config import PRESETS
from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.labels import LabelMaps
from panoptic_eval.outputs import csv, markdown
from panoptic_eval.pairs import stored
from reproduce.audit import audit, published
from reproduce.bootstrap import Scores, bootstrap
from reproduce.entries import Entry, Source, about, entries, ground_truth
from reproduce.provenance import write_provenance

HEADER = ("PQ", "PQ_th", "PQ_st", "mAP", "mIoU", "PC", "PC_th", "PC_st", "PQ_dagger")
COLUMNS = {
    "PQ": ("PQ", "all"),
    "PQ_th": ("PQ", "things"),
    "PQ_st": ("PQ", "stuff"),
    "mAP": ("AP_mask", "AP"),
    "mIoU": ("mIoU", "all"),
    "PC": ("PC", "all"),
    "PC_th": ("PC", "things"),
    "PC_st": ("PC", "stuff"),
    "PQ†": ("PQ_dagger", "all"),
    "box AP": ("AP_box", "AP"),
}
"""In the order of the published table, box AP added; both APs are those of the fused output."""
TITLES = {
    "full": "FULL",
    "crop": "CROP",
    "crop+cabb": "CROP + CABB",
    "crop+isus": "CROP + ISUS",
    "crop+cabb+isus": "CROP + CABB + ISUS",
    "seamless": "Seamless",
    "seamless+crop": "Seamless + CROP",
    "seamless+cabb+isus": "Seamless + CABB + ISUS",
    "crop+clipped": "CROP, clipped matching (ours)",
    "crop+cabb+isus+clipped": "CROP + CABB + ISUS, clipped matching (ours)",
}

COMPARED = (
    ("full", "crop"),
    ("crop", "crop+cabb"),
    ("crop", "crop+isus"),
    ("crop", "crop+cabb+isus"),
    ("crop", "crop+clipped"),
    ("crop+clipped", "crop+cabb+isus+clipped"),
    ("crop+cabb+isus", "crop+cabb+isus+clipped"),
    ("seamless", "seamless+crop"),
    ("seamless+crop", "seamless+cabb+isus"),
)
"""Arms that differ in what is being tested, the second against the first."""
DIFFERENCES = ("PQ", "PQ_th", "PC_th", "mAP", "box AP")
"""Columns whose differences are on the page, beside those of the largest objects; the CSV file has all."""


@dataclass(frozen=True)
class Options(Source):
    """Table 1 of the arms whose checkpoints there are, and of other systems' predictions; then the published one."""

    out: Path | None = None
    """Gets table1.md, .csv and .json, table1_differences.csv; results/NAME if not given. (With --full: table1_full.)"""


def published_block() -> str:
    """The published rows as a Markdown table, suspicious cells marked, and why they are."""
    rows = published()
    found = audit(rows)
    marks = {(k, column): f"[{n}]" for n, (k, column, _) in enumerate(found, 1)}
    cells = [
        {
            "": f"{row['dataset']} {row['network']}",
            "C": row["crops"],
            "pre-training": row["pretraining"],
            **{c.replace("_dagger", "†"): (row[c] or "–") + marks.get((k, c), "") for c in HEADER},
        }
        for k, row in enumerate(rows)
    ]
    notes = [f"[{n}] {rows[k]['dataset']} {rows[k]['network']}: {why}" for n, (k, _, why) in enumerate(found, 1)]
    return "\n".join([markdown.table(cells), "", *notes])


def crop_width(gt: str) -> float | None:
    """Side of a preset's training crop, pixels of an image whose shortest side is that of the network's input."""
    return float(PRESETS[gt].network.sample.crop or 0) if gt == "streets" else None


def our_rows(scores: Scores) -> list[dict[str, str | float]]:
    """A row an entry and column: value, interval over images, lowest and highest seed; fractions."""
    rows: list[dict[str, str | float]] = []
    for name in scores.by_name:
        for column, (score, part) in COLUMNS.items():
            e = scores.estimate(name, score, part)
            seeds = {"seeds": len(e.seeds), "seeds_low": min(e.seeds), "seeds_high": max(e.seeds)}
            rows.append({"name": name, "column": column, "value": e.value, "low": e.low, "high": e.high, **seeds})
    return rows


def our_block(scores: Scores) -> str:
    """Our rows as a Markdown table, per cent: mean over seeds ± half the 95 % interval over images."""
    cells = []
    for name in scores.by_name:
        row = {"": TITLES.get(name, name), "C": crops(name), "pre-training": "none" if name in TITLES else "–"}
        for column, (score, part) in COLUMNS.items():
            e = scores.estimate(name, score, part)
            row[column] = f"{100 * e.value:.1f} ±{50 * (e.high - e.low):.1f}"
        cells.append(row | {"seeds": str(len(scores.by_name[name]))})
    return markdown.table(cells)


def difference_rows(scores: Scores) -> list[dict[str, str | float]]:
    """A row a compared pair of arms and column: difference, its interval over images paired, p; fractions."""
    top = list(scores.bins)[-1]
    columns = COLUMNS | {f"mAP {top}": ("AP_mask", top), f"box AP {top}": ("AP_box", top)}
    rows: list[dict[str, str | float]] = []
    for a, b in COMPARED:
        if {a, b} <= set(scores.by_name):
            for column, key in columns.items():
                d = scores.difference(a, b, *key)
                numbers = {"difference": d.difference, "low": d.low, "high": d.high, "p": d.p}
                rows.append({"a": a, "b": b, "column": column, **numbers})
    return rows


def difference_block(scores: Scores) -> str:
    """Differences between arms as a Markdown table, per cent points; empty where no two are to be compared."""
    cells: dict[str, dict[str, str]] = {}
    for row in difference_rows(scores):
        a, b, column = (str(row[key]) for key in ("a", "b", "column"))
        if column in DIFFERENCES or column not in COLUMNS:
            value, low, high = (100 * float(row[key]) for key in ("difference", "low", "high"))
            name = f"{TITLES[b]} − {TITLES[a]}"
            cells.setdefault(name, {"": name})[column] = f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
    if not cells:
        return ""
    head = "Differences in per cent points, with 95 % intervals over images (same images and seeds of both):"
    return f"{head}\n\n{markdown.table(list(cells.values()))}\n"


def crops(name: str) -> str:
    """Column C, as published: whether an arm trains on crops."""
    return "–" if name not in TITLES else "no" if name in ("full", "seamless") else "yes"


def spread_block(scores: Scores) -> str:
    """Lowest and highest seed of each entry that has several, per cent; empty where none has."""
    cells = []
    for name, by_seed in scores.by_name.items():
        if len(by_seed) > 1:
            found = {c: scores.estimate(name, *key).seeds for c, key in COLUMNS.items()}
            spread = {c: f"{100 * min(v):.1f}–{100 * max(v):.1f}" for c, v in found.items()}
            cells.append({"": TITLES.get(name, name), **spread})
    return markdown.table(cells) if cells else ""


def wide_block(scores: Scores, width: float) -> str:
    """How well the boxes of objects wider than the training crop are found, before fusion."""
    cells = []
    for name in scores.by_name:
        row = {"": TITLES.get(name, name)}
        for part, factor in (("recall@.5", 100), ("mean IoU", 100), ("width ratio", 1)):
            e = scores.estimate(name, "wide", part)
            digits = 1 if factor == 100 else 2
            row[part] = f"{factor * e.value:.{digits}f} ±{factor * (e.high - e.low) / 2:.{digits}f}"
        cells.append(row)
    head = (
        f"Boxes of the objects wider than the training crop ({width:g} pixels), of each the detection of its category\n"
        "that overlaps it most, before fusion. Recall and IoU in per cent; width ratio: detection by object."
    )
    return f"{head}\n\n{markdown.table(cells)}"


def text(gt: LabelMaps, scores: Scores, width: float | None) -> str:
    """The whole page."""
    seeds = max(len(by_seed) for by_seed in scores.by_name.values())
    note = (
        "Spread over seeds, lowest to highest:\n\n" + spread_block(scores)
        if seeds > 1
        else "One seed an arm: how much a score varies from seed to seed is not known here."
    )
    return "\n".join(
        [
            "# Table 1",
            "",
            "## Ours",
            "",
            f"{gt.source}: {len(gt.maps)} images.",
            "Per cent; ± half of the 95 % interval over images (bootstrap). Both APs are those of the fused output.",
            "",
            our_block(scores),
            "",
            note,
            "",
            difference_block(scores),
            *([] if width is None else [wide_block(scores, width), ""]),
            "## Published",
            "",
            "Porzi et al., CVPR 2021, Table 1, per cent: other images, other networks, not comparable with ours.",
            "",
            published_block(),
            "",
        ]
    )


def write(out: Path, name: str, scores: Scores, found: Sequence[Entry], record: Mapping[str, Any], page: str) -> None:
    """The page, its numbers, where they come from, and the pair tables from which `reproduce.verify` computes them."""
    for entry in found:
        path = out / "pairs" / name / f"{entry.label}.npz"
        table = replace(entry.tables.panoptic, files=())  # predictions are not shipped
        write_atomically(path, stored.pack({"panoptic": table}, path.parent))
    csv.write_rows(our_rows(scores), out / f"{name}.csv")
    if differences := difference_rows(scores):
        csv.write_rows(differences, out / f"{name}_differences.csv")
    write_provenance(out / f"{name}.json", record)
    write_atomically(out / f"{name}.md", page)


def main() -> None:
    """Predict, count, and write the table."""
    options = tyro.cli(Options)
    try:
        gt = ground_truth(options)
        found = entries(options, gt)
    except (InputError, CheckpointError) as error:
        print(f"Published (Porzi et al., CVPR 2021, Table 1), per cent\n\n{published_block()}\n")
        sys.exit(f"table1: {error}")
    width = crop_width(options.gt)
    scores = bootstrap(found, wide=width)
    out = options.out or Path("results") / Path(options.gt).name
    name = "table1_full" if options.full else "table1"
    page = text(gt, scores, width)
    write(out, name, scores, found, about(options, gt, found), page)
    print(page)


if __name__ == "__main__":
    main()
