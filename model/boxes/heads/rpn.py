"""Region proposal head: how much each anchor looks like a thing, and which box it should be."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crop_aware.coding import decode
from model.config import RPNConfig
from model.ops.abn import ABN
from model.ops.boxes import clip, large_enough
from model.ops.nms import nms


class RPNHead(nn.Module):
    """One 3x3 convolution shared by all levels, then two linear maps at each cell.

    A separable one is depthwise, and followed by a linear map at each cell.
    """

    def __init__(self, channels: int, config: RPNConfig) -> None:
        super().__init__()
        ratios = len(config.anchor_ratios)
        if config.separable:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
            self.norm = ABN(channels)
            self.point = nn.Sequential(nn.Linear(channels, config.channels, bias=False), ABN(config.channels))
        else:
            self.conv = nn.Conv2d(channels, config.channels, 3, padding=1, bias=False)
            self.norm = ABN(config.channels)
            self.point = nn.Sequential()
        self.objectness = nn.Linear(config.channels, ratios)
        self.deltas = nn.Linear(config.channels, 4 * ratios)

    def forward(
        self, levels: Sequence[Float[Tensor, "b c _ _"]]
    ) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m 4"]]:
        """Return logits and deltas of all anchors, in the order of `anchors`, one level after the other.

        Training normalizes all levels together: the running statistics then fit what it saw, which they would not if
        they were the average of levels that are normalized one by one. At inference they are fixed, and levels come one
        by one, as those of a large image need much memory together.
        """
        cells = (self.conv(x).permute(0, 2, 3, 1).flatten(1, 2) for x in levels)
        if self.training:
            return self._outputs(torch.cat(list(cells), 1))
        objectness, deltas = zip(*map(self._outputs, cells), strict=True)
        return torch.cat(objectness, 1), torch.cat(deltas, 1)

    def _outputs(self, cells: Float[Tensor, "b n c"]) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m 4"]]:
        hidden = self.point(self.norm(cells.flatten(0, 1)))
        return self.objectness(hidden).view(len(cells), -1), self.deltas(hidden).view(len(cells), -1, 4)


@torch.no_grad()
def propose(
    objectness: Float[Tensor, " m"],
    deltas: Float[Tensor, "m 4"],
    anchors: Float[Tensor, "m 4"],
    *,
    bounds: tuple[int, int] | None,
    candidates: int,
    limit: int,
    nms_iou: float,
) -> Float[Tensor, "k 4"]:
    """Find the proposals of one image, best first: of the best anchors, those that no better one overlaps.

    Args:
        bounds: height, width to which boxes are clipped; None: they may reach beyond the image.
        candidates: anchors that enter non-maximum suppression, at most.
        limit: proposals that leave it, at most.
        nms_iou: of two boxes with a larger IoU the worse one is dropped.
    """
    scores, best = objectness.float().topk(min(candidates, len(objectness)))
    boxes = decode(deltas[best], anchors[best])
    boxes = boxes if bounds is None else clip(boxes, bounds)
    fits = large_enough(boxes)
    boxes, scores = boxes[fits], scores[fits]
    return boxes[nms(boxes, scores, iou_above=nms_iou, limit=limit)]
