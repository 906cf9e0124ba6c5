"""Sections of the HTML report that need no picture: each is a function of the report, or of what was compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from panoptic_eval.comparison import Comparison
from panoptic_eval.metrics.accounting import TITLES
from panoptic_eval.outputs.html import marks
from panoptic_eval.outputs.html.marks import Point, interval, percent, text
from panoptic_eval.report import Report
from panoptic_eval.size_curves import SizePoint

NAN = math.nan
TILES = (
    ("PQ", "PQ", "all"),
    ("PQ things", "PQ", "things"),
    ("PQ stuff", "PQ", "stuff"),
    ("mask AP", "AP_mask", "AP"),
    ("box AP", "AP_box", "AP"),
    ("PQ†", "PQ_dagger", "all"),
    ("PC", "PC", "all"),
    ("mIoU", "mIoU", "all"),
    ("boundary PQ", "PQ_boundary", "all"),
    ("boundary AP", "AP_boundary", "AP"),
)
"""Title, score and part of the tiles; those that a run does not have are left out."""
FLOW = 30
"""Largest number of categories in the matrix of pixels; the others are one row and one column."""
FAINT = 0.0005
"""Smallest cost that is written into a cell of the matrix."""
GROUP_NAMES = {"all": "all", "things": "things", "stuff": "stuff"}
DEFAULTS = {"protocol": "default", "pc_weight": "image", "miou_over": "either", "missing": "error", "boundary": 0.0}
"""Choices whose other values are shown at the head."""


def head(report: Report, name: str) -> str:
    """Write what was scored, all warnings, and the main scores with their intervals."""
    about, choices = report.provenance, report.protocol
    images = f"{report.images} image{'s' * (report.images != 1)}"
    facts = [images, *(f"{key} {choices[key]}" for key, usual in DEFAULTS.items() if choices.get(key, usual) != usual)]
    if "version" in about:
        facts.append(f"panoptic-eval {about['version']}")
    sources = [f"{key}: {about[key]}" for key in ("gt", "pred") if key in about]
    warnings = "".join(f"<p>{text(warning)}</p>" for warning in report.warnings)
    tiles = []
    for title, score, part in TILES:
        if score in report.scores:
            low, high = report.intervals.get(score, {}).get(part, (NAN, NAN))
            small = interval(low, high) or "&nbsp;"
            tiles.append(
                f'<div class="tile"><b>{percent(report.scores[score][part])}</b>{title}<small>{small}</small></div>'
            )
    return (
        f"<h1>{text(name)}</h1><p class=soft>{text(' · '.join(facts))}</p>"
        f"<p class=soft>{'<br>'.join(map(text, sources))}</p>"
        f"{f'<div class=warnings><b>Warnings</b>{warnings}</div>' if warnings else ''}"
        f'<div class="tiles">{"".join(tiles)}</div>'
        "<p class=soft>Percent. Below each score: its 95 % interval over resampled images, if any were drawn.</p>"
    )


def account(report: Report) -> str:
    """Show where the missing points of PQ went."""
    if not report.account:
        return section(
            "Where the missing points of PQ went",
            "There is no account under --protocol panopticapi: with areas that a JSON states, parts may be negative.",
        )
    lost = {group: 1 - report.scores["PQ"][group] for group in report.account}
    rows = [(GROUP_NAMES[g], parts, percent(lost[g])) for g, parts in report.account.items()]
    cells = []
    for group, parts in report.account.items():
        for name, title in TITLES.items():
            low, high = report.intervals.get(name, {}).get(group, (NAN, NAN))
            gain = report.if_fixed[group][name]
            cells.append([group, title, percent(parts[name], 2), interval(low, high), percent(gain, 2)])
        cells.append([group, "sum", percent(lost[group], 2), "", ""])
    return section(
        f"Where the missing {percent(lost['all'])} points of PQ went",
        "The parts of a row add up to 100 − PQ exactly: each wrong segment has a price and one cause.",
        marks.bars(rows),
        marks.numbers(
            ["of", "cause", "points lost", "95 % interval", "gain if it alone were fixed"],
            cells,
            "The numbers, and what repairing one cause alone would gain (which does not add up)",
        ),
    )


def sizes(report: Report, points: Sequence[SizePoint]) -> str:
    """Show what objects of each size cost, and AP within each size."""
    if not report.size_percentiles or not points:
        return ""
    names = list(dict.fromkeys(point.bin for point in points))
    parts = []
    if report.account:
        rows = [
            (name, row["account"], f"{percent(sum(row['account'].values()))} ({_pixels(row)})")
            for name, row in zip(names, report.size_percentiles, strict=True)
        ]
        cells = [[name, *(percent(account[cause], 2) for cause in TITLES)] for name, account, _ in rows]
        parts = [marks.bars(rows), marks.numbers(["size", *TITLES.values()], cells)]
    for score, title in (("AP_mask", "mask AP"), ("AP_box", "box AP")):
        of_score = [p for p in points if p.score == score]
        drawn = [Point(p.bin, p.value, p.low, p.high, f"of {p.instances}") for p in of_score]
        cells = [[p.name, percent(p.value, 2), interval(p.low, p.high), p.note] for p in drawn]
        parts += [f"<p><b>{title}</b> within each size, with 95 % intervals</p>", marks.forest(drawn)]
        parts.append(marks.numbers(["size", title, "95 % interval", "instances"], cells))
    return section(
        "By size of the objects",
        "Bins of area, by percentiles of all things. The bars of all sizes add up to 100 − PQ of things.",
        *parts,
    )


def categories(report: Report) -> str:
    """Write a table of all categories that can be sorted."""
    head = ["category", "PQ", "95 %", "100 − PQ", "TP", "FP", "FN", "SQ", "RQ", "mask AP", "box AP", "PC", "mIoU"]
    scores = ("SQ", "RQ", "AP_mask", "AP_box", "PC", "mIoU")
    full = max((sum(v for v in row.get("account", {}).values() if v > 0) for row in report.categories), default=0)
    rows = []
    for row in sorted(report.categories, key=lambda row: (math.isnan(row["PQ"]), row["PQ"])):
        low, high = row.get("PQ_low", NAN), row.get("PQ_high", NAN)
        bar = marks.bar(row["account"], full, labels=False) if "account" in row else ""
        cells = [
            _cell(row["name"], text(row["name"])),
            _cell(row["PQ"], percent(row["PQ"])),
            _cell(high - low, interval(low, high)),
            _cell(1 - row["PQ"], bar),
            *(_cell(row[name], str(row[name])) for name in ("TP", "FP", "FN")),
            *(_cell(row[name], percent(row[name])) for name in scores),
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = "".join(f"<th><button>{title}</button></th>" for title in head)
    return section(
        "Categories",
        "Worst first; a click on a head sorts.",
        f"{marks.legend()}" if report.account else "",
        f'<div class="wide"><table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>",
    )


def flow(report: Report) -> str:
    """Show which category takes whose pixels."""
    if not report.pixel_flow:
        return ""
    cost: dict[str | None, float] = {}
    for row in report.pixel_flow:
        for name in {row["true"], row["predicted"]} - {None}:
            cost[name] = cost.get(name, 0) + row["cost"]
    shown = set(sorted(cost, key=lambda name: -cost[name])[:FLOW])
    names = [row["name"] for row in report.categories if row["name"] in shown]
    others = ["(others)"] if len(cost) > len(shown) else []
    matrix: dict[tuple[str, str], float] = {}
    for row in report.pixel_flow:
        true, predicted = (
            edge if row[key] is None else row[key] if row[key] in shown else "(others)"
            for key, edge in (("true", "(void)"), ("predicted", "(nothing)"))
        )
        matrix[true, predicted] = matrix.get((true, predicted), 0) + row["cost"]
    columns = [*names, *others, "(nothing)"]
    full = max(matrix.values())
    lines = []
    for true in [*names, *others, "(void)"]:
        cells = [f"<td>{text(true)}</td>"]
        for predicted in columns:
            value = matrix.get((true, predicted), 0)
            if value < FAINT:
                cells.append("<td></td>")
                continue
            right = " class=right" if true == predicted else ""
            tint = f"background:rgba(var(--heat),{min(1, value / full) * 0.75:.2f})"
            cells.append(f'<td{right} style="{tint}" title="{percent(value, 3)}">{percent(value)}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    heads = "".join(f"<th>{text(name)}</th>" for name in columns)
    total = percent(sum(row["cost"] for row in report.pixel_flow))
    listed = [
        [row["true"] or "(void)", row["predicted"] or "(nothing)", percent(row["cost"], 3)]
        for row in report.pixel_flow[:50]
    ]
    return section(
        "Who takes whose pixels",
        "Points of PQ lost where the truth of a row was predicted as a column, without any threshold. All cells add "
        f"up to {total}. Framed: the right category, in the wrong segment.",
        f'<div class="wide"><table class="flow"><thead><tr><th></th>{heads}</tr></thead><tbody>{"".join(lines)}</tbody>'
        "</table></div>",
        marks.numbers(["true", "predicted", "points of PQ"], listed, f"The {len(listed)} largest"),
    )


def against(comparison: Comparison, name: str, other: str) -> str:
    """Show in what a second run differs: every score, every cause, and the categories that changed most."""
    whole = {(d.score, d.part): d for d in comparison.scores}
    drawn = [whole[score, part] for _, score, part in TILES if (score, part) in whole]
    titles = {(score, part): title for title, score, part in TILES}
    scores = [Point(titles[d.score, d.part], d.difference, d.low, d.high) for d in drawn]
    causes = [
        Point(title, d.difference, d.low, d.high)
        for cause, title in TITLES.items()
        if (d := whole.get((cause, "all"))) is not None
    ]
    by_category = [d for d in comparison.categories if d.score == "PQ" and not math.isnan(d.difference)]
    by_category.sort(key=lambda d: -abs(d.difference))
    changed = [Point(d.part, d.difference, d.low, d.high) for d in by_category[:12]]
    parts = [marks.forest(scores, zero=True, better=1) if scores else ""]
    if causes:
        total = sum(point.value for point in causes)
        parts += [
            f"<p><b>Points of PQ that each cause takes</b>: together {percent(total)}; PQ changes by the opposite.</p>",
            marks.forest(causes, zero=True, better=-1),
        ]
    if changed:
        parts += [
            "<p><b>PQ of the categories that changed most</b></p>",
            marks.forest(changed, zero=True, better=1),
        ]
    cells = [
        [point.name, percent(point.value, 2), interval(point.low, point.high)] for point in (*scores, *causes, *changed)
    ]
    worse = [row for row in comparison.images if row["difference"] < 0]
    better = [row for row in comparison.images if row["difference"] > 0]
    listed = [
        [str(row["image_id"]), percent(row["a"]), percent(row["b"]), percent(row["difference"])]
        for row in (*worse[:8], *better[::-1][:8])
    ]
    return section(
        f"{other} against {name}",
        f"{other} minus {name}, in points, with 95 % intervals of a paired bootstrap over images. Color: the interval "
        f"excludes 0; green is better. {len(worse)} images got worse, {len(better)} better.",
        *parts,
        marks.numbers(["score", "difference", "95 % interval"], cells),
        marks.numbers(["image", name, other, "difference of PQ"], listed, "Images that got worse, and better, most"),
    )


def made(report: Report) -> str:
    """Say how the report was made."""
    facts: dict[str, Any] = {
        key: value for key, value in {**report.protocol, **report.provenance}.items() if value not in ("", [], None)
    }
    rows = "".join(f"<dt>{text(key)}</dt><dd>{text(_plain(value))}</dd>" for key, value in facts.items())
    undefined = "".join(f"<dt>{text(key)}</dt><dd>undefined: {text(why)}</dd>" for key, why in report.undefined.items())
    return section("How it was made", "", f"<dl>{rows}{undefined}</dl>")


def section(title: str, lead: str, *parts: str) -> str:
    """Put a heading and a line of explanation above the parts of a section."""
    return (
        f"<section><h2>{text(title)}</h2>{f'<p class=soft>{text(lead)}</p>' if lead else ''}{''.join(parts)}</section>"
    )


def _cell(value: float | str, shown: str) -> str:
    """Write a cell. A fraction carries more digits to sort by than are shown; names and counts are sorted as shown."""
    if not isinstance(value, float):
        return f"<td>{shown}</td>"
    return f'<td data-v="{"" if math.isnan(value) else f"{value:.6g}"}">{shown}</td>'


def _pixels(row: Mapping[str, Any]) -> str:
    return f"{row['from_area']:.0f}–{row['to_area']:.0f} px"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(v)}" for key, v in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(_plain, value))
    return str(value)
