"""Pictures of predictions: segments tinted over their photograph, beside the ground truth."""

from __future__ import annotations

import colorsys
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.errors import InputError, PngError
from panoptic_eval.files import read_regular, write_atomically
from panoptic_eval.pairs.palette import decode_listed
from panoptic_eval.pairs.table import PairTable, Segments
from panoptic_eval.photographs import read
from panoptic_eval.png.ids import ids_of
from panoptic_eval.shapes import Bool, Float, Int, UInt8

OPACITY = 0.5
SHADES = (0.7, 1.0, 1.3, 0.85, 1.15)
"""Brightness of a category's instances in turn, so that neighbors differ."""
NAMED = 0.02
"""Instances of at least this share of the image's longer side have their names written on them."""
GRAY = 128
"""Background where there is no photograph."""
CONTEXT, LEAST_CONTEXT = 0.5, 24
"""What is drawn around a part: share of its longer side, and least number of pixels."""
FRAME = (255, 0, 255)
LIMIT = 1 << 30
"""Bytes of the largest PNG that is read."""


@dataclass(frozen=True)
class Region:
    """Segment to draw: its id, category and score."""

    id: int
    """Its value in the label image."""
    category: Category
    score: float | None = None


def overlay(
    image: UInt8[np.ndarray, "h w 3"], ids: Int[np.ndarray, "h w"], regions: Sequence[Region]
) -> UInt8[np.ndarray, "h w 3"]:
    """Tint an image with the colors of categories, with edges of segments in black and names on larger instances.

    Args:
        image: RGB.
        ids: the value of its segment at each pixel; those of no region are void, and left as they are.
        regions: one a segment.
    """
    known, inverse = np.unique(ids, return_inverse=True)
    tint, opacity = np.zeros((len(known), 3)), np.zeros((len(known), 1))
    at = {int(id_): i for i, id_ in enumerate(known)}
    seen: dict[int, int] = {}
    for region in regions:
        number = seen[region.category.id] = seen.get(region.category.id, -1) + 1
        if region.id in at:
            tint[at[region.id]] = color(region.category, number if region.category.isthing else 1)
            opacity[at[region.id]] = OPACITY
    inverse = inverse.reshape(ids.shape)
    mixed = image * (1 - opacity[inverse]) + tint[inverse] * opacity[inverse]
    mixed[outlines(inverse)] = 0
    picture = Image.fromarray(mixed.round().astype(np.uint8))
    _write_names(picture, ids, regions)
    return np.array(picture)


def color(category: Category, number: int) -> Float[np.ndarray, " 3"]:
    """Choose RGB, 0 to 255, of the n-th segment of a category: its color, or one from its id, shaded."""
    if category.color is not None:
        base = np.array(category.color, float)
    else:
        # Steps of the golden ratio around the circle of hues: neighboring ids get distant colors.
        base = 255 * np.array(colorsys.hsv_to_rgb(category.id * 0.618034 % 1, 0.8 if category.isthing else 0.4, 0.9))
    return np.minimum(base * SHADES[number % len(SHADES)], 255)


