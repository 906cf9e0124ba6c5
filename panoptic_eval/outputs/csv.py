"""Reports as CSV files: fractions, undefined ones empty."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panoptic_eval.files import write_atomically
from panoptic_eval.report import Report
from panoptic_eval.text import spreadsheet

if TYPE_CHECKING:
    import pandas as pd


def write(report: Report, folder: Path) -> None:
    """Write per_category.csv, per_image.csv and size_percentiles.csv."""
    files = {
        "per_category": report.categories,
        "per_image": report.per_image,
        "size_percentiles": report.size_percentiles,
    }
    for name, rows in files.items():
        write_rows(rows, folder / f"{name}.csv")


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows of the same columns; NaN is empty, and text is safe in a terminal and in a spreadsheet."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    write_atomically(path, text.getvalue())


def _cell(value: Any) -> Any:
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
        raise ImportError("panoptic_eval.outputs.csv.read needs pandas:  pip install 'panoptic-eval[plots]'") from error

    return pd.read_csv(path)
