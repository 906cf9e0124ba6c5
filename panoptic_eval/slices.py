"""Images in slices by their attributes (weather, camera, city): scores of each, and how they differ from the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from panoptic_eval.comparison import difference
from panoptic_eval.errors import InputError
from panoptic_eval.groups import read_rows
from panoptic_eval.labels import ImageId
from panoptic_eval.metrics import sizes
from panoptic_eval.pairs.table import take
from panoptic_eval.resampling import draw, interval
from panoptic_eval.rules import DEFAULT, Rules
from panoptic_eval.score import Tables, scores, size_edges
from panoptic_eval.shapes import Int

KEY = "image_id"
MOST_VALUES = 50
"""Largest number of values of an attribute: a slice of each has to hold images."""
SCORES = (
    ("PQ", "all"),
    ("PQ", "things"),
    ("PQ", "stuff"),
    ("PC", "all"),
    ("mIoU", "all"),
    ("AP_mask", "AP"),
    ("AP_box", "AP"),
)
"""Name and part of the scores of a slice."""

Attributes = Mapping[str, Mapping[str, Int[np.ndarray, " i"]]]
"""Images of each value of each attribute, indices."""


def read_attributes(path: Path, image_ids: tuple[ImageId, ...]) -> Attributes:
    """Read the attributes of images from a CSV file: a row an image, with `image_id` and a column for each attribute.

    Images that it does not list, and empty values, are in no slice of the attribute.

    Args:
        path: the file; it may have rows of other images.
        image_ids: of the run, in its order.

    Raises:
        InputError: it cannot be read, has no `image_id` or nothing else, lists an image twice or none of the run, or
            an attribute has too many values.
    """
    rows = read_rows(path, (KEY,))
    at = {str(image_id): k for k, image_id in enumerate(image_ids)}
    listed = [row[KEY] for row in rows]
    if again := sorted({name for name in listed if name in at and listed.count(name) > 1}):
        raise InputError(f"{path}: lists image {again[0]} twice; expected a row an image")
    rows = [row for row in rows if row[KEY] in at]
    names = [name for name in (rows[0] if rows else ()) if name not in (KEY, "")]
    if not rows:
        raise InputError(f"{path}: lists none of the images of the run; expected ids such as {image_ids[0]!r}")
    if not names:
        raise InputError(f"{path}: has only the column {KEY}; expected a column for each attribute, too")
    attributes = {}
    for name in names:
        values: dict[str, list[int]] = {}
        for row in rows:
            if row[name]:
                values.setdefault(row[name], []).append(at[row[KEY]])
        if len(values) > MOST_VALUES:
            raise InputError(f"{path}: {name} has {len(values)} values; expected at most {MOST_VALUES}")
        attributes[name] = {value: np.sort(np.array(values[value], np.int64)) for value in sorted(values)}
    return attributes


def slice_rows(
    tables: Tables, attributes: Attributes, rules: Rules = DEFAULT, *, resamples: int = 300, seed: int = 0
) -> list[dict[str, Any]]:
    """Score the images of each value of each attribute, and compare them with those of its other values.

    The two are different images, which are resampled independently. p values are not corrected for their number.

    Args:
        tables: of the run.
        attributes: images of each value.
        rules: as for `score`; bins of size are those of all images.
        resamples: sets of images drawn for intervals and p values; none if 0.
        seed: of the draw.

    Returns:
        A row for each attribute, value and score: attribute, value, images, score, part, slice, low, high; rest (score
        of the images with other values), difference (slice - rest), difference_low, difference_high, p. Fractions.
    """
    bins = sizes.bins(size_edges(tables.panoptic, rules))
    rng = np.random.default_rng(seed)

    def of(images: Int[np.ndarray, " n"]) -> Mapping[Any, Any]:
        chosen = Tables(*(None if t is None else take(t, images) for t in vars(tables).values()))  # type: ignore[arg-type]
        weights = draw(rng, len(images), resamples) if resamples and len(images) > 1 else None
        return scores(chosen, rules, weights=weights, bins=bins).parts

    rows = []
    for attribute, values in attributes.items():
        every = np.concatenate(list(values.values()))
        for value, images in values.items():
            others = np.setdiff1d(every, images)
            here, rest = of(images), of(others) if len(others) else {}
            for key in SCORES:
                low, high = interval(here[key])
                row = {"attribute": attribute, "value": value, "images": len(images), "score": key[0], "part": key[1]}
                row |= {"slice": float(here[key][0]), "low": low, "high": high}
                alone = np.full_like(here[key], np.nan)
                d = difference(*key, *_alike(rest.get(key, alone), here[key]))
                row |= {"rest": d.a, "difference": d.difference, "difference_low": d.low, "difference_high": d.high}
                rows.append({**row, "p": d.p})
    return rows


def _alike(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give two scores as many resamples, those of the one without are its value: of a single image."""
    n = max(len(a), len(b))
    return tuple(np.full(n, v[0]) if len(v) < n else v for v in (a, b))  # type: ignore[return-value]
