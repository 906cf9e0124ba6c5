"""One request to one training sample: decode, rescale, crop, mirror; ground truth as it is after the crop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from model.data.index import DataIndex
from model.data.sampling import CropRequest
from model.targets import IGNORE, Targets
from panoptic_eval import photographs
from panoptic_eval.errors import InputError, PngError
from panoptic_eval.labels import LabelMaps
from panoptic_eval.pairs import palette
from panoptic_eval.png.container import palette_ids
from panoptic_eval.png.ids import ids_of
from panoptic_eval.png.label_runs import LabelRuns, read_runs

Color = tuple[int, int, int]

MIN_PIXELS = 4
"""An instance of which the crop shows fewer is nothing to learn from: its pixels are ignored."""


@dataclass(frozen=True)
class Window:
    """A part of a rescaled image."""

    size: tuple[int, int]
    """Height, width of the whole rescaled image."""
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class CutLabels:
    """Ground truth of a sample."""

    targets: Targets
    full: Float[Tensor, "n 4"]
    """Box of the whole instance as it would be without the crop, in the frame of the crop; row i of `targets`."""
    row: Int[Tensor, " n"]
    """Row of the instance in the index."""
    dropped: int
    """Number of instances of which too little is visible."""


@dataclass(frozen=True)
class Sample:
    """One training sample of h x w pixels."""

    request: CropRequest
    name: str
    """Id of the image."""
    image: UInt8[Tensor, "3 h w"]
    """RGB; padding has the mean color."""
    labels: CutLabels


def place_window(request: CropRequest, pixel: tuple[int, int], image_size: tuple[int, int], crop: int | None) -> Window:
    """Place the window that the crop is cut from.

    Args:
        request: what is wanted.
        pixel: y, x in the image, of the pixel that the crop has to show.
        image_size: height, width of the image.
        crop: side of the crop; None for the whole image.
    """
    height, width = (max(round(side * request.scale), 1) for side in image_size)
    if crop is None:
        return Window((height, width), 0, 0, height, width)
    corner = []
    for at, side, original, place in zip(pixel, (height, width), image_size, request.place, strict=True):
        center = (at + 0.5) * side / original
        corner.append(min(max(math.floor(center - place * crop), 0), max(side - crop, 0)))
    top, left = corner
    return Window((height, width), top, left, min(crop, height), min(crop, width))


def cut_labels(gt: LabelMaps, index: DataIndex, request: CropRequest, *, crop: int | None) -> tuple[Window, CutLabels]:
    """Cut the labels of a request; return the window as well.

    A side of an instance is open if its mask touches that border of the crop, and the instance goes on beyond that
    border in the image: so one that merely ends there stays fixed (the paper's footnote 2).

    Raises:
        InputError: the label PNG cannot be read, or is no longer the one that the index was made from.
    """
    png = gt.maps[request.image].png
    try:
        content = png.read_bytes()
        runs = read_runs(content)
        names = palette.lookup(gt, request.image, np.unique(runs.id), palette_ids(content))
        if names is not None:
            runs = replace(runs, id=names[runs.id.astype(np.int64)].astype(np.uint32))
        window = place_window(request, runs.pixel(request.segment, request.pixel), (runs.height, runs.width), crop)
    except (OSError, PngError) as error:
        raise InputError(f"{png}: {error}") from error
    except ValueError as error:
        raise InputError(f"{png}: {error}, which it had; expected the file that the index was made from") from error
    labels = _labels(runs, index, request.image, window)
    if request.flip:
        labels = _mirrored(labels)
    if crop is not None:
        labels = replace(labels, targets=pad_targets(labels.targets, crop, crop))
    return window, labels


def _labels(runs: LabelRuns, index: DataIndex, image: int, window: Window) -> CutLabels:
    """Cut the labels inside a window, not mirrored."""
    # Nearest neighbor: pixel i of the rescaled image takes the pixel that its center falls into.
    y = _sources(window.top, window.height, runs.height, window.size[0])
    x = _sources(window.left, window.width, runs.width, window.size[1])
    found, which, start = ids_of(runs.ids_at(y[1:-1], x[1:-1]))
    length = np.diff(start, append=window.height * window.width)

    rows = index.rows(image)
    at = np.minimum(np.searchsorted(index.id[rows], found.id), rows.stop - rows.start - 1)
    row = rows.start + at
    known = index.id[row] == found.id  # all else is void
    category = np.where(known, index.category[row], IGNORE)
    stuff = known & ~index.catalogue.isthing[index.category[row]]
    instance = known & index.is_instance[row]
    usable = instance & (found.area >= MIN_PIXELS)

    def pixels(value: np.ndarray) -> Tensor:
        return torch.from_numpy(np.repeat(value[which], length).reshape(window.height, window.width))

    numbers = np.where(usable, np.cumsum(usable) - 1, -1).astype(np.int16)
    box, visible = index.box[row[usable]], found.box[usable]
    touches = visible == [0, 0, window.width, window.height]
    beyond = np.stack([box[:, 0] <= x[0], box[:, 1] <= y[0], box[:, 2] > x[-1], box[:, 3] > y[-1]], -1)
    scale = np.array(window.size[::-1]) / (runs.width, runs.height)
    full = box * np.tile(scale, 2) - np.tile([window.left, window.top], 2)
    targets = Targets(
        categories=torch.from_numpy(category[usable].astype(np.int64)),
        visible=torch.from_numpy(visible.astype(np.float32)),
        open_sides=torch.from_numpy(touches & beyond),
        instances=pixels(numbers),
        semantic=pixels(category.astype(np.uint8)),
        ignore=pixels(~usable & ~stuff),
    )
    return CutLabels(
        targets=targets,
        full=torch.from_numpy(full.astype(np.float32)),
        row=torch.from_numpy(row[usable]),
        dropped=int((instance & ~usable).sum()),
    )


def _sources(first: int, count: int, original: int, rescaled: int) -> Int[np.ndarray, " n"]:
    """Return the coordinates in the original of pixels first - 1 to first + count of the rescaled image.

    The outer two lie just beyond the window; where that is beyond the image, they are -1 and the image's size.
    """
    source = (2 * np.arange(first - 1, first + count + 1) + 1) * original // (2 * rescaled)
    if first == 0:
        source[0] = -1
    if first + count == rescaled:
        source[-1] = original
    return source


def _mirrored(labels: CutLabels) -> CutLabels:
    """Mirror labels left to right."""
    targets = labels.targets
    width = targets.instances.shape[1]
    return replace(
        labels,
        full=_mirrored_boxes(labels.full, width),
        targets=replace(
            targets,
            visible=_mirrored_boxes(targets.visible, width),
            open_sides=targets.open_sides[:, [2, 1, 0, 3]],
            instances=targets.instances.flip(1),
            semantic=targets.semantic.flip(1),
            ignore=targets.ignore.flip(1),
        ),
    )


def _mirrored_boxes(boxes: Float[Tensor, "n 4"], width: int) -> Float[Tensor, "n 4"]:
    x0, y0, x1, y1 = boxes.unbind(1)
    return torch.stack([width - x1, y0, width - x0, y1], 1)


def pad_targets(targets: Targets, height: int, width: int) -> Targets:
    """Enlarge targets, right and below, by pixels of which nothing is known."""
    below, right = height - targets.instances.shape[0], width - targets.instances.shape[1]
    if below == right == 0:
        return targets
    return replace(
        targets,
        instances=F.pad(targets.instances, (0, right, 0, below), value=-1),
        semantic=F.pad(targets.semantic, (0, right, 0, below), value=IGNORE),
        ignore=F.pad(targets.ignore, (0, right, 0, below), value=True),
        padding=targets.padding + torch.tensor([below, right]),
    )


def pad_image(image: UInt8[Tensor, "3 h w"], height: int, width: int, color: Color) -> UInt8[Tensor, "3 H W"]:
    """Enlarge an image, right and below, by a color."""
    if image.shape[1:] == (height, width):
        return image
    padded = torch.tensor(color, dtype=torch.uint8)[:, None, None].repeat(1, height, width)
    padded[:, : image.shape[1], : image.shape[2]] = image
    return padded


def cut_image(path: Path, image_size: tuple[int, int], window: Window) -> UInt8[np.ndarray, "h w 3"]:
    """Cut a window of the rescaled photograph as it is shown; only what it needs is rescaled.

    Raises:
        InputError: it cannot be read, or is not of the size of its labels.
    """
    image, size = photographs.read(path, window.size)
    if size != image_size:
        raise InputError(
            f"{path}: has {size[1]} x {size[0]} pixels as it is shown; "
            f"expected {image_size[1]} x {image_size[0]}, as its labels have"
        )
    x, y = image.width / window.size[1], image.height / window.size[0]
    right, bottom = window.left + window.width, window.top + window.height
    box = (window.left * x, window.top * y, right * x, bottom * y)
    # The filter looks beyond the box, so that the border is as if all had been rescaled.
    return np.asarray(image.resize((window.width, window.height), Image.Resampling.BILINEAR, box=box))


def make_sample(gt: LabelMaps, index: DataIndex, request: CropRequest, *, crop: int | None, padding: Color) -> Sample:
    """Make the sample that a request asks for, padded to the size of the crop where the rescaled image is smaller.

    Args:
        gt: the data set.
        index: what it holds.
        request: which image, which part, at what scale.
        crop: side of the square crop, pixels; None for the whole image.
        padding: red, green, blue.

    Raises:
        InputError: the image or its labels cannot be read, or do not fit each other.
    """
    label_map = gt.maps[request.image]
    if label_map.photograph is None:
        raise InputError(f"{gt.source}: does not say where image {label_map.image_id!r} is; expected one to train on")
    window, labels = cut_labels(gt, index, request, crop=crop)
    height, width = index.size[request.image].tolist()
    pixels = cut_image(label_map.photograph, (height, width), window)
    if request.flip:
        pixels = pixels[:, ::-1]
    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    if crop is not None:
        image = pad_image(image, crop, crop, padding)
    return Sample(request, str(label_map.image_id), image, labels)
