"""A scene in place of what an untrained network says: its panoptic map then costs what that of a trained one does."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from model.boxes import prediction as boxes
from model.boxes.network import BoxNetwork
from model.centres import prediction as centres
from model.centres.network import CentreNetwork
from model.families import PanopticNetwork
from model.points import fusion as points

GRID = 8
"""Objects a row and a column; each has half the sides of its part of the image: together they cover a quarter."""
SURE = 10.0
"""A logit that is certain."""
STRIDE = 4
"""Pixels a side that a cell covers."""


def owners(cells: tuple[int, int]) -> Int[Tensor, "h w"]:
    """Return the object of each cell, in the order of rows; -1 for none."""
    parts = [(torch.arange(n) + 0.5) * GRID / n for n in cells]
    number = parts[0].long()[:, None] * GRID + parts[1].long()
    inside = [(part % 1 - 0.5).abs() < 0.25 for part in parts]
    return torch.where(inside[0][:, None] & inside[1], number, -1)


def scene_boxes(frame: tuple[int, int]) -> Float[Tensor, "n 4"]:
    """Return x0, y0, x1, y1 of the objects, pixels of the frame."""
    height, width = (side / GRID for side in frame)
    y, x = (grid.flatten() for grid in torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij"))
    return torch.stack([(x + 0.25) * width, (y + 0.25) * height, (x + 0.75) * width, (y + 0.75) * height], 1)


def say_the_scene(network: PanopticNetwork, prediction: Any, frame: tuple[int, int]) -> Any:
    """Return a prediction of the network's own kind that sees the objects of a grid, before bands of stuff.

    A network of points is made to draw the masks of these objects, after it has computed its own.
    """
    logits = prediction.semantic_logits
    cells = (logits.shape[1], logits.shape[2])
    owner = owners(cells)
    things, stuff = network.isthing.nonzero()[:, 0], (~network.isthing).nonzero()[:, 0]
    category = things[torch.arange(GRID**2) % len(things)]
    band = stuff[(torch.arange(cells[0]) * 4 // cells[0]) % len(stuff)]
    semantic = torch.where(owner < 0, band[:, None], category[owner])
    semantic_logits = SURE * F.one_hot(semantic, len(network.isthing)).permute(2, 0, 1).to(logits)
    found = scene_boxes(frame)
    if isinstance(network, BoxNetwork):
        scores = torch.linspace(0.9, 0.6, len(found))
        side = prediction.detections.mask_logits.shape[-1]
        masks = torch.full((len(found), side, side), SURE)
        return boxes.Prediction(boxes.Detections(found, scores, category, masks), semantic_logits)
    middle = (found[:, [1, 0]] + found[:, [3, 2]]) / 2
    row, column = (middle / STRIDE).long().unbind(1)
    if isinstance(network, CentreNetwork):
        heat = torch.zeros(cells)
        for down, right, value in ((0, 0, 1), (0, 1, 0.9), (1, 0, 0.9), (1, 1, 0.8)):  # one pixel is the highest
            heat[row + down, column + right] = value
        grid = torch.stack(torch.meshgrid(*(STRIDE * torch.arange(n) + (STRIDE - 1) / 2 for n in cells), indexing="ij"))
        offset = torch.where(owner < 0, 0, middle.T[:, owner] - grid)
        return centres.Prediction(semantic_logits, heat, offset)
    promise = torch.full(cells, -SURE)
    for k, (y, x) in enumerate(zip(row, column, strict=True)):  # falls with the distance from the middle of an object
        far = torch.hypot(torch.arange(cells[0])[:, None] - y, (torch.arange(cells[1]) - x)[None].float())
        promise = torch.where(owner == k, 4 - 4 * far / max(cells), promise)

    def drawn(_: object, given: tuple[Tensor, ...], __: Tensor) -> Float[Tensor, "n h w"]:
        at = given[3].round().long()
        return torch.where(owner == owner[at[:, 0], at[:, 1]][:, None, None], SURE, -SURE)

    network.mask_head.register_forward_hook(drawn)
    return points.Prediction(semantic_logits, promise, prediction.features)
