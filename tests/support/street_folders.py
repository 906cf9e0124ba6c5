"""Small data sets of drawn scenes, laid out like Mapillary Vistas v2.0; photographs show where a pixel is."""

from pathlib import Path

import numpy as np
from folders import write_mapillary
from PIL import Image

LABELS = (
    {"name": "nature--sky", "readable": "Sky", "instances": False, "evaluate": True, "color": [70, 130, 180]},
    {"name": "object--vehicle--car", "readable": "Car", "instances": True, "evaluate": True, "color": [0, 0, 142]},
    {"name": "human--person", "readable": "Person", "instances": True, "evaluate": True, "color": [220, 20, 60]},
    {"name": "void--static", "readable": "Static", "instances": False, "evaluate": False, "color": [0, 0, 0]},
    {"name": "flat--road", "readable": "Road", "instances": False, "evaluate": True, "color": [128, 64, 128]},
)
SKY, CAR, PERSON, ROAD = range(4)
"""Catalogue indices: void is left out."""
SKY_ID, CAR_ID, PERSON_ID, VOID_ID, ROAD_ID = (256 * label for label in range(5))


def scene(seed: int, height: int = 120, width: int = 200, instances: int = 12) -> np.ndarray:
    """Ids of sky over road, a strip of void, and boxes in front: most small, a few large, some cut by the border."""
    rng = np.random.default_rng(seed)
    ids = np.full((height, width), SKY_ID, np.uint32)
    ids[height // 2 :] = ROAD_ID
    ids[-5:] = VOID_ID
    for number in range(instances):
        h, w = np.exp(rng.uniform(np.log(4), np.log(0.7 * height), 2)).astype(int)
        y, x = rng.integers(-h // 2, height - h // 2), rng.integers(-w // 2, width - w // 2)
        kind = CAR_ID if number % 2 else PERSON_ID
        ids[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = kind + number
    return ids


def photograph(height: int, width: int, *, wave: float = 2.0) -> Image.Image:
    """Red grows with x, green with y, blue is waves of 6 times so many pixels, about."""
    y, x = np.mgrid[:height, :width]
    blue = 128 + 100 * np.sin(x / wave) * np.cos(y / wave)
    return Image.fromarray(np.stack([255 * x / width, 255 * y / height, blue], -1).astype(np.uint8))


def write_scenes(root: Path, scenes: dict[str, np.ndarray], *, jpeg: bool = False) -> Path:
    """A training split; photographs are lossless (PNGs that are named .jpg) unless `jpeg`."""
    write_mapillary(root, scenes, version="2.0", split="training", labels=LABELS)
    for name, ids in scenes.items():
        picture = photograph(*ids.shape)
        path = root / "training" / "images" / f"{name}.jpg"
        picture.save(path, "JPEG", quality=95) if jpeg else picture.save(path, "PNG")
    return root
