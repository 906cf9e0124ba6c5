"""Draw predictions over their images:  python -m model.visualise --prediction DIR --images DIR --out DIR"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from jaxtyping import Int
from PIL import Image
from tqdm import tqdm

from model.predict import photographs
from panoptic_eval.categories import Category
from panoptic_eval.errors import Faults, InputError, PngError
from panoptic_eval.labels import ImageId, LabelMaps, resolve
from panoptic_eval.outputs.pictures import Region, overlay, resized
from panoptic_eval.pairs import palette
from panoptic_eval.photographs import read
from panoptic_eval.png.ids import ids_of


@dataclass(frozen=True)
class Options:
    """Draw predictions over their images; beside them the ground truth, where the images are those of one."""

    prediction: Path
    """Folder with panoptic.json and panoptic/."""
    images: str
    """Images that were predicted: a folder, or a ground truth by name or path."""
    out: Path
    """Folder for the pictures, one PNG per image."""
    root: Path | None = None
    """Folder of the data sets. Default: $PANOPTIC_DATA."""
    split: str | None = None
    """Split of the ground truth. Default: the validation split."""
    version: Literal["1.2", "2.0"] | None = None
    """Release of Mapillary Vistas to read, 1.2 or 2.0. Default: 1.2 if the data set has both."""
    limit: int | None = None
    """Draw only so many images, the first ones."""
    longest: int = 1600
    """Longest side of a picture, pixels."""
    quiet: bool = False
    """Show no progress bar."""


def predicted_regions(prediction: Path) -> dict[ImageId, tuple[Path, list[Region]]]:
    """Return the PNG and the segments of each image of a directory of predictions.

    Raises:
        InputError: there is no panoptic.json, or not as `PredictionWriter` writes it.
    """
    path = prediction / "panoptic.json"
    try:
        content = json.loads(path.read_text())
        categories = {c["id"]: Category.from_coco(c) for c in content["categories"]}
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
    """List the segments of one image's ground truth, given its label image; crowds are named so."""
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
            truth = palette.decode(gt, i, gt.maps[i].png.read_bytes())
            panels.append(overlay(np.asarray(image), resized(truth, image), true_regions(gt, i, truth)))
        ids = palette.decode_listed(np.array([region.id for region in regions]), png.read_bytes())
        panels.append(overlay(np.asarray(image), resized(ids, image), regions))
        side_by_side = np.concatenate(panels, axis=0 if image.width > image.height else 1)
        Image.fromarray(side_by_side).save(options.out / png.name)
    print(f"{len(chosen)} drawings in {options.out}: image, ground truth where there is one, prediction")


if __name__ == "__main__":
    main()
