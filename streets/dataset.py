"""The embedded data set: street scenes drawn from a seed, written in the layout of Mapillary Vistas v2.0.

    python -m streets --out ROOT

Each image is a pure function of (seed, split, index, size): no two splits share a scene, and a longer split begins with
a shorter one. A run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from jaxtyping import UInt8
from numpy.typing import DTypeLike
from PIL import Image, PngImagePlugin
from tqdm import tqdm

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from streets.scene import LABELS, Scene, render

VERSION = 1
"""Of the drawings: to be raised when the same seed gives other pixels; files of another version are drawn anew."""
SPLITS = ("training", "validation", "testing")
INSTANCES = 256
"""Instance files hold label * 256 + instance."""
JPEG_QUALITY = 92
SHEET_IMAGES = 12
SHEET_COLORS = 256
"""Of the contact sheet's palette, to keep it small."""


@dataclass(frozen=True)
class Recipe:
    """All that an image depends on."""

    seed: int
    split: str
    index: int
    height: int
    width: int
    version: int = VERSION

    @property
    def image_id(self) -> str:
        """Name of its files."""
        return f"{self.split}_{self.index:05d}"

    def draw(self) -> Scene:
        """The scene; no two (seed, split, index) share one."""
        seed = (self.seed, 1 + SPLITS.index(self.split), self.index)
        return render(seed, height=self.height, width=self.width)


def write_dataset(
    root: Path,
    *,
    seed: int,
    counts: dict[str, int],
    height: int = 256,
    width: int = 512,
    workers: int | None = None,
    progress: bool = False,
) -> None:
    """Draw what is missing of a data set, then write its JSONs.

    Args:
        root: folder of the data set; made if it is not there.
        counts: images of each split to be written, by the split's name.
        height, width: of the images, pixels.
        workers: processes; as many as cores by default. 1 stays in this process. The files do not depend on it.
        progress: whether to show a bar.

    Raises:
        InputError: a split of another name, a count or seed below 0, a size that is no image.
    """
    if unknown := sorted(set(counts) - set(SPLITS)):
        raise InputError(f"counts: no split is called {', '.join(unknown)}; expected some of {', '.join(SPLITS)}")
    if min([seed, *counts.values()]) < 0 or seed >= 2**32:
        raise InputError(f"seed {seed}, counts {counts}: expected counts of 0 or more, a seed from 0 to 2**32 - 1")
    if min(height, width) < 32:
        raise InputError(f"size {height} x {width}: expected 32 pixels or more each way")
    recipes = [Recipe(seed, split, i, height, width) for split, count in counts.items() for i in range(count)]
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
        root / "config_v2.0.json", _dump({"version": "2.0", "labels": [asdict(label) for label in LABELS]})
    )
    for split in counts:
        mine = [(r, s) for r, s in zip(recipes, segments, strict=True) if r.split == split]
        write_atomically(_folder(root, split) / "panoptic" / "panoptic_2020.json", _dump(panoptic_json(seed, mine)))


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
    evaluated = np.array([LABELS[i].evaluate for i in label])
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
    """`segments_info` of an image that was finished with this very recipe, read from a text chunk of its PNG."""
    try:
        with Image.open(panoptic) as png:
            note = json.loads(png.info["streets"])
    except (OSError, KeyError, ValueError):
        return None
    return note["segments_info"] if note["recipe"] == asdict(recipe) else None


def segments_info(scene: Scene, ids: np.ndarray) -> list[dict[str, Any]]:
    """What the panoptic JSON says of an image: every segment that is not void.

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


def panoptic_json(seed: int, images: list[tuple[Recipe, list[dict[str, Any]]]]) -> dict[str, Any]:
    """A split's annotations in the COCO panoptic format, named as Mapillary does: supercategory is the label's name."""
    return {
        "info": {"description": "Drawn street scenes", "version": str(VERSION), "seed": seed},
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
            for i, c in enumerate(LABELS)
            if c.evaluate
        ],
    }


def contact_sheet(recipes: Iterable[Recipe], *, columns: int = 2) -> Image.Image:
    """Images, each with its segments beside it: stuff in its category's colour, every instance in one of its own."""
    cells = [np.concatenate([s.image, overlay(s)], 1) for s in (recipe.draw() for recipe in recipes)]
    rows = [np.concatenate(row, 1) for row in _batched(cells, columns)]
    sheet = Image.fromarray(np.concatenate(rows))
    sheet = sheet.resize((sheet.width * 2 // 3, sheet.height * 2 // 3), Image.Resampling.LANCZOS)
    return sheet.quantize(SHEET_COLORS, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)


def overlay(scene: Scene) -> UInt8[np.ndarray, "h w 3"]:
    """The image below the colours of its segments; void is black, crowds are white."""
    colors = np.empty((len(scene.segments), 3))
    hue = np.random.default_rng(0).uniform(30, 255, (len(scene.segments), 3))  # the same at every call
    for index, segment in enumerate(scene.segments):
        label = LABELS[segment.label]
        stuff = label.color if label.evaluate else (0, 0, 0)
        colors[index] = (255, 255, 255) if segment.crowd else hue[index] if label.instances else stuff
    return (0.35 * scene.image + 0.65 * colors[scene.segment]).astype(np.uint8)


def _batched(cells: list[np.ndarray], columns: int) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(cells), columns):
        yield cells[start : start + columns]


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
    """Folder of the data set; images that are finished there are kept."""
    seed: int = 0
    """Other seeds give other streets."""
    training: int = 1000
    """Images of the training split."""
    validation: int = 500
    """Images of the validation split."""
    testing: int = 500
    """Images of the testing split."""
    height: int = 256
    """Of the images, pixels."""
    width: int = 512
    """Of the images, pixels."""
    workers: int | None = None
    """Processes; as many as cores by default."""
    contact_sheet: Path | None = None
    """Also write a PNG of the first validation images and their segments."""


def main() -> None:
    """The command."""
    options = tyro.cli(Options)
    if options.out is None and options.contact_sheet is None:
        raise SystemExit("nothing to write; expected --out ROOT, --contact-sheet PNG or both")
    if options.out is not None:
        write_dataset(
            options.out,
            seed=options.seed,
            counts={split: getattr(options, split) for split in SPLITS},
            height=options.height,
            width=options.width,
            workers=options.workers,
            progress=True,
        )
    if options.contact_sheet is not None:
        first = [Recipe(options.seed, "validation", i, options.height, options.width) for i in range(SHEET_IMAGES)]
        file = io.BytesIO()
        contact_sheet(first).save(file, "PNG", optimize=True)
        write_atomically(options.contact_sheet, file.getvalue())
