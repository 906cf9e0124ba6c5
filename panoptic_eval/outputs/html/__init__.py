"""A run as one HTML file that can be mailed: it loads nothing from anywhere, and equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from panoptic_eval.comparison import compare, in_the_order_of
from panoptic_eval.errors import InputError
from panoptic_eval.metrics.accounting import account_counts, image_costs, segment_prices
from panoptic_eval.outputs.html import analyses, sections
from panoptic_eval.outputs.html.document import STYLE, document
from panoptic_eval.outputs.html.gallery import Shown, draw_figures
from panoptic_eval.outputs.html.marks import text
from panoptic_eval.report import Report
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables
from panoptic_eval.size_curves import size_curves


def page(
    report: Report,
    tables: Tables,
    *,
    name: str,
    against: tuple[str, Tables] | None = None,
    images: int = 24,
    resamples: int = 300,
    seed: int = 0,
) -> str:
    """Write the page.

    Args:
        report: of the run.
        tables: of the run, which the report was made of.
        name: of the run, for people.
        against: name and tables of another run on the same images, which is compared with this one.
        images: number of the most expensive images to show.
        resamples: sets of images for the intervals that the report does not hold: of sizes and differences.
        seed: of the draw.

    Raises:
        InputError: the other run has other images, categories or ground truth.
    """
    rules, table = rules_of(report), tables.panoptic
    resamples = resamples if len(table) > 1 else 0
    others = [] if against is None else [(against[0], in_the_order_of(tables, against[1]))]
    body = [sections.head(report, name), sections.account(report)]
    try:
        points = size_curves({name: tables}, rules=rules, resamples=resamples, seed=seed).points
    except InputError:  # no things
        points = ()
    body += [
        sections.sizes(report, points),
        analyses.slices(report),
        sections.categories(report),
        analyses.groups(report),
        sections.flow(report),
        _pictures(tables, name, others, images),
        analyses.curves(report),
        analyses.reliability(report),
        analyses.label_errors(report, table) if images else "",
    ]
    for other, other_tables in others:
        compared = compare(
            tables, other_tables, rng=np.random.default_rng(seed), resamples=max(resamples, 1), rules=rules
        )
        body.append(sections.against(compared, name, other))
    body.append(sections.made(report))
    return document(name, "".join(body), scripted=True)


def fragment(report: Report) -> str:
    """Write the sections of a report alone that need no table, for a notebook."""
    body = [sections.head(report, "panoptic-eval"), sections.account(report), sections.categories(report)]
    return f'<style>{STYLE.read_text()}</style><div class="panoptic-report">{"".join(body)}</div>'


def rules_of(report: Report) -> Rules:
    """Return the rules by which a report was made."""
    chosen = {f.name: report.protocol[f.name] for f in fields(Rules) if f.name in report.protocol}
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in chosen.items()}
    return Rules(**values)


def _pictures(tables: Tables, name: str, others: Sequence[tuple[str, Tables]], images: int) -> str:
    """Show the most expensive images."""
    table = tables.panoptic
    if not images or not table.files:
        return ""
    costs = image_costs(account_counts(table))
    worst = [k for k in np.argsort(-costs, kind="stable")[:images].tolist() if costs[k] > 0]
    runs = [Shown(n, t.panoptic, *segment_prices(t.panoptic)) for n, t in ((name, tables), *others)]
    figures, missing = draw_figures(worst, costs[worst].tolist(), runs)
    why = "".join(f"<li>{text(line)}</li>" for line in missing[:5])
    left_out = f"<p class=warnings>{len(missing)} pictures are left out:</p><ul>{why}</ul>" if missing else ""
    share = 100 * costs[worst].sum() / max(costs.sum(), 1e-12)
    return sections.section(
        "Most expensive images",
        f"An image's cost is its part of 100 − PQ. These {len(worst)} of {len(table)} images have {share:.0f} % of it. "
        "Segments without match are strong, others faint.",
        left_out,
        _picks(worst, runs[0]),
        f'<div class="gallery">{figures}</div>',
    )


def _picks(images: Sequence[int], run: Shown) -> str:
    """Make buttons that leave only the images in which a category costs something, the dearest categories first."""
    table, cost = run.table, np.zeros(len(run.table.catalogue))
    for side, prices in ((table.gt, run.gt_prices), (table.pred, run.pred_prices)):
        rows = np.flatnonzero(np.isin(side.image, images))
        np.add.at(cost, side.category[rows], prices[rows].sum(1))
    dearest = [k for k in np.argsort(-cost, kind="stable")[:12].tolist() if cost[k] > 0]
    buttons = "".join(
        f'<button data-category="{category.id}" aria-pressed="false">{text(category.name)}</button>'
        for category in (table.catalogue.categories[k] for k in dearest)
    )
    return f'<div class="pick"><span class=soft>only images with errors of </span>{buttons}</div>'
