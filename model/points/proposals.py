"""How good a mask each point gave, as labels from 0 to 1: what the proposal head of AdaptIS learns to foresee.

From the published code of Sofiiuk et al., "AdaptIS", ICCV 2019 (arXiv 1909.07829), Sec. 3.4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, distributed

UNKNOWN = -1.0  # the label of points of an object that does not count
_STEP = 0.025  # how far from the threshold the two others lie that are tried
_PACE = 0.01  # part of the way to the best of the three that is gone at once


def mask_ious(
    probabilities: Float[Tensor, "o p h w"], truth: Int[Tensor, "o p h w"], threshold: float
) -> Float[Tensor, "o p"]:
    """Return IoUs of the masks above `threshold` with the truth, over known pixels; 0 where both are empty.

    The truth of each point of each object is 1 inside, 0 outside, negative where nothing is known.
    """
    mask, inside = (probabilities > threshold) & (truth >= 0), truth > 0
    union = (mask | inside).sum((2, 3)).clamp(min=1)
    return (mask & inside).sum((2, 3)).to(probabilities.dtype) / union


def proposal_labels(
    probabilities: Float[Tensor, "o p h w"], truth: Int[Tensor, "o p h w"], threshold: float, percentile: float = 30
) -> Float[Tensor, "o p"]:
    """Return the labels of the points of each object: 0 for bad ones, from 0.7 to 1 for the others, in their order.

    A point is as good as the IoU of its mask, times the mean probability on the truth. Where IoUs differ by more than
    0.1, bad is what lies below 0.95 times the given percentile, else what lies below 0.99 times the least. An object
    with no mask that meets it, or of which nothing is known, does not count: its labels are `UNKNOWN`.
    """
    ious, inside = mask_ious(probabilities, truth, threshold), truth > 0
    mean = (probabilities * inside).sum((2, 3)) / inside.sum((2, 3)).clamp(min=1)
    goodness = ious * mean
    labels = torch.full_like(goodness, UNKNOWN)
    for row, v, u in zip(labels, ious, goodness, strict=True):
        if v.numel() == 0 or v.max() < 1e-5:
            continue
        spread = bool(v.max() - v.min() > 0.1)
        low = 0.95 * torch.quantile(u, percentile / 100) if spread else 0.99 * u.min()
        good = u > low
        least, greatest = u[good].min(), u[good].max()
        several = greatest - least > 0.001
        scaled = 0.7 + 0.3 * (u - least) / (greatest - least) if several else torch.ones_like(u)
        row.copy_(torch.where(good, scaled, 0.0))
    return labels


def moved_threshold(probabilities: Float[Tensor, "o p h w"], truth: Int[Tensor, "o p h w"], threshold: float) -> float:
    """Return the threshold, moved a little towards where it would give the best mean IoU over the objects of all ranks.

    Without any object it stays.
    """
    tried = [threshold, threshold - _STEP, threshold + _STEP]
    sums = torch.stack([mask_ious(probabilities, truth, t).sum() for t in tried])
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(sums)
    return threshold + _PACE * (tried[int(sums.argmax())] - threshold)


def proposal_losses(logits: Float[Tensor, "o p"], labels: Float[Tensor, "o p"]) -> Float[Tensor, "o p"]:
    """Return the cross-entropy of each point with its label; 0 where the label is `UNKNOWN`."""
    losses = F.binary_cross_entropy_with_logits(logits, labels.clamp(min=0), reduction="none")
    return torch.where(labels == UNKNOWN, 0.0, losses)
