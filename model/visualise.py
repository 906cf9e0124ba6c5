"""Draws predictions over their images:  python -m model.visualise --prediction DIR --images DIR --out DIR"""

from __future__ import annotations

import colorsys
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw
from tqdm import tqdm

from model.predict import photographs
from panoptic_eval.categories import Category
from panoptic_eval.errors import Faults, InputError, PngError
from panoptic_eval.labels import ImageId, LabelMaps, resolve
from panoptic_eval.pairs.reference import decode, ids_of
from panoptic_eval.photographs import read

OPACITY = 0.5
SHADES = (0.7, 1.0, 1.3, 0.85, 1.15)
"""Brightness of a category's instances in turn, so that neighbours differ."""
NAMED = 0.02
"""Instances of at least this share of the image's longer side have their names written on them."""


@dataclass(frozen=True)
class Options:
    """Draw predictions over their images; beside them the ground truth, where the images are those of one."""

    prediction: Path
    """Holds panoptic.json and panoptic/."""
    images: str
    """What was predicted: a folder of images, or a ground truth by name or path."""
    out: Path
    """Gets a PNG an image."""
    root: Path | None = None
    """Where the data sets are; $PANOPTIC_DATA if not given."""
    split: str | None = None
    """Of a ground truth; validation if not given."""
    version: Literal["1.2", "2.0"] | None = None
    """Of Mapillary Vistas."""
    limit: int | None = None
    """Only the first images."""
    longest: int = 1600
    """Longer side of one picture at most, pixels."""
    quiet: bool = False
    """No progress bar."""


@dataclass(frozen=True)
class Region:
    """What is drawn of one segment."""

    id: int
    """Its value in the label image."""
    category: Category
    score: float | None = None


def overlay(
    image: UInt8[np.ndarray, "h w 3"], ids: Int[np.ndarray, "h w"], regions: Sequence[Region]
) -> UInt8[np.ndarray, "h w 3"]:
    """An image tinted with the colours of categories, edges of segments in black, names on instances of some size.

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
            tint[at[region.id]] = colour(region.category, number if region.category.isthing else 1)
            opacity[at[region.id]] = OPACITY
    inverse = inverse.reshape(ids.shape)
    mixed = image * (1 - opacity[inverse]) + tint[inverse] * opacity[inverse]
    mixed[_edges(inverse)] = 0
    picture = Image.fromarray(mixed.round().astype(np.uint8))
    _write_names(picture, ids, regions)
    return np.array(picture)


def colour(category: Category, number: int) -> Float[np.ndarray, " 3"]:
    """RGB, 0 to 255, of the n-th segment of a category: the data set's colour, or one drawn from the id, shaded."""
    if category.color is not None:
        base = np.array(category.color, float)
    else:
        # Steps of the golden ratio around the circle of hues: neighbouring ids get distant colours.
        base = 255 * np.array(colorsys.hsv_to_rgb(category.id * 0.618034 % 1, 0.8 if category.isthing else 0.4, 0.9))
    return np.minimum(base * SHADES[number % len(SHADES)], 255)


def _edges(labels: Int[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels that differ from the one below or on the right."""
    edges = np.zeros(labels.shape, bool)
    edges[:-1] |= labels[1:] != labels[:-1]
    edges[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    return edges


def _write_names(picture: Image.Image, ids: Int[np.ndarray, "h w"], regions: Sequence[Region]) -> None:
    draw = ImageDraw.Draw(picture)
    found = ids_of(ids.astype(np.uint32))[0]
    boxes = dict(zip(found.id.tolist(), found.box.tolist(), strict=True))
    for region in regions:
        x0, y0, x1, y1 = boxes.get(region.id, (0, 0, 0, 0))
        if region.category.isthing and max(x1 - x0, y1 - y0) >= NAMED * max(picture.size):
            text = region.category.name + ("" if region.score is None else f" {region.score:.2f}")
            draw.text((x0 + 1, y0), text, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))


def predicted_regions(prediction: Path) -> dict[ImageId, tuple[Path, list[Region]]]:
    """PNG and segments of each image of a directory of predictions.

    Raises:
        InputError: there is no panoptic.json, or not as `PredictionWriter` writes it.
    """
    path = prediction / "panoptic.json"
    try:
        content = json.loads(path.read_text())
        categories = {
            c["id"]: Category(c["id"], c["name"], bool(c["isthing"]), c.get("color") and tuple(c["color"]))
            for c in content["categories"]
        }
        return {
            a["image_id"]: (
                prediction / "panoptic" / a["file_name"],
                [Region(s["id"], categories[s["category_id"]], s.get("score")) for s in a["segments_info"]],
            )
            for a in content["annotations"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error!r}); expected what model.predict writes") from error


def true_regions(gt: LabelMaps, image: int, ids: Int[np.ndarray, "h w"]) -> list[Region]:
    """Segments of the ground truth of one image, given its label image; crowds are named so."""
    values = ids_of(ids.astype(np.uint32))[0].id.astype(np.int64)
    faults = Faults()
    listed, rows = resolve(gt, np.full(len(values), image), values, faults)
    faults.check()
    regions = []
    for id_, row in zip(values.tolist(), rows.tolist(), strict=True):
        if row >= 0:
            category, crowd = gt.catalogue.categories[listed.category[row]], listed.crowd[row]
            named = Category(category.id, f"{category.name}, crowd", True, category.color) if crowd else category
            regions.append(Region(id_, named))
    return regions


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m model.visualise", description=Options.__doc__)
    try:
        _draw_all(options)
    except (InputError, PngError) as error:
        sys.exit(f"model.visualise: {error}")


def _draw_all(options: Options) -> None:
    images, gt = photographs(options.images, root=options.root, split=options.split, version=options.version)
    truths = {} if gt is None else {m.image_id: i for i, m in enumerate(gt.maps)}
    predicted = predicted_regions(options.prediction)
    chosen = [p for p in images if p.image_id in predicted][: options.limit]
    if not chosen:
        raise InputError(f"{options.prediction}: holds a prediction of none of the {len(images)} images")
    options.out.mkdir(parents=True, exist_ok=True)
    for photograph in tqdm(chosen, unit="image", disable=options.quiet):
        image, _ = read(photograph.path)
        image.thumbnail((options.longest, options.longest))
        png, regions = predicted[photograph.image_id]
        panels = [np.asarray(image)]
        if gt is not None:
            i = truths[photograph.image_id]
            truth = decode(gt.maps[i].png.read_bytes())
            panels.append(overlay(np.asarray(image), _resized(truth, image), true_regions(gt, i, truth)))
        panels.append(overlay(np.asarray(image), _resized(decode(png.read_bytes()), image), regions))
        side_by_side = np.concatenate(panels, axis=0 if image.width > image.height else 1)
        Image.fromarray(side_by_side).save(options.out / png.name)
    print(f"{len(chosen)} drawings in {options.out}: image, ground truth where there is one, prediction")


def _resized(ids: Int[np.ndarray, "h w"], image: Image.Image) -> Int[np.ndarray, "h w"]:
    """A label image at the size of a drawing: of each pixel, the value nearest to its centre."""
    height, width = ids.shape
    y = ((np.arange(image.height) + 0.5) * height / image.height).astype(int)
    x = ((np.arange(image.width) + 0.5) * width / image.width).astype(int)
    return ids[y[:, None], x].astype(np.int64)


if __name__ == "__main__":
    main()
