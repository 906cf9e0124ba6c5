"""Boxes, masks and semantics into one panoptic map, as in Seamless Scene Segmentation.

Porzi et al., CVPR 2019, arXiv 1905.01220.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from model.boxes.prediction import Detections, Prediction
from model.config import FusionConfig
from model.losses.consistency import THRESHOLD
from model.panoptic_map import (
    VOID,
    Fused,
    Instance,
    PanopticMap,
    Segment,
    add_stuff,
    logits_at,
    neighbors,
    semantic_map,
)


def fuse(
    prediction: Prediction,
    isthing: Bool[Tensor, " categories"],
    frame: tuple[int, int],
    size: tuple[int, int],
    config: FusionConfig,
) -> Fused:
    """Make a map: instances, best first, each on what is still free; then stuff where the semantic head says so.

    Pixels that the semantic head gives to a thing, and no instance takes, are void. With `config.guided`, instances are
    drawn only where the semantic head sees things.

    Args:
        prediction: what the network says about an image.
        isthing: whether each category of the catalogue is a thing.
        frame: height, width that the network saw; the frame of the prediction.
        size: height, width of the map, for example those of the image before it was resized for the network.
        config: thresholds; its areas are pixels of `frame`.
    """
    semantic = semantic_map(prediction.semantic_logits, frame, size)
    things = seen_things(prediction.semantic_logits, semantic, isthing, frame) if config.guided else None
    return layered(prediction.detections, semantic, things, isthing, frame, config)


def layered(
    detections: Detections,
    semantic: UInt8[Tensor, "h w"],
    things: Bool[Tensor, "h w"] | None,
    isthing: Bool[Tensor, " categories"],
    frame: tuple[int, int],
    config: FusionConfig,
) -> Fused:
    """Make a map as `fuse` does, given the category of each of its pixels.

    Args:
        detections: in `frame`.
        semantic: catalogue index of each pixel.
        things: where instances may be drawn. None: everywhere.
        isthing: whether each category of the catalogue is a thing.
        frame: height, width that the network saw.
        config: thresholds; its areas are pixels of `frame`.
    """
    size = (semantic.shape[0], semantic.shape[1])
    device = detections.boxes.device
    scale = (size[0] / frame[0], size[1] / frame[1])
    ids = torch.zeros(size, dtype=torch.int32, device=device)
    segments: list[Segment] = []
    boxes = scaled(detections.boxes, scale)
    for i in best_first(detections.scores, config.score):
        mask, (top, left) = paste(detections.mask_logits[i], boxes[i], size)
        rows, columns = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
        if things is not None:
            mask = mask & things[rows, columns]
        window = ids[rows, columns]
        free = mask & (window == VOID)
        area, left_over = int(mask.sum()), int(free.sum())
        if left_over == 0 or (area - left_over) / area > config.overlap:
            continue
        segments.append(
            Segment(len(segments) + 1, int(detections.categories[i]), float(detections.scores[i]), left_over)
        )
        window[free] = segments[-1].id

    add_stuff(ids, segments, semantic, isthing, config.stuff_area * scale[0] * scale[1])
    if config.semantic == "fused":
        categories = torch.tensor([0, *[s.category for s in segments]], dtype=torch.uint8, device=device)
        semantic = torch.where(ids == VOID, semantic, categories[ids.long()])
    return Fused(PanopticMap(ids.cpu(), tuple(segments)), instances(detections, frame, size), semantic)


def best_first(scores: Float[Tensor, " n"], least: float) -> list[int]:
    """Return the rows whose score is at least so high, by falling score; of equal ones the first comes first."""
    order = scores.argsort(descending=True, stable=True)
    rows: list[int] = order[scores[order] >= least].tolist()
    return rows


def seen_things(
    semantic_logits: Float[Tensor, "categories _ _"],
    semantic: UInt8[Tensor, "h w"],
    isthing: Bool[Tensor, " categories"],
    frame: tuple[int, int],
) -> Bool[Tensor, "h w"]:
    """Return whether the semantic head sees a thing at each pixel: TASCNet's map of things (arXiv 1812.01192).

    A thing is the most likely category there, and all things together have more than half of the probability.
    """
    seen = isthing[semantic.int()]
    size = (seen.shape[0], seen.shape[1])
    for rows, columns, logits in logits_at(semantic_logits, frame, size, seen):
        seen[rows, columns] = logits.softmax(1)[:, isthing].sum(1) > THRESHOLD
    return seen


def instances(found: Detections, frame: tuple[int, int], size: tuple[int, int]) -> Iterator[Instance]:
    """Yield all detections, in their order, in a frame of another size; a box without a pixel's center has no mask."""
    boxes = scaled(found.boxes, (size[0] / frame[0], size[1] / frame[1]))
    for i, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        mask, corner = paste(found.mask_logits[i], boxes[i], size)
        yield Instance(int(found.categories[i]), float(found.scores[i]), (x0, y0, x1, y1), mask, corner)


def scaled(boxes: Float[Tensor, "*n 4"], scale: tuple[float, float]) -> Float[Tensor, "*n 4"]:
    """Return boxes in a frame that is `scale` (vertically, horizontally) times as large."""
    vertical, horizontal = scale
    return boxes * torch.tensor([horizontal, vertical, horizontal, vertical], device=boxes.device)


def paste(
    logits: Float[Tensor, "s s"], box: Float[Tensor, " 4"], size: tuple[int, int]
) -> tuple[Bool[Tensor, "_ _"], tuple[int, int]]:
    """Draw the mask of one instance on the pixels whose centers are inside its box and the image.

    Args:
        logits: on s x s cells of the box; between their centers the probability is interpolated.
        box: x0, y0, x1, y1, pixels of the image.
        size: height, width of the image.

    Returns:
        The mask of a window of the image, and the row and column of its first pixel.
    """
    probability, corner = spread(logits.float().sigmoid(), box, size)
    return probability > 0.5, corner


def spread(
    cells: Float[Tensor, "s s"], box: Float[Tensor, " 4"], size: tuple[int, int]
) -> tuple[Float[Tensor, "_ _"], tuple[int, int]]:
    """Interpolate between the centers of a box's cells, at the pixels whose centers are inside box and image.

    Args:
        cells: values of s x s cells of the box.
        box, size: as for `paste`.

    Returns:
        Values of a window of the image, and the row and column of its first pixel.
    """
    x0, y0, x1, y1 = box.tolist()
    height, width = size
    left, right = max(math.ceil(x0 - 0.5), 0), min(math.ceil(x1 - 0.5), width)
    top, bottom = max(math.ceil(y0 - 0.5), 0), min(math.ceil(y1 - 0.5), height)
    count, device = cells.shape[0], cells.device
    rows = (torch.arange(top, max(bottom, top), device=device) + 0.5 - y0) / (y1 - y0) * count - 0.5
    columns = (torch.arange(left, max(right, left), device=device) + 0.5 - x0) / (x1 - x0) * count - 0.5
    return _interpolation(rows, count) @ cells @ _interpolation(columns, count).T, (top, left)


def _interpolation(at: Tensor, cells: int) -> Float[Tensor, "n cells"]:
    """Return a matrix that reads a line of cells at the given positions."""
    lower, upper, share = neighbors(at, cells)
    matrix = torch.zeros((len(at), cells), device=at.device)
    matrix.scatter_add_(1, lower[:, None], (1 - share)[:, None])
    return matrix.scatter_add_(1, upper[:, None], share[:, None])