def outlines(labels: Int[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Find pixels that differ from the one below or on the right."""
    edges = np.zeros(labels.shape, bool)
    edges[:-1] |= labels[1:] != labels[:-1]
    edges[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    return edges


def _write_names(picture: Image.Image, ids: Int[np.ndarray, "h w"], regions: Sequence[Region]) -> None:
    draw = ImageDraw.Draw(picture)
    occurring = ids_of(ids.astype(np.uint32))[0]
    boxes = dict(zip(occurring.id.tolist(), occurring.box.tolist(), strict=True))
    for region in regions:
        x0, y0, x1, y1 = boxes.get(region.id, (0, 0, 0, 0))
        if region.category.isthing and max(x1 - x0, y1 - y0) >= NAMED * max(picture.size):
            text = region.category.name + ("" if region.score is None else f" {region.score:.2f}")
            draw.text((x0 + 1, y0), text, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))


def regions(segments: Segments, catalogue: Catalogue, image: int) -> list[Region]:
    """List what is drawn of the segments of one image of a table; crowds are named so, and drawn as things."""
    drawn = []
    for row in np.flatnonzero(segments.image == image).tolist():
        category, score = catalogue.categories[segments.category[row]], float(segments.score[row])
        if segments.crowd[row]:
            category = replace(category, name=f"{category.name}, crowd", isthing=True)
        drawn.append(Region(int(segments.id[row]), category, None if np.isnan(score) else score))
    return drawn


def picture(table: PairTable, image: int, *, longest: int) -> UInt8[np.ndarray, "h w 3"]:
    """Draw photograph, ground truth and prediction of one image: side by side, one below the other if it is wide.

    Args:
        table: of files.
        image: its index in the table.
        longest: longer side of a panel at most, pixels.

    Raises:
        InputError: a PNG is not where it was, or not what was counted.
    """
    drawn = panels(table, image, longest=longest)
    height, width, _ = drawn[0].shape
    return np.concatenate(drawn, axis=0 if width > height else 1)


def panels(table: PairTable, image: int, *, longest: int) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Draw photograph, ground truth and, if there is one, prediction of an image; arguments as for `picture`."""
    photograph = photograph_of(table, image, longest=longest)
    drawn = [np.asarray(photograph)]
    for side, content in zip((table.gt, table.pred), contents(table, image), strict=False):
        segments = regions(side, table.catalogue, image)
        ids = resized(decode_listed(side.id[side.image == image], content), photograph)
        drawn.append(overlay(drawn[0], ids, segments))
    return drawn


def contents(table: PairTable, image: int) -> list[bytes]:
    """Read the PNGs of an image: the ground truth and, if there is one, the prediction.

    Raises:
        InputError: a PNG is not where it was, or not what was counted.
    """
    files = table.files[image]
    pngs = [path for path in (files.gt, files.pred) if path is not None]
    read_pngs = [_read(path) for path in pngs]
    if "-".join(hashlib.sha256(content).hexdigest() for content in read_pngs) != table.digest[image]:
        names = " or ".join(map(str, pngs))
        raise InputError(f"{names}: has changed since it was counted; expected the same file, or score the run again")
    return read_pngs


def photograph_of(table: PairTable, image: int, *, longest: int) -> Image.Image:
    """Read the photograph of an image, scaled down to a longer side; a gray one where there is none.

    Raises:
        InputError: it cannot be read.
    """
    file = table.files[image].photograph
    if file is not None and file.exists():
        photograph, _ = read(file)
    else:
        height, width = table.size[image].tolist()
        photograph = Image.new("RGB", (width, height), (GRAY,) * 3)
    photograph.thumbnail((longest, longest))
    return photograph


def around(table: PairTable, image: int, box: Sequence[float], *, longest: int) -> UInt8[np.ndarray, "h w 3"]:
    """Draw a part of an image, with a frame around it: photograph, ground truth and prediction side by side.

    Args:
        table: of files.
        image: its index in the table.
        box: x, y, width, height of the part, pixels of the image.
        longest: longer side of a panel, pixels.

    Raises:
        InputError: as for `picture`.
    """
    height, width = table.size[image].tolist()
    x, y, w, h = box
    margin = max(CONTEXT * max(w, h), LEAST_CONTEXT)
    left, top = max(int(x - margin), 0), max(int(y - margin), 0)
    right, bottom = min(int(x + w + margin) + 1, width), min(int(y + h + margin) + 1, height)
    drawn = []
    for panel in panels(table, image, longest=max(height, width)):
        scale = panel.shape[1] / width, panel.shape[0] / height  # a photograph may be smaller than the labels
        part = Image.fromarray(panel).crop(
            (round(left * scale[0]), round(top * scale[1]), round(right * scale[0]), round(bottom * scale[1]))
        )
        factor = longest / max(right - left, bottom - top)
        part = part.resize((max(1, round((right - left) * factor)), max(1, round((bottom - top) * factor))))
        frame = [((a - b) * factor) for a, b in ((x, left), (y, top), (x + w, left), (y + h, top))]
        ImageDraw.Draw(part).rectangle(frame, outline=FRAME, width=2)
        drawn.append(np.asarray(part))
    return np.concatenate(drawn, axis=1)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, LIMIT)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); expected the PNG that was counted"
        ) from error


def write(table: PairTable, images: Iterable[int], out: Path, *, longest: int = 1600) -> Iterator[Path]:
    """Write a PNG for each of some images, in the order given, as the iterator goes on; names begin with their place.

    Raises:
        InputError: the table is not of files; or as for `picture`.
    """
    for place, image in enumerate(images, start=1):
        yield write_drawing(out, place, "", table, image, partial(picture, longest=longest))


def write_drawing(
    out: Path,
    place: int,
    what: str,
    table: PairTable,
    image: int,
    draw: Callable[[PairTable, int], UInt8[np.ndarray, "h w 3"]],
) -> Path:
    """Write one drawing of an image, and return its path.

    Args:
        out: folder.
        place: number that the name of the file begins with.
        what: what is drawn, which the name of the file says, too.
        table: of files.
        image: its index in the table.
        draw: draws an image of a table.

    Raises:
        InputError: the table is not of files; or as for `picture`.
    """
    if not table.files:
        raise InputError("the run is not of files; expected one that panoptic-eval --out stored")
    name = re.sub(r"[^\w.-]", "_", f"{what}{table.image_id[image]}")[:100]
    path = out / f"{place:04d}_{name}.png"
    content = io.BytesIO()
    try:
        Image.fromarray(draw(table, image)).save(content, format="PNG")
    except PngError as error:
        raise InputError(f"image {table.image_id[image]!r}: {error}") from error
    write_atomically(path, content.getvalue())
    return path


def resized(ids: Int[np.ndarray, "h w"], image: Image.Image) -> Int[np.ndarray, "h w"]:
    """Resize a label image to a drawing: each pixel takes the value nearest to its center."""
    height, width = ids.shape
    y = ((np.arange(image.height) + 0.5) * height / image.height).astype(int)
    x = ((np.arange(image.width) + 0.5) * width / image.width).astype(int)
    return ids[y[:, None], x].astype(np.int64)
