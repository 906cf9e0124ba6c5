"""Label maps to measure with: streets-like pairs of ground truth and prediction, as large as those of real data sets.

    python -m benchmarks.data mvd runs/benchmarks/mvd
    python -m benchmarks.data mvd runs/benchmarks/rough --rough 8

Below the folder: gt.json and gt/*.png, pred/panoptic.json and pred/panoptic/*.png in the COCO panoptic format, and the
things among them as gt_instances.json and detections.json in COCO's. Same arguments, same pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from jaxtyping import Int
from PIL import Image
from pycocotools import mask as coco_mask
from scipy import ndimage

from panoptic_eval.png.ids import ids_of


@dataclass(frozen=True)
class Preset:
    """A data set's outward appearance."""

    images: int
    height: int
    width: int
    things: int
    """Categories that are things; the others follow."""
    stuff: int
    objects: tuple[int, int]
    """Fewest and most things that are drawn in an image."""
    side: float
    """Median side of a thing, in parts of the image's width."""


PRESETS = {
    "mvd": Preset(16, 2268, 4032, things=37, stuff=28, objects=(90, 180), side=0.016),
    "mvd-large": Preset(4, 4128, 5504, things=37, stuff=28, objects=(90, 180), side=0.016),
    "cityscapes": Preset(32, 1024, 2048, things=8, stuff=11, objects=(15, 45), side=0.03),
    "small": Preset(2000, 480, 640, things=80, stuff=53, objects=(3, 16), side=0.1),
    "tiny": Preset(4, 120, 160, things=5, stuff=4, objects=(3, 9), side=0.1),
}


@dataclass(frozen=True)
class Options:
    """Draw label maps to measure with."""

    preset: Annotated[str, tyro.conf.Positional]
    """Data set whose sizes are imitated: mvd, mvd-large, cityscapes, small or tiny."""
    out: Annotated[Path, tyro.conf.Positional]
    """Folder of the data."""
    rough: float = 1
    """Strength of the noise along edges; more gives more and shorter runs."""
    images: int | None = None
    """Number of images. Default: that of the preset."""
    seed: int = 0
    """Random seed of the images."""
    workers: int | None = None
    """Number of processes. Default: one per core."""


@dataclass(frozen=True)
class Blob:
    """A closed shape: an ellipse whose radius wobbles with the angle."""

    category: int
    y: float
    x: float
    height: float
    """Half axes, pixels."""
    width: float
    wobble: tuple[complex, ...]
    """Amplitude and phase of the second, third, ... harmonic."""

    def jittered(self, rng: np.random.Generator, strength: float) -> Blob:
        dy, dx, height, width = rng.normal(0, strength, 4)
        return replace(
            self,
            y=self.y + dy * self.height,
            x=self.x + dx * self.width,
            height=self.height * np.exp(height),
            width=self.width * np.exp(width),
        )


def draw(ids: Int[np.ndarray, "h w"], blob: Blob, id_: int, noise: np.ndarray) -> None:
    """Give the blob's pixels an id; `noise` moves its edge."""
    reach = 1 + sum(map(abs, blob.wobble)) + float(np.abs(noise).max()) / min(blob.height, blob.width)
    y0, y1 = (int(np.clip(blob.y + s * reach * blob.height + (s > 0), 0, ids.shape[0])) for s in (-1, 1))
    x0, x1 = (int(np.clip(blob.x + s * reach * blob.width + (s > 0), 0, ids.shape[1])) for s in (-1, 1))
    v, u = np.ogrid[y0:y1, x0:x1]
    v, u = ((v + 0.5 - blob.y) / blob.height).astype("f4"), ((u + 0.5 - blob.x) / blob.width).astype("f4")
    radius = np.sqrt(v * v + u * u)
    direction = (u + np.complex64(1j) * v) / np.maximum(radius, np.float32(1e-6))
    edge = np.zeros_like(direction)
    for harmonic in reversed(blob.wobble):
        edge = (edge + np.complex64(harmonic)) * direction
    # The noise is in pixels, whatever the size of the blob.
    inside = radius < 1 + (edge * direction).real + noise[y0:y1, x0:x1] / min(blob.height, blob.width)
    ids[y0:y1, x0:x1][inside] = id_


