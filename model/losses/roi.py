"""Losses of the box and mask heads: He et al., ICCV 2017; normalised as in Seamless, weights as in `losses.rpn`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.targets import Targets


def category_loss(
    logits: Float[Tensor, "r k"], category: Int[Tensor, " r"], weights: Float[Tensor, " r"]
) -> Float[Tensor, ""]:
    """Cross-entropy over background and things."""
    return (F.cross_entropy(logits.float(), category, reduction="none") * weights).sum()


def mask_loss(
    logits: Float[Tensor, "p s s"],
    masks: Bool[Tensor, "p s s"],
    known: Bool[Tensor, "p s s"],
    image: Int[Tensor, " p"],
    batch: int,
) -> Float[Tensor, ""]:
    """Binary cross-entropy over known samples: mean over those of an image, then over images (0 where there are none).

    Args:
        logits: of the mask of each proposal's true category.
        masks, known: as `mask_targets` gives them.
        image: row of the batch that each proposal belongs to.
        batch: images.
    """
    loss = F.binary_cross_entropy_with_logits(logits.float(), masks.float(), reduction="none")
    sums = torch.zeros(batch, device=logits.device).index_add(0, image, (loss * known).sum((1, 2)))
    counts = torch.zeros(batch, device=logits.device).index_add(0, image, known.sum((1, 2)).float())
    return (sums / counts.clamp(min=1)).mean()


def mask_targets(
    proposals: Float[Tensor, "p 4"], instance: Int[Tensor, " p"], targets: Targets, size: int
) -> tuple[Bool[Tensor, "p s s"], Bool[Tensor, "p s s"]]:
    """True masks of proposals, and where they are known: inside the image, and not on ignored pixels.

    Args:
        proposals: x0, y0, x1, y1, pixels of the image.
        instance: row of `targets` that each stands for.
        size: samples a side; each reads the pixel that it falls on.
    """
    height, width = targets.instances.shape
    at = (torch.arange(size, device=proposals.device) + 0.5) / size
    x = (proposals[:, :1] + at * (proposals[:, 2:3] - proposals[:, :1])).floor().long()[:, None, :]
    y = (proposals[:, 1:2] + at * (proposals[:, 3:4] - proposals[:, 1:2])).floor().long()[:, :, None]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    masks = targets.instances[y, x] == instance[:, None, None]
    return masks, inside & ~targets.ignore[y, x]
