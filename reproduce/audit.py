"""Does a published table agree with itself? Table 1 of Porzi et al., CVPR 2021, row by row."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

PUBLISHED = Path(__file__).parent / "published" / "table1.csv"
CATEGORIES = {"mvd": (37, 28), "idd": (9, 17), "cityscapes": (8, 11)}
"""Thing and stuff categories of each data set."""
ROUNDING = 0.1
"""Per cent points: three figures, each rounded to 0.1, may disagree by this much."""

Row = Mapping[str, str]


def published() -> list[dict[str, str]]:
    """Return the rows of Table 1, per cent as printed; empty where the paper gives nothing."""
    with PUBLISHED.open(newline="") as file:
        return list(csv.DictReader(file))


def weighted_mean(row: Row, metric: str) -> float | None:
    """Average all categories as follows from a row's things and stuff, per cent; None where one is missing."""
    things, stuff = CATEGORIES[row["dataset"]]
    if not (row[f"{metric}_th"] and row[f"{metric}_st"]):
        return None
    return (things * float(row[f"{metric}_th"]) + stuff * float(row[f"{metric}_st"])) / (things + stuff)


def stuff_gain(row: Row) -> float | None:
    """Say how far PQ† of stuff, as it follows from PQ† and PQ of things, lies above PQ of stuff; per cent points."""
    things, stuff = CATEGORIES[row["dataset"]]
    if not (row["PQ_dagger"] and row["PQ_th"] and row["PQ_st"]):
        return None
    implied = ((things + stuff) * float(row["PQ_dagger"]) - things * float(row["PQ_th"])) / stuff
    return implied - float(row["PQ_st"])


def audit(rows: Sequence[Row]) -> list[tuple[int, str, str]]:
    """List the cells that cannot be right or are unlikely to be: index of the row, column, why."""
    found = []
    for k, row in enumerate(rows):
        peers = [r for r in rows if r["dataset"] == row["dataset"]]
        for metric in ("PQ", "PC"):
            mean = weighted_mean(row, metric)
            if mean is not None and row[metric] and abs(float(row[metric]) - mean) > ROUNDING:
                why = f"{metric} is {row[metric]}, but its things and stuff give {mean:.2f}"
                found.append((k, metric, why))
        miou = [float(r["mIoU"]) for r in peers if r["mIoU"]]
        if row["mIoU"] and row["mIoU"] == row["PQ_dagger"] and median(miou) - float(row["mIoU"]) > 10:
            why = f"mIoU is {row['mIoU']}, the row's PQ†, and far below the others' median of {median(miou):.1f}"
            found.append((k, "mIoU", why))
        gain = stuff_gain(row)
        gains = [g for g in map(stuff_gain, peers) if g is not None]
        if gain is not None and abs(gain - median(gains)) > 3:
            others = f"the others' {median(gains):+.1f}"
            why = f"PQ† is {row['PQ_dagger']}: its stuff would be {gain:+.1f} from PQ_st, {others}"
            found.append((k, "PQ_dagger", why))
    return found