def random_blob(rng: np.random.Generator, preset: Preset, category: int, side: float) -> Blob:
    aspect = np.exp(rng.normal(0, 0.5))
    size = max(2.0, side * preset.width / 2)
    return Blob(
        category,
        y=preset.height * rng.uniform(0.3, 0.95),
        x=preset.width * rng.uniform(),
        height=size * aspect,
        width=size / aspect,
        wobble=tuple((rng.normal(0, 0.06, 4) * np.exp(1j * rng.uniform(0, 2 * np.pi, 4))).tolist()),
    )


@cache
def noise_tile(rough: float, seed: int) -> np.ndarray:
    """Noise of edges, pixels: a wide swing, and `rough` times a fine one; it repeats without a seam."""
    rng = np.random.default_rng(seed)
    fine = ndimage.uniform_filter(rng.normal(0, 1, (512, 512)), 3, mode="wrap") * 1.5 * rough
    wide = ndimage.gaussian_filter(rng.normal(0, 1, (512, 512)), 8, mode="wrap") * 25
    return (fine + wide).astype(np.float32)


def smooth_noise(rng: np.random.Generator, height: int, width: int, tile: np.ndarray) -> np.ndarray:
    y, x = (np.arange(n) + rng.integers(len(tile)) for n in (height, width))
    return np.take(np.take(tile, y % len(tile), 0), x % len(tile), 1)


def draw_pair(index: int, preset: Preset, rough: float, seed: int) -> tuple[dict[str, Any], ...]:
    """Return the ids of gt and of pred, and what each id means: {id: {category_id, iscrowd, score}}."""
    rng = np.random.default_rng([seed, index])
    shape = preset.height, preset.width
    noise = smooth_noise(rng, *shape, noise_tile(rough, seed))
    other_noise = 0.9 * noise + 0.4 * smooth_noise(rng, *shape, noise_tile(rough, seed))
    maps = [np.zeros(shape, np.uint32) for _ in range(2)]
    meaning: list[dict[int, dict[str, Any]]] = [{}, {}]
    fresh = iter(rng.permutation(np.unique(rng.integers(1, 2**24, 4000))).tolist())

    def paint(side: int, blob: Blob, category: int, id_: int | None = None, **about: Any) -> None:
        id_ = next(fresh) if id_ is None else id_
        draw(maps[side], blob, id_, (noise, other_noise)[side])
        meaning[side][id_] = {"category_id": category, "iscrowd": 0, **about}

    stuff_ids = [{c: next(fresh) for c in range(1, preset.things + preset.stuff + 1)} for _ in range(2)]
    for at in np.linspace(0, 1, 6):  # the layers of a street, from sky to ground, then patches of them
        category = preset.things + int(rng.integers(1, preset.stuff + 1))
        for side in range(2):
            level = preset.height * at + rng.normal(0, 2) * side
            swing = ndimage.gaussian_filter1d(noise[0], 9, mode="wrap") * preset.height / 200
            rows = np.arange(preset.height)[:, None] > level + swing + (noise, other_noise)[side]
            maps[side][rows] = stuff_ids[side][category]
            meaning[side][stuff_ids[side][category]] = {"category_id": category, "iscrowd": 0, "score": 0.9}
    for _ in range(12):
        category = preset.things + int(rng.integers(1, preset.stuff + 1))
        blob = random_blob(rng, preset, category, 4 * preset.side)
        wrong = category if rng.random() < 0.9 else preset.things + int(rng.integers(1, preset.stuff + 1))
        paint(0, blob, category, stuff_ids[0][category])
        paint(1, blob.jittered(rng, 0.03), wrong, stuff_ids[1][wrong], score=0.8)

    for _ in range(rng.integers(*preset.objects, endpoint=True)):
        category = int(preset.things * rng.random() ** 2) + 1
        blob = random_blob(rng, preset, category, preset.side * np.exp(rng.normal(0, 0.9)))
        score = round(float(rng.uniform(0.1, 1)), 4)
        if rng.random() < 0.95:
            paint(0, blob, category, iscrowd=int(rng.random() < 0.015))
        if rng.random() < 0.85:
            wrong = category if rng.random() < 0.93 else int(rng.integers(1, preset.things + 1))
            paint(1, blob.jittered(rng, 0.06), wrong, score=score)
    for _ in range(4):  # unlabeled, and not predicted
        draw(maps[0], random_blob(rng, preset, 0, preset.side), 0, noise)
    return tuple({"ids": ids, "meaning": about} for ids, about in zip(maps, meaning, strict=True))


