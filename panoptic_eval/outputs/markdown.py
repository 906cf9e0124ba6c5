"""Reports as Markdown tables, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panoptic_eval import metrics
from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.metrics.accounting import TITLES
from panoptic_eval.report import Report
from panoptic_eval.text import printable

if TYPE_CHECKING:
    from panoptic_eval.comparison import Comparison, Difference

SHOWN_IMAGES = 5
"""Images listed that got worse, and as many that got better."""


class Number(str):
    """A number that is formatted already: it stands on the right of its column."""


def score(name: str, value: float) -> Number:
    """Format a score of a metric: in percent if it is a fraction; a dash where it is undefined.

    >>> score("PQ", 0.4567), score("PQ", float("nan"))
    ('45.7', '–')
    """
    if math.isnan(value):
        return Number("–")
    return Number(f"{100 * value:.1f}" if _is_fraction(name) else f"{value:g}")


def _is_fraction(name: str) -> bool:
    metric = metrics.by_name().get(name)
    return metric is None or metric.fraction


def title(name: str) -> str:
    """Give the name of a score for people: PQ† for PQ_dagger."""
    return ap.TITLES[name] if name in ap.TITLES else metrics.by_name()[name].title


def report(report: Report, *, per_category: bool = False) -> str:
    """Write everything that the terminal shows of a report."""
    names = [name for name in report.scores if name not in ap.TITLES]
    aps = [name for name in report.scores if name in ap.TITLES]
    blocks = [_scores(report, names), _scores(report, aps), _rows(report.size_percentiles)]
    if report.account:
        blocks.append(_account(report))
    if report.groups:
        blocks.append(_groups(report))
    if report.slices:
        blocks.append(_slices(report))
    if per_category:
        blocks.append(_rows(report.categories))
    return "\n\n".join(blocks)


def _scores(report: Report, names: Sequence[str]) -> str:
    """Write a row for each metric, with the 95 % intervals where there are any."""

    def cell(name: str, part: str, value: float) -> Number:
        low, high = report.intervals.get(name, {}).get(part, (math.nan, math.nan))
        shown = score(name, value)
        return shown if math.isnan(low) else Number(f"{shown} [{score(name, low)}, {score(name, high)}]")

    return table([{"": title(name), **{p: cell(name, p, v) for p, v in report.scores[name].items()}} for name in names])


def _account(report: Report) -> str:
    """Write what each cause takes from PQ, in points: a row adds up to 100 - PQ."""
    rows = []
    for group, pq in report.scores["PQ"].items():
        parts = {TITLES[name]: score(name, value) for name, value in report.account[group].items()}
        rows.append({"points of PQ lost": group, **parts, "100 - PQ": score("PQ", 1 - pq)})
    return table(rows)


def _groups(report: Report) -> str:
    """Write the means over groups of categories, with half of their intervals."""
    names = [n for n in report.groups[0] if n in metrics.by_name() or n in ap.TITLES]
    names = [n for n in names if n not in TITLES]

    def cell(row: Mapping[str, Any], name: str) -> Number:
        half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
        return Number(score(name, row[name]) + ("" if math.isnan(half) else f" ±{score(name, half)}"))

    return table(
        [
            {"group": row["group"], "categories": row["categories"], **{title(n): cell(row, n) for n in names}}
            for row in report.groups
        ]
    )


def _slices(report: Report) -> str:
    """Write the scores of slices, and how they differ from those of the other images."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in report.slices:
        line = rows.setdefault(
            (row["attribute"], row["value"]),
            {"attribute": row["attribute"], "value": row["value"], "images": row["images"]},
        )
        name = title(row["score"]) + ("" if row["part"] in ("all", "AP") else f" {row['part']}")
        low, high = row["difference_low"], row["difference_high"]
        mark = "*" if low > 0 or high < 0 else ""
        change = "" if math.isnan(row["difference"]) else f" ({100 * row['difference']:+.1f}{mark})"
        line[name] = Number(f"{score(row['score'], row['slice'])}{change}")
    note = "In brackets: difference to the images with other values of the attribute. *: its 95 % interval excludes 0."
    return f"{table(list(rows.values()))}\n\n{note}"


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows of a report, whose columns are named as the scores are."""
    named = {*metrics.by_name(), *ap.TITLES, "PQ_low", "PQ_high"}
    return table([{k: score(k, v) if k in named else v for k, v in row.items() if k != "account"} for row in rows])


def run_names(a: Path, b: Path) -> tuple[str, str]:
    """Choose short names of two runs: those of their folders, or a and b where these do not tell them apart."""
    names = a.resolve().name, b.resolve().name
    columns = {"", "score", "part", "difference", "low", "high", "p", "image"}
    return names if names[0] != names[1] and columns.isdisjoint(names) else ("a", "b")


def names_of(runs: Sequence[Path]) -> list[str]:
    """Choose short names of runs: those of their folders, or the paths as given where these do not tell them apart."""
    names = [run.resolve().name for run in runs]
    return [str(run) for run in runs] if len(set(names)) < len(names) else names


def comparison(result: Comparison, a: str, b: str, *, per_category: bool = False) -> str:
    """Write everything that the terminal shows of two runs.

    Args:
        result: of the runs.
        a, b: their names.
        per_category: whether to add a row for each score of each category.
    """
    causes = {metric.name for metric in metrics.CAUSES}
    lost = [_difference(d, a, b) for d in result.scores if d.score in causes]
    blocks = [table([_difference(d, a, b) for d in result.scores if d.score not in causes])]
    if lost:
        head = "Points of PQ that each cause takes. Together they fall by as much as PQ rises:"
        blocks.append(f"{head}\n\n{table(lost)}")
    if per_category:
        blocks.append(table([_difference(d, a, b) for d in result.categories]))
    worse = [row for row in result.images if row["difference"] < 0][:SHOWN_IMAGES]
    better = [row for row in result.images[::-1] if row["difference"] > 0][:SHOWN_IMAGES]
    for kind, rows in (("worse", worse), ("better", better)):
        if rows:
            names = {a: "a", b: "b", "difference": "difference"}
            cells = [
                {"image": str(row["image_id"]), **{name: score("PQ", row[key]) for name, key in names.items()}}
                for row in rows
            ]
            blocks.append(f"PQ of images that are {kind} in {b}:\n\n{table(cells)}")
    return "\n\n".join(blocks)


def _difference(d: Difference, a: str, b: str) -> dict[str, str]:
    values = {a: d.a, b: d.b, "difference": d.difference, "low": d.low, "high": d.high}
    p = "–" if math.isnan(d.p) else f"<{d.smallest_p:.2g}" if d.p <= d.smallest_p < 1 else f"{d.p:.2g}"
    shown = {name: score(d.score, value) for name, value in values.items()}
    return {"score": title(d.score), "part": d.part, **shown, "p": Number(p)}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write a Markdown table, aligned: text on the left, numbers on the right; NaN is a dash."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    heads = [_cell(name) for name in names]
    widths = [max(len(row[k]) for row in [heads, *cells]) for k in range(len(names))]
    left = [isinstance(rows[0][name], str) and not isinstance(rows[0][name], Number) for name in names]

    def line(row: Sequence[str]) -> str:
        padded = (c.ljust(w) if to_left else c.rjust(w) for c, w, to_left in zip(row, widths, left, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = [f":{'-' * (w - 1)}" if to_left else f"{'-' * (w - 1)}:" for w, to_left in zip(widths, left, strict=True)]
    return "\n".join([line(heads), line(rule), *(line(row) for row in cells)])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:g}"
    return printable(str(value)).replace("|", "\\|")
