"""Reports as CSV files: fractions, undefined ones empty."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from panoptic_eval.files import write_atomically
from panoptic_eval.metrics.accounting import TITLES, segment_prices
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.report import Report, flat
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
        write_rows([flat(row) for row in rows], folder / f"{name}.csv")


def write_segments(table: PairTable, path: Path) -> None:
    """Write a row for each segment that costs something, the dearest first.

    `price` is its part of 1 - PQ. The causes `too_small` and `too_large` of a match stand in one row, that of its gt
    segment, by the larger of the two.
    """
    gt_prices, pred_prices = segment_prices(table)
    names, text = list(TITLES), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image_id", "side", "id", "category", "area", "cause", "price"])
    sides = [("gt", table.gt, gt_prices), ("pred", table.pred, pred_prices)]
    total = np.concatenate([price.sum(1) for *_, price in sides])
    rows = np.argsort(-total, kind="stable")[: int((total > 0).sum())]
    category = [spreadsheet(c.name) for c in table.catalogue.categories]
    image_id = [spreadsheet(i) if isinstance(i, str) else i for i in table.image_id]
    for row in rows.tolist():
        side, segment, price = sides[row >= len(table.gt)]
        k = row if side == "gt" else row - len(table.gt)
        cause = names[int(price[k].argmax())]
        image, of, area = segment.image[k], segment.category[k], segment.area[k]
        writer.writerow([image_id[image], side, segment.id[k], category[of], area, cause, repr(float(total[row]))])
    write_atomically(path, text.getvalue())


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