def column_runs(ids: Int[np.ndarray, "h w"], wanted: Sequence[int]) -> dict[int, dict[str, Any]]:
    """COCO's compressed run lengths of the pixels of each id."""
    flat = ids.T.reshape(-1)
    start = np.flatnonzero(np.append(True, flat[1:] != flat[:-1]))
    end = np.append(start[1:], flat.size)
    owner = flat[start]
    order = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[order], wanted)
    last = np.searchsorted(owner[order], wanted, side="right")
    out = {}
    for id_, a, b in zip(wanted, first.tolist(), last.tolist(), strict=True):
        runs = order[a:b]
        edges = np.stack([start[runs], end[runs]], 1).reshape(-1)
        counts = np.diff(edges, prepend=0, append=flat.size).tolist()
        rle = coco_mask.frPyObjects({"size": list(ids.shape), "counts": counts}, *ids.shape)
        out[id_] = {"size": rle["size"], "counts": rle["counts"].decode()}
    return out


def write_image(index: int, preset: Preset, rough: float, seed: int, out: Path) -> list[dict[str, Any]]:
    """Draw and store one image; the COCO entries of gt and of pred."""
    entries = []
    for side, folder in zip(draw_pair(index, preset, rough, seed), ("gt", "pred/panoptic"), strict=True):
        ids, meaning = side["ids"], side["meaning"]
        color = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)
        Image.fromarray(color).save(out / folder / f"{index:06d}.png")
        found, _, _ = ids_of(ids)
        segments = []
        for id_, area, (x0, y0, x1, y1) in zip(found.id.tolist(), found.area.tolist(), found.box.tolist(), strict=True):
            if id_:
                segments.append({"id": id_, **meaning[id_], "area": area, "bbox": [x0, y0, x1 - x0, y1 - y0]})
        things = [s for s in segments if s["category_id"] <= preset.things]
        masks = column_runs(ids, [s["id"] for s in things])
        instances = [{"image_id": index, **s, "segmentation": masks[s["id"]]} for s in things]
        annotation = {"image_id": index, "file_name": f"{index:06d}.png", "segments_info": segments}
        entries.append({"annotation": annotation, "instances": instances})
    return entries


def write(preset: Preset, out: Path, *, rough: float = 1, seed: int = 0, workers: int | None = None) -> None:
    """Draw all images of a data set and store them with their JSON files."""
    for folder in ("gt", "pred/panoptic"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    job = partial(write_image, preset=preset, rough=rough, seed=seed, out=out)
    with ProcessPoolExecutor(workers) as executor:
        entries = list(executor.map(job, range(1, preset.images + 1), chunksize=max(1, preset.images // 64)))
    categories = [
        {
            "id": c,
            "name": f"category {c}",
            "isthing": int(c <= preset.things),
            "color": [c * k % 256 for k in (37, 91, 53)],
        }
        for c in range(1, preset.things + preset.stuff + 1)
    ]
    size = {"height": preset.height, "width": preset.width}
    images = [{"id": k, "file_name": f"{k:06d}.jpg", **size} for k in range(1, preset.images + 1)]
    gt, pred = ([e[side] for e in entries] for side in range(2))
    common = {"images": images, "categories": categories}
    instances = [i for e in gt for i in e["instances"]]
    for number, instance in enumerate(instances, 1):
        instance["id"] = number
    things = [c for c in categories if c["isthing"]]
    contents: dict[str, Any] = {
        "gt.json": {**common, "annotations": [e["annotation"] for e in gt]},
        "pred/panoptic.json": {**common, "annotations": [e["annotation"] for e in pred]},
        "gt_instances.json": {"images": images, "categories": things, "annotations": instances},
        "detections.json": [
            {k: i[k] for k in ("image_id", "category_id", "score", "bbox", "segmentation")}
            for e in pred
            for i in e["instances"]
        ],
    }
    for name, content in contents.items():
        (out / name).write_text(json.dumps(content))


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    preset = PRESETS[options.preset]
    if options.images is not None:
        preset = replace(preset, images=options.images)
    write(preset, options.out, rough=options.rough, seed=options.seed, workers=options.workers)


if __name__ == "__main__":
    main()
