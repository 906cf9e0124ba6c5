"""The three losses of a network of centers, each of one image.

Cheng et al., "Panoptic-DeepLab", CVPR 2020, arXiv 1911.10194, Sec. 3.3; an image counts by itself, so that it does not
matter how images are spread over ranks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from model.targets import IGNORE


def hardest_pixels_loss(
    logits: Float[Tensor, "c h w"], semantic: Int[Tensor, "h w"], weight: Float[Tensor, "h w"], *, hardest: float
) -> Float[Tensor, ""]:
    """Average the weighted cross-entropy over the hardest pixels of an image.

    Args:
        logits: of all categories.
        semantic: category of each pixel; IGNORE costs nothing.
        weight: of each pixel.
        hardest: share of all pixels that count, those of the highest loss; at least one pixel.
    """
    loss = F.cross_entropy(logits[None], semantic[None].long(), ignore_index=IGNORE, reduction="none")[0] * weight
    count = max(1, int(hardest * loss.numel()))
    return loss.flatten().topk(count, sorted=False).values.mean()


def heat_loss(
    heat: Float[Tensor, "h w"], wanted: Float[Tensor, "h w"], weight: Float[Tensor, "h w"]
) -> Float[Tensor, ""]:
    """Average the squared error of the heat map over the weights; 0 where nothing is known."""
    return _average((heat - wanted).square() * weight, weight)


def offset_loss(
    offset: Float[Tensor, "2 h w"], wanted: Float[Tensor, "2 h w"], weight: Float[Tensor, "h w"]
) -> Float[Tensor, ""]:
    """Average the distance of the offsets over rows and columns and the weights; 0 where there is no instance."""
    return _average((offset - wanted).abs() * weight, weight.expand_as(offset))


def _average(loss: Tensor, weight: Tensor) -> Tensor:
    """Divide a sum by the weights' sum; 0, with a gradient of 0, where there is no weight."""
    total = weight.sum()
    return loss.sum() / torch.where(total > 0, total, 1)
