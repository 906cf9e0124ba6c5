"""The embedded data set: street scenes drawn from a seed, written in the layout of Mapillary Vistas v2.0.

    python -m streets --out ROOT

Each image is a pure function of (seed, split, index, size): no two splits share a scene, and a longer split begins with
a shorter one. A run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import colorsys
import io
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from jaxtyping import UInt8
from numpy.typing import DTypeLike
from PIL import Image, ImageDraw, PngImagePlugin
from tqdm import tqdm

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from streets.scene import LABELS, VERSIONS, Label, Scene, render

SPLITS = ("training", "validation", "testing")
INSTANCES = 256
"""Instance files hold label * 256 + instance."""
JPEG_QUALITY = 92
SHEET_IMAGES = 12
SHEET_COLORS = 256
"""Number of colors of the contact sheet, which keeps it small."""
SHEET_GAP, SHEET_HEAD = 8, 16
"""Pixels between images of the contact sheet, and above them for what the columns show."""
SHEET_WIDTH = 1365
"""Largest width of the contact sheet, pixels."""


@dataclass(frozen=True)
class Recipe:
    """All that an image depends on."""

    seed: int
    split: str
    index: int
    height: int
    width: int
    version: int = 1
    """Version of the drawings, one of VERSIONS; a change of any pixel of a seed needs a new one."""

    @property
    def image_id(self) -> str:
        """Name of its files."""
        return f"{self.split}_{self.index:05d}"

    def draw(self) -> Scene:
        """Return the scene; no two (seed, split, index) share one."""
        seed = (self.seed, 1 + SPLITS.index(self.split), self.index)
        return render(seed, height=self.height, width=self.width, version=self.version)

    @property
    def labels(self) -> tuple[Label, ...]:
        """Labels of its version."""
        return VERSIONS[self.version].labels


def write_dataset(
    root: Path,
    *,
    seed: int,
    counts: dict[str, int],
    version: int = 1,
    height: int | None = None,
    width: int | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> None:
    """Draw what is missing of a data set, then write its JSONs.

    Args:
        root: folder of the data set; made if it is not there.
        counts: images of each split to be written, by the split's name.
        version: of the drawings, one of VERSIONS.
        height, width: of the images, pixels; by default those of the version.
        workers: processes; as many as cores by default. 1 stays in this process. The files do not depend on it.
        progress: whether to show a bar.

    Raises:
        InputError: as of `recipes_of`.
    """
    recipes = recipes_of(seed, counts, version=version, height=height, width=width)
    workers = workers or os.cpu_count() or 1
    with ExitStack() as stack:
        if workers > 1:
            pool = stack.enter_context(
                ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))  # safe beside threads
            )
            done: Iterable[list[dict[str, Any]]] = pool.map(write_image, [root] * len(recipes), recipes, chunksize=4)
        else:
            done = (write_image(root, recipe) for recipe in recipes)
        segments = list(tqdm(done, total=len(recipes), desc=str(root), unit=" images", disable=not progress))
    write_atomically(
        root / "config_v2.0.json",
        _dump({"version": "2.0", "labels": [asdict(label) for label in VERSIONS[version].labels]}),
    )
    for split in counts:
        mine = [(r, s) for r, s in zip(recipes, segments, strict=True) if r.split == split]
        annotations = panoptic_json(seed, version, mine)
        write_atomically(_folder(root, split) / "panoptic" / "panoptic_2020.json", _dump(annotations))


def recipes_of(
    seed: int, counts: dict[str, int], *, version: int, height: int | None, width: int | None
) -> list[Recipe]:
    """List the recipes of the first images of each split; arguments as of `write_dataset`.

    Raises:
        InputError: a split of another name, a count or seed below 0, no such version, a size that is no image.
    """
    if unknown := sorted(set(counts) - set(SPLITS)):
        raise InputError(f"counts: no split is called {', '.join(unknown)}; expected some of {', '.join(SPLITS)}")
    if min([seed, *counts.values()]) < 0 or seed >= 2**32:
        raise InputError(f"seed {seed}, counts {counts}: expected counts of 0 or more, a seed from 0 to 2**32 - 1")
    if version not in VERSIONS:
        raise InputError(f"version {version}: expected one of {', '.join(map(str, VERSIONS))}")
    usual = VERSIONS[version].size
    height, width = usual[0] if height is None else height, usual[1] if width is None else width
    if min(height, width) < 32:
        raise InputError(f"size {height} x {width}: expected 32 pixels or more each way")
    return [Recipe(seed, split, i, height, width, version) for split, count in counts.items() for i in range(count)]


def write_image(root: Path, recipe: Recipe) -> list[dict[str, Any]]:
    """Draw one image and write its files, unless they are there already. Returns its `segments_info`."""
    folder, name = _folder(root, recipe.split), f"{recipe.image_id}.png"
    panoptic = folder / "panoptic" / name
    kept = recorded(panoptic, recipe)
    if kept is not None:
        return kept
    scene = recipe.draw()
    label = np.array([s.label for s in scene.segments])
    value = label * INSTANCES + [s.instance for s in scene.segments]
    evaluated = np.array([recipe.labels[i].evaluate for i in label])
    # Void is 0; elsewhere one more category than the label, so that no segment is 0.
    ids = np.where(evaluated, value + INSTANCES, 0)
    segments = segments_info(scene, ids)

    write_atomically(root / recipe.split / "images" / f"{recipe.image_id}.jpg", _jpeg(scene.image))
    write_atomically(folder / "labels" / name, _png(label[scene.segment], np.uint8))
    write_atomically(folder / "instances" / name, _png(value[scene.segment], np.uint16))
    channels = np.stack([ids >> shift & 255 for shift in (0, 8, 16)], -1)
    note = PngImagePlugin.PngInfo()
    note.add_text("streets", json.dumps({"recipe": asdict(recipe), "segments_info": segments}))
    write_atomically(panoptic, _png(channels[scene.segment], np.uint8, note))  # the last: it says that all are there
    return segments


def recorded(panoptic: Path, recipe: Recipe) -> list[dict[str, Any]] | None:
    """Read `segments_info` of an image from a text chunk of its PNG; None unless it was finished with this recipe."""
    try:
        with Image.open(panoptic) as png:
            note = json.loads(png.info["streets"])
    except (OSError, KeyError, ValueError):
        return None
    return note["segments_info"] if note["recipe"] == asdict(recipe) else None


def segments_info(scene: Scene, ids: np.ndarray) -> list[dict[str, Any]]:
    """Make the entries of the panoptic JSON for an image: every segment that is not void.

    Args:
        ids: panoptic id of each of the scene's segments, 0 void.
    """
    rows = []
    for index, (segment, id_) in enumerate(zip(scene.segments, ids.tolist(), strict=True)):
        if id_:
            y, x = np.nonzero(scene.segment == index)
            left, top = int(x.min()), int(y.min())
            rows.append(
                {
                    "id": id_,
                    "category_id": segment.label + 1,
                    "area": len(x),
                    "bbox": [left, top, int(x.max()) + 1 - left, int(y.max()) + 1 - top],
                    "iscrowd": int(segment.crowd),
                }
            )
    return rows


def panoptic_json(seed: int, version: int, images: list[tuple[Recipe, list[dict[str, Any]]]]) -> dict[str, Any]:
    """List a split's annotations in the COCO panoptic format, as Mapillary's: supercategory is the label's name."""
    return {
        "info": {"description": "Drawn street scenes", "version": str(version), "seed": seed},
        "images": [
            {"id": r.image_id, "file_name": f"{r.image_id}.jpg", "height": r.height, "width": r.width}
            for r, _ in images
        ],
        "annotations": [
            {"image_id": r.image_id, "file_name": f"{r.image_id}.png", "segments_info": rows} for r, rows in images
        ],
        "categories": [
            {
                "id": i + 1,
                "name": c.readable,
                "supercategory": c.name,
                "isthing": int(c.instances),
                "color": list(c.color),
            }
            for i, c in enumerate(VERSIONS[version].labels)
            if c.evaluate
        ],
    }


