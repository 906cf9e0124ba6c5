"""Sections of the HTML report beside the scores: curves, reliability, groups, slices, and possible label errors."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from panoptic_eval.errors import InputError, PngError
from panoptic_eval.metrics.average_precision import TITLES
from panoptic_eval.outputs.html import marks
from panoptic_eval.outputs.html.marks import Point, interval, percent, text
from panoptic_eval.outputs.html.sections import section
from panoptic_eval.outputs.pictures import around
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.report import Report

SIDE, MARGIN = 300, 44
"""Side of a chart, and room for its labels, pixels."""
CURVES = {"AP50": "#0072b2", "AP": "#009e73", "AP75": "#d55e00"}
"""Color of each curve."""
PICTURED, LISTED = 12, 50
"""Largest number of label errors with a picture, and in the list."""
PANEL = 240
"""Longer side of a panel of these pictures, pixels."""


@dataclass(frozen=True)
class Line:
    """Values to draw over others, fractions; NaN leaves a gap."""

    name: str
    color: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False
    """True for points without a line."""


def curves(report: Report) -> str:
    """Show precision over recall of each AP."""
    found = report.precision_recall
    charts, rows = [], []
    for score in (name for name in found if name in TITLES):
        lines = [Line(part, color, found["recall"], found[score][part]) for part, color in CURVES.items()]
        charts.append(f"<div>{square(lines, 'recall', 'precision')}<p>{TITLES[score]}</p></div>")
        rows += [
            [TITLES[score], percent(recall, 0), *(percent(found[score][part][k]) for part in CURVES)]
            for k, recall in enumerate(found["recall"])
            if k % 10 == 0
        ]
    if not charts:
        return ""
    return section(
        "Precision and recall",
        "Averaged over categories: at IoU 0.5 (AP50) and 0.75 (AP75), and over ten thresholds (AP). "
        "The mean of a curve is the score of its name.",
        key(CURVES),
        f'<div class="charts">{"".join(charts)}</div>',
        marks.numbers(["score", "recall", *CURVES], rows),
        *_missing(report),
    )


def _missing(report: Report) -> list[str]:
    """Say where the missing points of AP went, by size."""
    sizes = ["all", *(f"{row['from_area']:.0f}–{row['to_area']:.0f} px" for row in report.size_percentiles)]
    return [
        marks.numbers(
            ["size", "place", "class", "spurious", "missed"],
            [[size, *(percent(value, 2) for value in row.values())] for size, row in zip(sizes, accounts, strict=True)],
            f"Where the missing points of {TITLES[score]} went: AP and the parts of a row add up to 100",
        )
        for score, accounts in report.ap_account.items()
        if not math.isnan(accounts[0]["missed"])  # there are instances
    ]


def reliability(report: Report) -> str:
    """Show how many of the segments with a score match."""
    if not report.reliability:
        return ""
    bins = [b for b in report.reliability["bins"] if b["segments"]]
    diagonal = Line("right as often as the score says", "#8a8d93", [0, 1], [0, 1])
    dots = Line("segments", "#0072b2", [b["mean_score"] for b in bins], [b["matched"] for b in bins], dots=True)
    rows = [
        [f"{b['from']:g}–{b['to']:g}", str(b["segments"]), percent(b["mean_score"]), percent(b["matched"])]
        for b in bins
    ]
    low, high = report.reliability["low"], report.reliability["high"]
    limits = f" (95 % interval {interval(low, high)})" if interval(low, high) else ""
    return section(
        "Are scores probabilities?",
        f"Expected calibration error: {percent(report.reliability['ECE'])} %{limits}. "
        "Points below the diagonal are too sure.",
        key({line.name: line.color for line in (dots, diagonal)}),
        f'<div class="charts"><div>{square([diagonal, dots], "score", "share that matches")}</div></div>',
        marks.numbers(["score", "segments", "mean score", "match"], rows),
    )


def groups(report: Report) -> str:
    """Show the means over groups of categories."""
    if not report.groups:
        return ""
    points = [
        Point(row["group"], row["PQ"], row["PQ_low"], row["PQ_high"], f"of {row['categories']}")
        for row in report.groups
    ]
    names = [name for name in ("PQ", "SQ", "RQ", "PC", "mIoU", "AP_mask", "AP_box") if name in report.groups[0]]
    rows = [[row["group"], str(row["categories"]), *(percent(row[n]) for n in names)] for row in report.groups]
    return section(
        "Groups of categories",
        "Mean PQ of the categories of each group, with 95 % intervals.",
        marks.forest(points),
        marks.numbers(["group", "categories", *names], rows),
    )


def slices(report: Report) -> str:
    """Show the PQ of images with each value of each attribute, and how it differs from the other images."""
    pq = [row for row in report.slices if (row["score"], row["part"]) == ("PQ", "all")]
    parts = []
    for attribute in dict.fromkeys(row["attribute"] for row in pq):
        of = [row for row in pq if row["attribute"] == attribute]
        points = [Point(r["value"], r["slice"], r["low"], r["high"], f"{r['images']} images") for r in of]
        parts += [f"<p><b>{text(attribute)}</b>: PQ with 95 % intervals</p>", marks.forest(points)]
    if not parts:
        return ""
    rows = [
        [
            f"{r['attribute']}: {r['value']}",
            f"{r['score']} {r['part']}",
            percent(r["slice"]),
            percent(r["rest"]),
            percent(r["difference"]),
            interval(r["difference_low"], r["difference_high"]),
            "–" if math.isnan(r["p"]) else f"{r['p']:.2g}",
        ]
        for r in report.slices
    ]
    return section(
        "Slices of the images",
        "Each slice is compared with the images that have other values of its attribute. "
        "p values are not corrected for the number of slices.",
        *parts,
        marks.numbers(["slice", "score", "here", "others", "difference", "95 % interval", "p"], rows),
    )


def label_errors(report: Report, table: PairTable) -> str:
    """List predictions that are sure of what no segment of the ground truth explains, with pictures of the first."""
    rows = list(report.label_errors[:LISTED])
    if not rows:
        return ""
    at = {image_id: k for k, image_id in enumerate(table.image_id)}
    figures = [figure for row in rows[:PICTURED] if (figure := _picture(row, table, at))] if table.files else []
    listed = [
        [
            str(row["image_id"]),
            row["category"],
            "–" if row["score"] is None else f"{row['score']:.2f}",
            _what(row),
        ]
        for row in rows
    ]
    return section(
        "Errors in the ground truth?",
        f"{len(report.label_errors)} predictions that are sure of what no segment of the ground truth explains, the "
        "surest first: photograph, ground truth, prediction. Whether the ground truth is wrong is for an eye to say.",
        f'<div class="candidates">{"".join(figures)}</div>',
        marks.numbers(["image", "predicted", "score", "ground truth"], listed, f"The first {len(listed)}"),
    )


def _what(row: Mapping[str, Any]) -> str:
    return "nothing there" if row["gt_category"] is None else f"{row['gt_category']}, IoU {row['iou']:.2f}"


def _picture(row: Mapping[str, Any], table: PairTable, at: Mapping[Any, int]) -> str:
    """Draw one candidate; empty where its files are not where they were."""
    image = at.get(row["image_id"])
    if image is None:
        return ""
    try:
        drawn = around(table, image, row["box"], longest=PANEL)
    except (InputError, PngError):
        return ""
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, "JPEG", quality=75)
    content = base64.b64encode(file.getvalue()).decode()
    score = "" if row["score"] is None else f" {row['score']:.2f}"
    caption = f"<b>{text(row['category'])}{score}</b> in {text(row['image_id'])}: {text(_what(row))}"
    alt = f"photograph, ground truth and prediction around a {text(row['category'])}"
    return (
        f'<figure><img class="wide-picture" alt="{alt}" src="data:image/jpeg;base64,{content}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def key(colors: Mapping[str, str]) -> str:
    """Explain the colors of lines."""
    parts = (f'<span><b style="background:{color}"></b>{text(name)}</span>' for name, color in colors.items())
    return f'<div class="legend">{"".join(parts)}</div>'


def square(lines: Sequence[Line], x_title: str, y_title: str) -> str:
    """Draw values from 0 to 1 over others from 0 to 1, as an SVG."""
    side = SIDE + MARGIN

    def place(x: float, y: float) -> tuple[float, float]:
        return MARGIN + SIDE * x - 6, 6 + (SIDE - 12) * (1 - y)

    drawn = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        (left, y), (right, _) = place(0, tick), place(1, tick)
        (x, top), (_, bottom) = place(tick, 1), place(tick, 0)
        drawn.append(f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>')
        drawn.append(f'<text x="{left - 5:.1f}" y="{y + 4:.1f}" text-anchor="end">{percent(tick, 0)}</text>')
        drawn.append(f'<text x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{percent(tick, 0)}</text>')
    for line in lines:
        points = [place(x, y) for x, y in zip(line.x, line.y, strict=True) if not math.isnan(x + y)]
        if line.dots:
            drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{line.color}"/>' for x, y in points]
        else:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            drawn.append(f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="2"/>')
    middle = MARGIN + SIDE / 2
    drawn.append(f'<text x="{middle}" y="{side - 8}" text-anchor="middle">{text(x_title)}, %</text>')
    turn = f"rotate(-90 12 {SIDE / 2})"
    drawn.append(f'<text x="12" y="{SIDE / 2}" text-anchor="middle" transform="{turn}">{text(y_title)}, %</text>')
    return f'<svg viewBox="0 0 {side + 6} {side}" role="img">{"".join(drawn)}</svg>'
