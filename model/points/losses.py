"""Focal losses that are normalized so that their weight does not fade as a network learns: Sofiiuk et al., "AdaptIS".

The paper (ICCV 2019, arXiv 1909.07829, Sec. 3.5) gives the idea, the authors' published code the two forms below. A
pixel counts by a power of what the probability of its truth lacks to 1; the sum of these powers is divided out, as a
constant without gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

_LEAST = 1e-8  # of a sum of weights: where every pixel is certain there is nothing to divide by


def mask_focal_loss(
    logits: Float[Tensor, "n h w"], labels: Int[Tensor, "n h w"], alpha: float, gamma: float = 2
) -> Float[Tensor, " n"]:
    """Return the loss of each mask; a label is 1 on the instance, 0 beside it, negative where nothing is known.

    Pixels of the instance are weighted by `alpha`, the others by 1 - `alpha`. A mask of which nothing is known has 0.
    """
    known = labels >= 0
    inside = labels > 0
    # The logit of the truth, so that neither probability nor its logarithm loses precision.
    true = torch.where(inside, logits, -logits)
    weights = torch.where(known, torch.sigmoid(-true) ** gamma, 0.0)
    share = torch.where(inside, alpha, 1 - alpha)
    factor = labels.shape[1] * labels.shape[2] / weights.detach().sum((1, 2)).clamp(min=_LEAST)
    losses = (weights * share * F.softplus(-true)).sum((1, 2))
    return factor * losses / known.sum((1, 2)).clamp(min=1)


def semantic_focal_loss(
    logits: Float[Tensor, "b k h w"], labels: Int[Tensor, "b h w"], gamma: float = 1
) -> Float[Tensor, " b"]:
    """Return the loss of each image; labels are categories, negative where nothing is known. Without any it is 0."""
    known = labels >= 0
    losses = F.cross_entropy(logits, labels.clamp(min=0).long(), reduction="none")
    weights = torch.where(known, (-torch.expm1(-losses)) ** gamma, 0.0)
    return (weights * losses).sum((1, 2)) / weights.detach().sum((1, 2)).clamp(min=_LEAST)
