"""Scores of several runs as a table for a paper: the columns of Porzi et al., CVPR 2021, Table 1, and box AP."""

from __future__ import annotations

import csv as csv_module
import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from panoptic_eval.outputs import markdown as markdown_output
from panoptic_eval.report import Report
from panoptic_eval.text import printable, spreadsheet

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
"""Score and part of each column, in the order of the published table, box AP added. Both APs are those of the panoptic
output."""
UNITS = "Percent; ± half of the 95 % interval over images (bootstrap)."
LATEX_HEADS = {"PQ†": r"PQ$^\dagger$", "mAP": "mAP"}
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}
"""What LaTeX would not print as it is."""


@dataclass(frozen=True)
class Cell:
    """A score, fraction; NaN where it is undefined."""

    value: float
    low: float
    """2.5th percentile over resampled images; NaN without resamples."""
    high: float


Rows = Mapping[str, Mapping[str, Cell]]
"""Cells of each run, by its name and the name of the column."""


def cells(report: Report) -> dict[str, Cell]:
    """Take the columns of the table from a report."""
    found = {}
    for column, (score, part) in COLUMNS.items():
        low, high = report.intervals.get(score, {}).get(part, (math.nan, math.nan))
        found[column] = Cell(report.scores[score][part], low, high)
    return found


def markdown(rows: Rows) -> str:
    """Write a Markdown table."""
    best = _best(rows)
    table = [
        {"": name, **{c: _shown(cell, c, name in best[c], "**{}**".format, "±") for c, cell in of_run.items()}}
        for name, of_run in rows.items()
    ]
    return f"{markdown_output.table(table)}\n\n{_units(rows)}"


def latex(rows: Rows) -> str:
    """Write a LaTeX table for the package booktabs."""
    best = _best(rows)
    heads = [LATEX_HEADS.get(c, re.sub(r"_(\w+)", r"$_\\mathrm{\1}$", c)) for c in COLUMNS]
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(COLUMNS)}}}",
        r"\toprule",
        " & ".join(["", *heads]) + r" \\",
        r"\midrule",
    ]
    for name, of_run in rows.items():
        shown = [_shown(cell, c, name in best[c], r"\textbf{{{}}}".format, r"$\pm$") for c, cell in of_run.items()]
        lines.append(" & ".join([escaped(name), *shown]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", f"% {_units(rows)}"])


def escaped(text: str) -> str:
    r"""Write text so that LaTeX prints it as it is.

    >>> print(escaped("crop_50% & {x}"))
    crop\_50\% \& \{x\}
    """
    return "".join(SPECIAL.get(c, c) for c in printable(text))


def csv(rows: Rows) -> str:
    """Write a row of CSV for each run and column."""
    text = io.StringIO()
    writer = csv_module.writer(text, lineterminator="\n")
    writer.writerow(["run", "column", "value", "low", "high"])
    for name, of_run in rows.items():
        for column, cell in of_run.items():
            numbers = ["" if math.isnan(v) else repr(v) for v in (cell.value, cell.low, cell.high)]
            writer.writerow([spreadsheet(name), column, *numbers])
    return text.getvalue().rstrip()


def _best(rows: Rows) -> dict[str, set[str]]:
    """Return the runs with the largest printed value of each column; none where there is one run only."""
    best = {}
    for column in COLUMNS:
        printed = {name: round(100 * of_run[column].value, 1) for name, of_run in rows.items()}
        known = {name: value for name, value in printed.items() if not math.isnan(value)}
        best[column] = (
            {name for name, value in known.items() if value == max(known.values())} if len(rows) > 1 else set()
        )
    return best


def _shown(
    cell: Cell, column: str, is_best: bool, bold: Callable[[str], str], plus_minus: str
) -> markdown_output.Number:
    number = markdown_output.score(COLUMNS[column][0], cell.value)
    shown = bold(number) if is_best else number
    half = "" if math.isnan(cell.low) else f" {plus_minus}{50 * (cell.high - cell.low):.1f}"
    return markdown_output.Number(f"{shown}{half}")


def _units(rows: Rows) -> str:
    known = any(not math.isnan(cell.low) for of_run in rows.values() for cell in of_run.values())
    units = UNITS if known else "Percent."
    return f"{units} Bold: the best of a column." if len(rows) > 1 else units
