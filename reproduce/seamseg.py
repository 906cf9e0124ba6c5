"""Raw predictions of the Seamless code into a directory that panoptic-eval scores, by our fusion.

    python -m reproduce.seamseg --raw DIR --gt mvd --root DIR --out DIR

`scripts/test_panoptic.py --raw` of mapillary/seamseg writes, below its out_dir, IMAGE.pth.tar for each image: a
dictionary of tensors, all in the frame that its network saw.

    sem_pred    category of each pixel
    bbx_pred    y0, x0, y1, x1 of each detection; this and the three below are None where there is none
    cls_pred    its thing
    obj_pred    its score
    msk_pred    logits of its mask, on as many rows as columns of its box

Categories are numbered as in its metadata: stuff first, then things, each in the order of the data set; cls_pred counts
things alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from model.boxes.fusion import layered
from model.boxes.prediction import Detections
from model.config import FusionConfig
from model.predict import coco_result
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.labels import LabelMap, LabelMaps
from panoptic_eval.png.container import HEAD, png_size
from panoptic_eval.predictions import PredictionWriter

RAW = ".pth.tar"
FUSION = FusionConfig()
"""Thresholds of the Seamless code for Mapillary Vistas."""
DETECTED = ("bbx_pred", "cls_pred", "obj_pred", "msk_pred")


@dataclass(frozen=True)
class Options:
    """Fuse raw predictions of the Seamless code, and write them as panoptic-eval reads them."""

    raw: Path
    """Folder that its test_panoptic.py --raw has written."""
    gt: str
    """Ground truth: mvd, cityscapes, idd, or the path of one."""
    out: Path
    """Folder for panoptic.json, panoptic/ and instances.json. If it is interrupted, run the same command again."""
    root: Path | None = None
    """Folder of the data sets. Default: $PANOPTIC_DATA."""
    split: str | None = None
    """Split of the ground truth. Default: the validation split."""


def fuse_raw(raw: Path, gt: LabelMaps, out: Path) -> None:
    """Fuse what is not fused yet.

    Args:
        raw: folder of IMAGE.pth.tar, also in folders of its own.
        gt: the ground truth, for ids and sizes of images and for its categories.
        out: the directory of predictions, new or begun.

    Raises:
        InputError: no file is of an image of the ground truth, or one is of another form.
    """
    files = {path.name.removesuffix(RAW): path for path in sorted(raw.rglob(f"*{RAW}"))}
    named = [(m, next((files[name] for name in _names(m) if name in files), None)) for m in gt.maps]
    found = [(image, path) for image, path in named if path is not None]
    if not found:
        raise InputError(f"{raw}: no file is named like an image of {gt.source}; expected {_names(gt.maps[0])[0]}{RAW}")
    with PredictionWriter(out, gt.catalogue) as writer:
        for image, path in tqdm(found, unit="image", desc="fuse", leave=False):
            if not writer.done(image.image_id):
                _write(writer, image, path)


def _write(writer: PredictionWriter, image: LabelMap, path: Path) -> None:
    catalogue = writer.catalogue
    isthing = torch.tensor(catalogue.isthing)
    order = torch.cat([(~isthing).nonzero()[:, 0], isthing.nonzero()[:, 0]])  # theirs to ours
    content = _load(path, len(order), int(isthing.sum()))
    with image.png.open("rb") as file:
        size = png_size(file.read(HEAD))
    semantic = order[_tensor(content, "sem_pred").long()].to(torch.uint8)
    frame = (semantic.shape[0], semantic.shape[1])
    rows, columns = (((torch.arange(s) + 0.5) * f / s).long() for s, f in zip(size, frame, strict=True))
    fused = layered(_detections(content, isthing), semantic[rows[:, None], columns], None, isthing, frame, FUSION)
    segments = [
        {"id": s.id, "category_id": int(catalogue.ids[s.category])} | ({} if s.score is None else {"score": s.score})
        for s in fused.panoptic.segments
    ]
    instances = [coco_result(instance, catalogue, size) for instance in fused.instances]
    writer.write(image.image_id, fused.panoptic.ids.numpy().astype(np.int32), segments, instances=instances)


def _detections(content: Mapping[str, Tensor | None], isthing: Tensor) -> Detections:
    """Return the detections of an image, best first; their boxes become x0, y0, x1, y1."""
    if content["bbx_pred"] is None:
        return Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2, 2))
    boxes, things, scores, masks = (_tensor(content, name) for name in DETECTED)
    best = scores.argsort(descending=True, stable=True)
    categories = isthing.nonzero()[:, 0][things.long()]
    return Detections(boxes.float()[best][:, [1, 0, 3, 2]], scores.float()[best], categories[best], masks.float()[best])


def _tensor(content: Mapping[str, Tensor | None], name: str) -> Tensor:
    tensor = content[name]
    assert tensor is not None  # `_load` has seen to it
    return tensor


def _load(path: Path, categories: int, things: int) -> dict[str, Tensor | None]:
    """Read one file without running code.

    Raises:
        InputError: it is none of these, or of other categories.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path}: cannot be read as a raw prediction: {error}") from error
    wanted = ("sem_pred", *DETECTED)
    sound = isinstance(content, dict) and {*wanted} <= {*content} and isinstance(content["sem_pred"], Tensor)
    none = [content[name] is None for name in DETECTED] if sound else []
    if not sound or content["sem_pred"].dim() != 2 or any(none) != all(none):
        raise InputError(f"{path}: expected a dictionary of {', '.join(wanted)}, as test_panoptic.py --raw writes it")
    for name, count in (("sem_pred", categories), ("cls_pred", things)):
        numbers = content[name]
        if numbers is not None and numbers.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < count:
            raise InputError(
                f"{path}: {name} holds {int(numbers.max())}; expected 0 to {count - 1}, as in the data set"
            )
    return {name: content[name] for name in wanted}


def _names(image: LabelMap) -> list[str]:
    """List the names that the image's file may have: its id, or that of its photograph."""
    return [str(image.image_id).rsplit("/", 1)[-1], *([image.photograph.stem] if image.photograph else [])]


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m reproduce.seamseg", description=Options.__doc__)
    try:
        gt = ground_truth(options.gt, root=options.root, split=options.split)
        fuse_raw(options.raw, gt, options.out)
    except InputError as error:
        sys.exit(f"reproduce.seamseg: {error}")


if __name__ == "__main__":
    main()
