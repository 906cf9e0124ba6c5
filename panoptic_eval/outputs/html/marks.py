"""Charts of a report as HTML: stacked bars, points with intervals, tables. Numbers are fractions, shown in percent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from panoptic_eval.metrics.accounting import TITLES
from panoptic_eval.text import printable

LABEL = 0.045
"""Smallest part of a bar's full width in which a number is written."""


@dataclass(frozen=True)
class Point:
    """A value with its interval; NaN where there is none."""

    name: str
    value: float
    low: float
    high: float
    note: str = ""
    """Text after the numbers."""


def text(value: object) -> str:
    """Make any value harmless HTML: names come from files."""
    return escape(printable(str(value)))


def percent(value: float, digits: int = 1) -> str:
    """Write a fraction in percent, with a minus sign; a dash where it is undefined.

    >>> percent(0.4567), percent(-0.01), percent(float("nan"))
    ('45.7', '−1.0', '–')
    """
    if math.isnan(value):
        return "–"
    shown = f"{100 * value:.{digits}f}"
    return ("−" + shown[1:] if shown.startswith("-") else shown) if float(shown) else f"{0:.{digits}f}"


def interval(low: float, high: float) -> str:
    """Write an interval; empty where there is none."""
    return "" if math.isnan(low) else f"{percent(low)} to {percent(high)}"


def legend() -> str:
    """Explain the colors of the causes."""
    parts = (f'<span><i class="c{k}"></i>{title}</span>' for k, title in enumerate(TITLES.values()))
    return f'<div class="legend">{"".join(parts)}</div>'


def bar(account: Mapping[str, float], full: float, *, labels: bool = True) -> str:
    """Draw one stacked bar: a part for each cause, in the order of the titles.

    Args:
        account: value of each cause.
        full: value whose bar fills the width.
        labels: whether numbers are written into the wider parts.
    """
    parts = []
    for k, (name, title) in enumerate(TITLES.items()):
        value = account[name]
        if not value > 0:  # NaN, too
            continue
        share = value / full if full > 0 else 0
        label = percent(value) if labels and share >= LABEL else ""
        hint = f"{title}: {percent(value, 2)}"
        parts.append(f'<i class="c{k}" style="width:{100 * share:.2f}%" title="{hint}">{label}</i>')
    return f'<div class="bar">{"".join(parts)}</div>'


def bars(rows: Sequence[tuple[str, Mapping[str, float], str]]) -> str:
    """Draw stacked bars below each other, on one scale: name, account, and text at the end of each."""
    full = max((sum(v for v in account.values() if v > 0) for _, account, _ in rows), default=0)
    cells = (f"<div>{text(name)}</div>{bar(account, full)}<div>{text(end)}</div>" for name, account, end in rows)
    return f'{legend()}<div class="bars">{"".join(cells)}</div>'


def numbers(head: Sequence[str], rows: Sequence[Sequence[str]], summary: str = "The numbers") -> str:
    """Put the numbers of a chart below it, folded."""
    return f'<details><summary>{summary}</summary><div class="wide">{table(head, rows)}</div></details>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table of texts."""
    heads = "".join(f"<th>{text(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def forest(points: Sequence[Point], *, zero: bool = False, better: int = 0) -> str:
    """Draw values with their intervals as an SVG, one below the other, on one scale.

    Args:
        points: at least one.
        zero: whether a line stands at 0; the scale then includes it.
        better: sign of a value that is an improvement; 0 if there is none. Intervals that exclude 0 are colored by it.
    """
    shown = [p for p in points if not math.isnan(p.value)]
    ends = [e for p in shown for e in (p.value, p.low, p.high) if not math.isnan(e)] + ([0.0] if zero else [])
    low, high = min(ends, default=0), max(ends, default=1)
    margin = 0.05 * (high - low) or 0.01
    low, high = low - margin, high + margin
    left, right, step = 190, 190, 24
    width, height = 720, step * len(points) + 24

    def x(value: float) -> float:
        return left + (width - left - right) * (value - low) / (high - low)

    marks = []
    for tick in _ticks(low, high):
        kind = "axis" if zero and tick == 0 else "grid"
        marks.append(f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="0" y2="{height - 20}"/>')
        marks.append(f'<text x="{x(tick):.1f}" y="{height - 6}" text-anchor="middle">{percent(tick, 0)}</text>')
    for k, point in enumerate(points):
        y = step * k + 14
        name = point.name if len(point.name) <= 28 else f"{point.name[:27]}…"
        numbers_ = (
            f"{percent(point.value)} {f'[{interval(point.low, point.high)}]' if not math.isnan(point.low) else ''}"
        )
        hint = f"<title>{text(point.name)}: {numbers_} {text(point.note)}</title>"
        marks.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{text(name)}</text>')
        if math.isnan(point.value):
            continue
        sign = 0 if math.isnan(point.low) or point.low <= 0 <= point.high else int(math.copysign(1, point.value))
        color = "#0072b2" if not better else {better: "#009e73", -better: "#d55e00", 0: "#8a8d93"}[sign]
        if not math.isnan(point.low):
            marks.append(
                f'<line x1="{x(point.low):.1f}" x2="{x(point.high):.1f}" y1="{y}" y2="{y}" stroke="{color}" '
                f'stroke-width="2">{hint}</line>'
            )
        marks.append(f'<circle cx="{x(point.value):.1f}" cy="{y}" r="4.5" fill="{color}">{hint}</circle>')
        marks.append(f'<text x="{width - right + 10}" y="{y + 4}">{numbers_} {text(point.note)}</text>')
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(marks)}</svg>'


def _ticks(low: float, high: float) -> list[float]:
    """Choose round values within a range, about five."""
    size = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(s * size for s in (1, 2, 5, 10) if (high - low) / (s * size) <= 6)
    step = max(step, 0.01)  # whole percent, as they are written
    return [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
