"""Table 1: what was published, with an audit, and a row for each prediction directory scored so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from panoptic_eval import report, tables
from reproduce.audit import audit, published

HEADER = ("PQ", "PQ_th", "PQ_st", "mAP", "mIoU", "PC", "PC_th", "PC_st", "PQ_dagger")


@dataclass(frozen=True)
class Options:
    """Print Table 1 of the paper, audited, and the scores of every run below a folder."""

    runs: Path = Path("runs")
    """Searched for report.json, which panoptic-eval --out writes."""


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
    return "\n".join([tables.table(cells), "", *notes])


def scored_block(runs: Path) -> str:
    """A row for each report below a folder."""
    files = sorted(runs.glob("**/report.json"))
    if not files:
        return f"None yet: panoptic-eval --pred DIR --gt GT --out {runs}/NAME adds a row."
    rows = [{"": file.parent.relative_to(runs).as_posix(), **tables.summary(report.read(file))} for file in files]
    return tables.table(rows)


def main() -> None:
    """Print both blocks."""
    options = tyro.cli(Options)
    print(f"Published (Porzi et al., CVPR 2021, Table 1), per cent\n\n{published_block()}\n")
    print(f"Scored here, per cent\n\n{scored_block(options.runs)}")


if __name__ == "__main__":
    main()