def contact_sheet(recipes: Iterable[Recipe], *, columns: int = 2) -> Image.Image:
    """Show images, each with its segments beside it: stuff pale in its category's color, instances in bright ones."""
    pictures = [[Image.fromarray(a) for a in (s.image, overlay(s))] for s in (recipe.draw() for recipe in recipes)]
    width = min(SHEET_WIDTH // (2 * columns), pictures[0][0].width * 2 // 3)
    height = pictures[0][0].height * width // pictures[0][0].width
    rows = -(-len(pictures) // columns)
    size = columns * (2 * width + 2 * SHEET_GAP) - SHEET_GAP, SHEET_HEAD + rows * (height + SHEET_GAP) - SHEET_GAP
    sheet = Image.new("RGB", size, "white")
    for k, pair in enumerate(pictures):
        for side, picture in enumerate(pair):
            x = k % columns * (2 * width + 2 * SHEET_GAP) + side * (width + SHEET_GAP // 2)
            y = SHEET_HEAD + k // columns * (height + SHEET_GAP)
            sheet.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (x, y))
            if k < columns:
                ImageDraw.Draw(sheet).text((x, 2), ("image", "segments: instances are bright")[side], fill="black")
    colors = sheet.quantize(SHEET_COLORS, method=Image.Quantize.MEDIANCUT, kmeans=2)
    return sheet.quantize(palette=colors, dither=Image.Dither.FLOYDSTEINBERG)  # else skies have bands


def overlay(scene: Scene) -> UInt8[np.ndarray, "h w 3"]:
    """Lay the colors of the segments over an image; void is black, crowds are white.

    Stuff is darkened and nearly gray, so that no instance looks like the ground it stands on.
    """
    colors = np.empty((len(scene.segments), 3))
    for index, segment in enumerate(scene.segments):
        label = LABELS[segment.label]
        if segment.crowd:
            colors[index] = 255
        elif label.instances:  # hues a golden ratio apart, from red to violet
            colors[index] = np.array(colorsys.hsv_to_rgb(0.8 * (index * 0.618034 % 1), 0.75, 1)) * 255
        else:
            color = np.array(label.color, float) * label.evaluate
            colors[index] = 0.5 * (0.25 * color + 0.75 * color.mean())
    return (0.35 * scene.image + 0.65 * colors[scene.segment]).astype(np.uint8)


def _folder(root: Path, split: str) -> Path:
    return root / split / "v2.0"


def _dump(content: dict[str, Any]) -> str:
    return json.dumps(content) + "\n"


def _png(values: np.ndarray, dtype: DTypeLike, note: PngImagePlugin.PngInfo | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values.astype(dtype)).save(file, "PNG", pnginfo=note)
    return file.getvalue()


def _jpeg(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


@dataclass(frozen=True)
class Options:
    """Draw street scenes with panoptic ground truth, in the layout of Mapillary Vistas v2.0."""

    out: Path | None = None
    """Folder of the data set; images that an interrupted run finished are used again."""
    seed: int = 0
    """Random seed of the streets."""
    training: int = 1000
    """Number of images of the training split."""
    validation: int = 500
    """Number of images of the validation split."""
    testing: int = 500
    """Number of images of the testing split."""
    version: int = 1
    """Version of the drawings. 2: more categories, and objects as large in the image as in Mapillary Vistas."""
    height: int | None = None
    """Height of the images, pixels. Default: that of the version, 256 or 512."""
    width: int | None = None
    """Width of the images, pixels. Default: that of the version, 512 or 1024."""
    workers: int | None = None
    """Number of processes. Default: one per core."""
    contact_sheet: Path | None = None
    """File for a PNG of the first validation images and their segments. Default: none is written."""


def main(arguments: list[str] | None = None) -> None:
    """Draw what the command line asks for."""
    options = tyro.cli(Options, args=arguments)
    if options.out is None and options.contact_sheet is None:
        sys.exit("nothing to write; expected --out ROOT, --contact-sheet PNG or both")
    try:
        _draw(options)
    except InputError as error:
        sys.exit(f"streets: {error}")


def _draw(options: Options) -> None:
    size = {"height": options.height, "width": options.width}
    if options.out is not None:
        write_dataset(
            options.out,
            seed=options.seed,
            version=options.version,
            counts={split: getattr(options, split) for split in SPLITS},
            workers=options.workers,
            progress=True,
            **size,
        )
    if options.contact_sheet is not None:
        first = recipes_of(options.seed, {"validation": SHEET_IMAGES}, version=options.version, **size)
        file = io.BytesIO()
        contact_sheet(first).save(file, "PNG", optimize=True)
        write_atomically(options.contact_sheet, file.getvalue())
