"""Losses of the region proposal head: Ren et al., NeurIPS 2015; normalised as in Seamless.

A row is one sampled anchor. Its weight is 1 / (samples of its image * images of the batch), for boxes as well: a loss
is the mean over images, so that it does not matter how images are spread over ranks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def image_weights(image: Int[Tensor, " r"], batch: int) -> Float[Tensor, " r"]:
    """1 / (rows of the same image * images), for each row.

    >>> image_weights(torch.tensor([0, 0, 1]), batch=2).tolist()
    [0.25, 0.25, 0.5]
    """
    return 1 / (torch.bincount(image, minlength=batch)[image] * batch)


def objectness_loss(
    logits: Float[Tensor, " r"], positive: Bool[Tensor, " r"], weights: Float[Tensor, " r"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy: does the anchor stand for an instance?"""
    loss = F.binary_cross_entropy_with_logits(logits.float(), positive.float(), reduction="none")
    return (loss * weights).sum()
