"""Pictures of the HTML report: the most expensive images, with layers that can be switched."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from panoptic_eval.errors import InputError, PngError
from panoptic_eval.metrics.accounting import TITLES
from panoptic_eval.outputs.html.marks import percent, text
from panoptic_eval.outputs.pictures import color, contents, outlines, photograph_of, resized
from panoptic_eval.pairs.palette import decode_listed
from panoptic_eval.pairs.table import PairTable, Segments
from panoptic_eval.shapes import Float

LONGEST = (640, 480, 360, 240)
"""Longer sides that a picture may have, pixels: the first that keeps its figure small enough, else the last."""
MOST = 75_000
"""Bytes of a figure: 24 of them, and the rest of the page, are below 2 MB."""
WRONG, RIGHT = 205, 70
"""Opacity of segments that cost something for which they have no match, and of the others; of 255."""
LISTED = 4
"""Number of segments that are listed below a picture."""


@dataclass(frozen=True)
class Shown:
    """A run whose predictions are a layer of the pictures."""

    name: str
    table: PairTable
    gt_prices: Float[np.ndarray, "g 8"]
    """Price of each gt segment, by cause: parts of 1 - PQ."""
    pred_prices: Float[np.ndarray, "p 8"]


def draw_figures(images: Sequence[int], costs: Sequence[float], runs: Sequence[Shown]) -> tuple[str, list[str]]:
    """Draw images with the segments of each run and of the truth over the photograph.

    Args:
        images: indices into the tables, which have the same images in the same order.
        costs: of each of these images, in the first run.
        runs: one or two.

    Returns:
        The figures, and why pictures are missing.
    """
    figures, missing = [], []
    for image, cost in zip(images, costs, strict=True):
        try:
            for longest in LONGEST:
                figure = _figure(image, cost, runs, longest)
                if len(figure) <= MOST:
                    break
            figures.append(figure)
        except (InputError, PngError) as error:
            missing.append(f"image {runs[0].table.image_id[image]!r}: {error}")
    return "".join(figures), missing


def _figure(image: int, cost: float, runs: Sequence[Shown], longest: int) -> str:
    """Draw one image, with a longer side of so many pixels."""
    table = runs[0].table
    photograph = photograph_of(table, image, longest=longest)
    layers = []
    for run in runs:
        gt_png, *pred_png = contents(run.table, image)
        if pred_png:
            layers.append(
                (run.name, _overlay(run.table.pred, run.pred_prices, run.table, image, pred_png[0], photograph))
            )
        if run is runs[0]:
            truth = _overlay(table.gt, run.gt_prices, table, image, gt_png, photograph)
    layers.append(("truth", truth))
    jpeg = io.BytesIO()
    photograph.save(jpeg, "JPEG", quality=75)
    name = text(table.image_id[image])
    pictures = [f'<img alt="image {name}" src="data:image/jpeg;base64,{_encoded(jpeg)}">']
    buttons = []
    for k, (layer, content) in enumerate(layers):
        shown = " class=shown" if k == 0 else ""
        pictures.append(
            f'<img{shown} data-layer="{k}" alt="segments: {text(layer)}" src="data:image/png;base64,{content}">'
        )
        buttons.append(f'<button data-layer="{k}" aria-pressed="{str(k == 0).lower()}">{text(layer)}</button>')
    buttons.append('<button data-layer="" aria-pressed="false">photograph</button>')
    dearest, categories = _dearest(runs[0], image)
    return (
        f'<figure data-categories="{" ".join(map(str, categories))}"><div class="layers">{"".join(pictures)}</div>'
        f"{''.join(buttons)}<figcaption><b>{name}</b> costs {percent(cost, 2)} points<ul>{dearest}</ul></figcaption>"
        "</figure>"
    )


def _dearest(run: Shown, image: int) -> tuple[str, list[int]]:
    """List the segments that cost most; and the ids of all categories that cost something here."""
    rows = []
    for side, segments, prices in (
        ("truth", run.table.gt, run.gt_prices),
        ("predicted", run.table.pred, run.pred_prices),
    ):
        at = np.flatnonzero(segments.image == image)
        total = prices[at].sum(1)
        rows += [(float(t), side, segments, int(k), prices[k]) for t, k in zip(total, at, strict=True) if t > 0]
    rows.sort(key=lambda row: (-row[0], row[1], row[3]))
    categories, titles = run.table.catalogue.categories, list(TITLES.values())
    lines = [
        f"<li>{text(categories[segments.category[k]].name)}, {side}, {segments.area[k]} px: "
        f"{titles[int(prices.argmax())]}, {percent(total, 2)}</li>"
        for total, side, segments, k, prices in rows[:LISTED]
    ]
    return "".join(lines), sorted({categories[segments.category[k]].id for _, _, segments, k, _ in rows})


def _overlay(
    segments: Segments,
    prices: Float[np.ndarray, "n 8"],
    table: PairTable,
    image: int,
    png: bytes,
    photograph: Image.Image,
) -> str:
    """Draw the segments of a side as a PNG with a palette: strong where they are wrong, faint where they are right."""
    rows = np.flatnonzero(segments.image == image)
    ids = resized(decode_listed(segments.id[rows], png), photograph)
    order = rows[np.argsort(segments.id[rows])]
    at = np.searchsorted(segments.id[order], ids).clip(max=max(len(order) - 1, 0))
    known = segments.id[order][at] == ids if len(order) else np.zeros(ids.shape, bool)
    wrong = prices[order, 2:].sum(1) > 0
    rgba = [(0, 0, 0, 0), (0, 0, 0, 255)]
    entry = {rgba[0]: 0, rgba[1]: 1}
    index = np.zeros(len(order), int)
    seen: dict[int, int] = {}
    for k, row in enumerate(order.tolist()):
        category = table.catalogue.categories[segments.category[row]]
        seen[category.id] = seen.get(category.id, -1) + 1
        tint = color(category, seen[category.id] if category.isthing else 1).round().astype(int).tolist()
        value = (tint[0], tint[1], tint[2], WRONG if wrong[k] else RIGHT)
        index[k] = entry.setdefault(value, len(entry))
    entries = list(entry)[:256]  # with more colors than that, the last ones share one
    drawn = np.where(known, np.minimum(index, len(entries) - 1)[at] if len(order) else 0, 0).astype(np.uint8)
    drawn[outlines(ids)] = 1
    picture = Image.fromarray(drawn, "P")
    picture.putpalette([value for rgb in entries for value in rgb[:3]])
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, transparency=bytes(rgb[3] for rgb in entries))
    return _encoded(file)


def _encoded(file: io.BytesIO) -> str:
    return base64.b64encode(file.getvalue()).decode()
