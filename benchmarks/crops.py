"""How fast training samples are made from images of 12 Mpixel: samples per second and core, against plain Pillow.

    python -m benchmarks.crops

Draws a few images with labels as large as those of Mapillary Vistas, in its layout. Plain Pillow decodes photograph and
labels, rescales all of both, and cuts the crop; for the same requests, in turns, on one thread.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image, ImageDraw

from model.data.crops import make_sample, place_window
from model.data.index import build_index
from model.data.loader import padding_color
from model.data.sampling import CropRequest, Sampler
from model.presets import MVD
from panoptic_eval.datasets import ground_truth
from panoptic_eval.labels import LabelMap
from panoptic_eval.png.label_runs import read_runs

CATEGORIES = [{"id": i + 1, "name": f"category {i}", "isthing": int(i > 3), "color": [i, i, i]} for i in range(12)]


@dataclass(frozen=True)
class Options:
    """Time making samples from large images."""

    samples: int = 30
    """Number of samples of each kind of sampling."""
    images: int = 4
    """Number of images that samples are cut from."""
    height: int = 3000
    """Height of the images, pixels."""
    width: int = 4000
    """Width of the images, pixels."""


def draw(root: Path, name: str, size: tuple[int, int], seed: int) -> dict:
    """Return a photograph and its labels: stuff in bands, 120 ellipses of heavy-tailed size, noise as a camera has."""
    height, width = size
    rng = np.random.default_rng(seed)
    picture, labels = Image.new("RGB", (width, height)), Image.new("RGB", (width, height))
    paint, mark = ImageDraw.Draw(picture), ImageDraw.Draw(labels)
    segments = []
    for number in range(124):
        id_ = 1000 + 517 * number
        color = tuple(rng.integers(0, 255, 3).tolist())
        if number < 4:
            area, category = (0, number * height // 4, width, (number + 1) * height // 4), number + 1
        else:
            x, y = rng.integers(0, width), rng.integers(0, height)
            a, b = np.exp(rng.normal(4.2, 1, 2)).clip(6, 1200)
            area, category = (x - a, y - b, x + a, y + b), 5 + number % 8
        paint.ellipse(area, color) if number > 3 else paint.rectangle(area, color)
        value = (id_ & 255, id_ >> 8 & 255, id_ >> 16)
        mark.ellipse(area, value) if number > 3 else mark.rectangle(area, value)
        segments.append({"id": id_, "category_id": category, "iscrowd": 0})
    noisy = np.asarray(picture).astype(np.int16) + rng.integers(-10, 11, (height, width, 3), dtype=np.int16)
    folder = root / "training"
    (folder / "v2.0/panoptic").mkdir(parents=True, exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{name}.jpg", quality=90)
    labels.save(folder / "v2.0/panoptic" / f"{name}.png")
    rgb = np.asarray(labels).astype(np.uint32)
    seen = set(np.unique(rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]).tolist())
    return {
        "image_id": name,
        "file_name": f"{name}.png",
        "segments_info": [segment for segment in segments if segment["id"] in seen],
    }


def plain(label_map: LabelMap, request: CropRequest, pixel: tuple[int, int], crop: int) -> np.ndarray:
    """Return the same crop of photograph, labels and masks, the obvious way."""
    with Image.open(label_map.photograph) as file:
        image = file.convert("RGB")
    window = place_window(request, pixel, (image.height, image.width), crop)
    height, width = window.size
    corner = (window.left, window.top, window.left + window.width, window.top + window.height)
    rgb = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR).crop(corner))
    with Image.open(label_map.png) as file:
        rescaled = file.resize((width, height), Image.Resampling.NEAREST).crop(corner)
    colors = np.asarray(rescaled).astype(np.uint32)
    ids = colors[..., 0] + 256 * colors[..., 1] + 65536 * colors[..., 2]
    for id_ in np.unique(ids):
        y, x = np.nonzero(ids == id_)
        x.min(), y.min(), x.max(), y.max()
    return rgb


def main() -> None:
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        found = [draw(root, f"image{i}", (options.height, options.width), i) for i in range(options.images)]
        (root / "config_v2.0.json").write_text(json.dumps({"version": "2.0", "labels": []}))
        (root / "training/v2.0/panoptic/panoptic_2020.json").write_text(
            json.dumps({"images": [], "annotations": found, "categories": CATEGORIES})
        )
        gt = ground_truth(root, split="training")
        index = build_index(gt, workers=1)
        print("| sampling | plain, samples/s | ours, samples/s | ratio |\n| --- | --- | --- | --- |")
        for sampling in ("cus", "isus"):
            config = replace(MVD.sample, sampling=sampling)
            sampler = Sampler(index, config, MVD.levels, 0)
            assert config.crop is not None
            times = []
            for number in range(options.samples):
                request = sampler.request(number)
                label_map = gt.maps[request.image]
                pixel = read_runs(label_map.png.read_bytes()).pixel(request.segment, request.pixel)
                start = time.perf_counter()
                plain(label_map, request, pixel, config.crop)
                middle = time.perf_counter()
                make_sample(gt, index, request, crop=config.crop, padding=padding_color(config))
                times.append((middle - start, time.perf_counter() - middle))
            slow, fast = np.median(times, 0)
            print(
                f"| {sampling} | {1 / slow:.2f} | {1 / fast:.2f} | {np.median(np.divide(*np.transpose(times))):.2f} |"
            )


if __name__ == "__main__":
    main()
