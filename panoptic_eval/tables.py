"""Reports as tables: Markdown for the terminal, CSV for everything else."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panoptic_eval.files import write_atomically
from panoptic_eval.report import Report
from panoptic_eval.text import printable, spreadsheet

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("PQ", "PQ_th", "PQ_st", "mAP", "mIoU", "PC", "PC_th", "PC_st", "PQ†", "box AP")
"""In the order of Table 1 (Porzi et al., CVPR 2021), box AP added."""


def summary(report: Report) -> dict[str, float]:
    """The columns of Table 1 of one report, fractions. mAP is that of the masks of the fused output."""
    s = report.scores
    values = (
        *(s["PQ"][k] for k in ("all", "things", "stuff")),
        s["AP_mask"]["AP"],
        s["mIoU"]["all"],
        *(s["PC"][k] for k in ("all", "things", "stuff")),
        s["PQ_dagger"]["all"],
        s["AP_box"]["AP"],
    )
    return dict(zip(COLUMNS, values, strict=True))


def markdown(report: Report, *, per_category: bool = False) -> str:
    """Everything that the terminal shows of a report, in per cent; an undefined score is a dash."""
    blocks = [table([summary(report)])]
    groups = {k: v for k, v in report.scores.items() if not k.startswith("AP")}
    blocks.append(table([{"": name, **values} for name, values in groups.items()]))
    aps = {k: v for k, v in report.scores.items() if k.startswith("AP")}
    blocks.append(table([{"": name, **values} for name, values in aps.items()]))
    blocks.append(table(size_rows(report)))
    if per_category:
        blocks.append(table(report.categories))
    return "\n\n".join(blocks)


def size_rows(report: Report) -> list[dict[str, Any]]:
    """One row a size bin, as size_percentiles.csv has them: its edges, and the scores, fractions."""
    s = report.size_percentiles
    edges = [dict(zip(("percent", "area"), e, strict=True)) for e in zip(s["percent"], s["area"], strict=True)]
    columns = [name for name in s if name not in ("percent", "area")]
    return [
        {
            "from_percent": low["percent"],
            "to_percent": high["percent"],
            "from_area": low["area"],
            "to_area": high["area"],
            **{name: s[name][k] for name in columns},
        }
        for k, (low, high) in enumerate(itertools.pairwise(edges))
    ]


_SCORES = {*COLUMNS, "all", "things", "stuff", "AP", "AP50", "AP75", "APs", "APm", "APl", "PQ", "SQ", "RQ", "PQ_dagger"}
_SCORES |= {"PC", "IoU", "AP_mask", "AP_box", "AP_mask_instances", "AP_box_instances"}
_SCORES |= {"a", "b", "difference", "low", "high"}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table, aligned; scores in per cent with one digit."""
    names = list(rows[0])
    cells = [[_cell(name, row[name]) for name in names] for row in rows]
    widths = [max(len(row[k]) for row in [names, *cells]) for k in range(len(names))]
    left = [isinstance(rows[0][name], str) for name in names]

    def line(row: Sequence[str]) -> str:
        padded = (c.ljust(w) if to_left else c.rjust(w) for c, w, to_left in zip(row, widths, left, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = [f":{'-' * (w - 1)}" if to_left else f"{'-' * (w - 1)}:" for w, to_left in zip(widths, left, strict=True)]
    return "\n".join([line(names), line(rule), *(line(row) for row in cells)])


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "–"
    if name in _SCORES and isinstance(value, float):
        return f"{100 * value:.1f}"
    return f"{value:g}" if isinstance(value, float) else printable(str(value)).replace("|", "\\|")


def write_csv(report: Report, folder: Path) -> None:
    """Write per_category.csv, per_image.csv and size_percentiles.csv: fractions, undefined ones empty."""
    named = {"per_category": report.categories, "per_image": report.per_image, "size_percentiles": size_rows(report)}
    for name, rows in named.items():
        write_rows(rows, folder / f"{name}.csv")


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows of the same columns as CSV; NaN is empty, and text is safe in a terminal and in a spreadsheet."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: _csv_cell(v) for k, v in row.items()})
    write_atomically(path, text.getvalue())


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str):
        return spreadsheet(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def read(path: Path | str) -> pd.DataFrame:
    """Read a CSV file that panoptic-eval wrote into a DataFrame; undefined scores are NaN.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("panoptic_eval.tables.read needs pandas:  pip install 'panoptic-eval[plots]'") from error

    return pd.read_csv(path)
