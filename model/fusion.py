"""Boxes, masks and semantics into one panoptic map, as in Seamless Scene Segmentation (Porzi et al., CVPR 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from model.config import FusionConfig
from model.network import Prediction

VOID = 0
STRIP = 64
"""Rows of the semantic map that are resized at a time: logits of a whole image at its own resolution would not fit."""


@dataclass(frozen=True)
class Segment:
    """One region of a panoptic map."""

    id: int
    """In the map; from 1, without gaps."""
    category: int
    """Catalogue index."""
    score: float | None
    """Of an instance; None for stuff."""
    area: int
    """Pixels, at least 1."""


@dataclass(frozen=True)
class PanopticMap:
    """A segment for every pixel, or void."""

    ids: Int[Tensor, "h w"]
    """int32, on the CPU; VOID where nothing was found."""
    segments: tuple[Segment, ...]


def fuse(
    prediction: Prediction,
    isthing: Bool[Tensor, " categories"],
    image_size: tuple[int, int],
    size: tuple[int, int],
    config: FusionConfig,
) -> PanopticMap:
    """Instances, best first, each on what is still free; then stuff where the semantic head says so; the rest void.

    Pixels that the semantic head gives to a thing, and no instance takes, are void.

    Args:
        prediction: what the network says about an image.
        isthing: of each category of the catalogue.
        image_size: height, width that the network saw; the frame of the prediction.
        size: height, width of the map, for example those of the image before it was resized for the network.
        config: thresholds; its areas are pixels of `image_size`.
    """
    found = prediction.detections
    device = found.boxes.device
    scale = (size[0] / image_size[0], size[1] / image_size[1])
    ids = torch.zeros(size, dtype=torch.int32, device=device)
    segments: list[Segment] = []
    order = found.scores.argsort(descending=True, stable=True)
    for i in order[found.scores[order] >= config.score].tolist():
        mask, (top, left) = paste(found.mask_logits[i], scaled(found.boxes[i], scale), size)
        window = ids[top : top + mask.shape[0], left : left + mask.shape[1]]
        free = mask & (window == VOID)
        area, left_over = int(mask.sum()), int(free.sum())
        if left_over == 0 or (area - left_over) / area > config.overlap:
            continue
        segments.append(Segment(len(segments) + 1, int(found.categories[i]), float(found.scores[i]), left_over))
        window[free] = segments[-1].id

    semantic = semantic_map(prediction.semantic_logits, image_size, size)
    free = ids == VOID
    areas = torch.bincount(semantic[free], minlength=len(isthing)).tolist()
    segment_of_category = torch.zeros(len(isthing), dtype=torch.int32, device=device)
    for category, area in enumerate(areas):
        if not isthing[category] and area >= max(1, config.stuff_area * scale[0] * scale[1]):
            segments.append(Segment(len(segments) + 1, category, None, area))
            segment_of_category[category] = segments[-1].id
    ids[free] = segment_of_category[semantic[free].long()]
    return PanopticMap(ids.cpu(), tuple(segments))


def scaled(boxes: Float[Tensor, "*n 4"], scale: tuple[float, float]) -> Float[Tensor, "*n 4"]:
    """Boxes in a frame that is `scale` (vertically, horizontally) times as large."""
    vertical, horizontal = scale
    return boxes * torch.tensor([horizontal, vertical, horizontal, vertical], device=boxes.device)


def paste(
    logits: Float[Tensor, "s s"], box: Float[Tensor, " 4"], size: tuple[int, int]
) -> tuple[Bool[Tensor, "_ _"], tuple[int, int]]:
    """The mask of one instance on the pixels whose centres are inside its box and the image.

    Args:
        logits: on s x s cells of the box; between their centres the probability is interpolated.
        box: x0, y0, x1, y1, pixels of the image.
        size: height, width of the image.

    Returns:
        The mask of a window of the image, and the row and column of its first pixel.
    """
    x0, y0, x1, y1 = box.tolist()
    height, width = size
    left, right = max(math.ceil(x0 - 0.5), 0), min(math.ceil(x1 - 0.5), width)
    top, bottom = max(math.ceil(y0 - 0.5), 0), min(math.ceil(y1 - 0.5), height)
    cells = logits.shape[0]
    rows = (torch.arange(top, max(bottom, top), device=logits.device) + 0.5 - y0) / (y1 - y0) * cells - 0.5
    columns = (torch.arange(left, max(right, left), device=logits.device) + 0.5 - x0) / (x1 - x0) * cells - 0.5
    probability = _interpolation(rows, cells) @ logits.float().sigmoid() @ _interpolation(columns, cells).T
    return probability > 0.5, (top, left)


def semantic_map(
    logits: Float[Tensor, "categories _ _"], image_size: tuple[int, int], size: tuple[int, int], stride: int = 4
) -> UInt8[Tensor, "h w"]:
    """The most likely category of each pixel: logits are interpolated between cell centres, in strips.

    Args:
        logits: a cell for `stride` x `stride` pixels of the image that the network saw.
        image_size: height, width of that image.
        size: height, width of the map.
    """
    _, height, width = logits.shape
    out = torch.empty(size, dtype=torch.uint8, device=logits.device)
    x = (torch.arange(size[1], device=logits.device) + 0.5) * (image_size[1] / size[1]) / stride - 0.5
    y = (torch.arange(size[0], device=logits.device) + 0.5) * (image_size[0] / size[0]) / stride - 0.5
    for start in range(0, size[0], STRIP):
        rows = _lerp(logits, y[start : start + STRIP], 1)
        out[start : start + STRIP] = _lerp(rows, x, 2).max(0).indices  # argmax takes over 3 times as long
    return out


def _neighbours(at: Tensor, cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cells on either side of positions on a line of cell centres, and the share of the second."""
    at = at.clamp(0, cells - 1)
    lower = at.floor().long()
    return lower, (lower + 1).clamp(max=cells - 1), at - lower


def _lerp(x: Tensor, at: Tensor, dim: int) -> Tensor:
    lower, upper, share = _neighbours(at, x.shape[dim])
    share = share.view([-1 if d == dim else 1 for d in range(x.dim())])
    return torch.lerp(x.index_select(dim, lower), x.index_select(dim, upper), share)


def _interpolation(at: Tensor, cells: int) -> Float[Tensor, "n cells"]:
    """Matrix that reads a line of cells at the given positions."""
    lower, upper, share = _neighbours(at, cells)
    matrix = torch.zeros((len(at), cells), device=at.device)
    matrix.scatter_add_(1, lower[:, None], (1 - share)[:, None])
    return matrix.scatter_add_(1, upper[:, None], share[:, None])
