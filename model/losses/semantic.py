"""Loss of the semantic head: cross-entropy on the hardest pixels of each image, as in Seamless."""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from model.targets import IGNORE


def semantic_loss(
    logits: Float[Tensor, "b k _ _"], semantic: Int[Tensor, "b h w"], hardest: float
) -> Float[Tensor, ""]:
    """Mean loss of the pixels where it is largest.

    Args:
        logits: at any resolution; resized to that of the ground truth.
        semantic: categories, IGNORE where unknown: there the loss is 0.
        hardest: share of the pixels of each image that count.
    """
    logits = F.interpolate(logits.float(), semantic.shape[-2:], mode="bilinear", align_corners=False)
    loss = F.cross_entropy(logits, semantic.long(), ignore_index=IGNORE, reduction="none").flatten(1)
    count = math.ceil(hardest * loss.shape[1])
    return loss.topk(count, sorted=False).values.mean()
