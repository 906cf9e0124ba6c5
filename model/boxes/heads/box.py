"""Box head: category and refined box of each proposal."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crop_aware.coding import decode
from model.config import ROIConfig
from model.ops.abn import ABN
from model.ops.boxes import clip, large_enough
from model.ops.nms import nms


class BoxHead(nn.Module):
    """Two hidden layers on the pooled features of a proposal; boxes are refined per category, as in Seamless."""

    def __init__(self, channels: int, things: int, config: ROIConfig) -> None:
        super().__init__()
        self.things = things
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * (config.pool // 2) ** 2, config.box_channels, bias=False),
            ABN(config.box_channels),
            nn.Linear(config.box_channels, config.box_channels, bias=False),
            ABN(config.box_channels),
        )
        self.categories = nn.Linear(config.box_channels, 1 + things)
        self.deltas = nn.Linear(config.box_channels, things * 4)

    def forward(self, regions: Float[Tensor, "r c p p"]) -> tuple[Float[Tensor, "r _"], Float[Tensor, "r things 4"]]:
        """Return logits of background (0) and of the things (1, 2, …), and deltas for each thing."""
        x = self.hidden(regions)
        return self.categories(x), self.deltas(x).view(-1, self.things, 4)


@torch.no_grad()
def detect(
    logits: Float[Tensor, "r _"],
    deltas: Float[Tensor, "r things 4"],
    proposals: Float[Tensor, "r 4"],
    size: tuple[int, int],
    config: ROIConfig,
) -> tuple[Float[Tensor, "k 4"], Float[Tensor, " k"], Int[Tensor, " k"]]:
    """Find the detections of one image: boxes inside it, scores and things (from 0), best first.

    Args:
        logits, deltas: of the box head.
        proposals: x0, y0, x1, y1, pixels of the image.
        size: height, width of the image.
    """
    probability = logits.float().softmax(1)[:, 1:]
    row, thing = (probability > config.score).nonzero(as_tuple=True)
    boxes = clip(decode(deltas[row, thing], proposals[row], config.weights), size)
    scores = probability[row, thing]
    fits = large_enough(boxes)
    boxes, scores, thing = boxes[fits], scores[fits], thing[fits]
    selected = nms(boxes, scores, thing, iou_above=config.nms_iou, limit=config.detections)
    return boxes[selected], scores[selected], thing[selected]
