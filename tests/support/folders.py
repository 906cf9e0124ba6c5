"""Small data sets and predictions on disk, in the layouts of the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SKY, CAR, PERSON = 4, 7, 9
CATEGORIES = (
    {"id": CAR, "name": "car", "isthing": 1, "color": [0, 0, 142]},
    {"id": SKY, "name": "sky", "isthing": 0, "color": [70, 130, 180]},
    {"id": PERSON, "name": "person", "isthing": 1, "color": [220, 20, 60]},
)
"""Not in the order of their ids."""

Labels = Sequence[Sequence[int]] | np.ndarray


def write_rgb(path: Path, ids: Labels) -> Path:
    """A PNG whose colors are ids: R + 256 G + 65536 B."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.asarray(ids, np.uint32)
    Image.fromarray(np.stack([array >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)).save(path)
    return path


def write_gray(path: Path, values: Labels, bits: int = 16) -> Path:
    """A PNG of gray values, 8 or 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8 if bits == 8 else np.uint16)).save(path)
    return path


def write_photograph(path: Path, like: Labels) -> Path:
    """A gray photograph of the size of a label map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", np.shape(like)[::-1], (128, 128, 128)).save(path)
    return path


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of all files below a folder, by their paths in it, which are sorted."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def segments(*entries: Sequence[Any], **keys: Sequence[Any]) -> list[dict[str, Any]]:
    """Entries of `segments_info` from (id, category id) pairs; further keys hold a value for each."""
    return [
        {"id": id_, "category_id": category, **{key: values[i] for key, values in keys.items()}}
        for i, (id_, category) in enumerate(entries)
    ]


def write_coco(
    json_path: Path,
    images: Mapping[int | str, tuple[Labels, Sequence[Mapping[str, Any]]]],
    *,
    categories: Sequence[Mapping[str, Any]] | None = CATEGORIES,
    folder: Path | None = None,
    with_images: bool = True,
) -> Path:
    """A panoptic JSON and its PNGs.

    Args:
        images: ids of the pixels, and entries of segments_info, by image id.
        folder: of the PNGs; by default the one named like the JSON.
        with_images: whether the JSON lists its images, as ground truths do.
    """
    annotations, entries = [], []
    for image_id, (ids, info) in images.items():
        name = f"{image_id:012d}" if isinstance(image_id, int) else image_id
        write_rgb((folder or json_path.with_suffix("")) / f"{name}.png", ids)
        annotations.append({"image_id": image_id, "file_name": f"{name}.png", "segments_info": list(info)})
        height, width = np.shape(ids)
        entries.append({"id": image_id, "file_name": f"{name}.jpg", "height": height, "width": width})
    content: dict[str, Any] = {"annotations": annotations}
    if with_images:
        content["images"] = entries
    if categories is not None:
        content["categories"] = list(categories)
    return write_json(json_path, content)


VISTAS_LABELS = (
    {"name": "animal--bird", "readable": "Bird", "instances": True, "evaluate": True, "color": [165, 42, 42]},
    {"name": "void--dynamic", "readable": "Dynamic", "instances": True, "evaluate": False, "color": [111, 74, 0]},
    {"name": "nature--sky", "readable": "Sky", "instances": False, "evaluate": True, "color": [70, 130, 180]},
    {"name": "object--vehicle--car", "readable": "Car", "instances": True, "evaluate": True, "color": [0, 0, 142]},
)
"""Label 0 is a thing, label 1 is void: no value means void by itself."""


def write_mapillary(
    root: Path,
    images: Mapping[str, Labels],
    *,
    version: str | None = None,
    split: str = "validation",
    labels: Sequence[Mapping[str, Any]] = VISTAS_LABELS,
) -> Path:
    """Instance files (label * 256 + instance), config and photographs; laid out like v2.0 if a version is given."""
    config = {"version": version or "1.2", "labels": list(labels)}
    write_json(root / (f"config_v{version}.json" if version else "config.json"), config)
    folder = root / split / f"v{version}" if version else root / split
    for image_id, values in images.items():
        write_gray(folder / "instances" / f"{image_id}.png", values)
        write_photograph(root / split / "images" / f"{image_id}.jpg", values)
    return root


def write_cityscapes(root: Path, images: Mapping[str, Labels], *, split: str = "val") -> Path:
    """Instance files by image id <city>_<sequence>_<frame>, and photographs."""
    for image_id, values in images.items():
        city = image_id.partition("_")[0]
        write_gray(root / "gtFine" / split / city / f"{image_id}_gtFine_instanceIds.png", values)
        write_photograph(root / "leftImg8bit" / split / city / f"{image_id}_leftImg8bit.png", values)
    return root


def write_idd(root: Path, images: Mapping[str, Labels], *, split: str = "val") -> Path:
    """Level-3 instance files by <drive>/<image>, and photographs."""
    for name, values in images.items():
        write_gray(root / "gtFine" / split / f"{name}_gtFine_instancelevel3Ids.png", values)
        write_photograph(root / "leftImg8bit" / split / f"{name}_leftImg8bit.jpg", values)
    return root
