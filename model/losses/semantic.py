"""Loss of the semantic head: cross-entropy on the hardest pixels of each image, as in Seamless (arXiv 1905.01220)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from model.config import SemanticConfig
from model.ops.precision import at_least_single
from model.targets import IGNORE, Targets

STRIDE = 4
"""Pixels a side that a cell of the logits covers."""


def batch_semantic_loss(
    logits: Float[Tensor, "b k _ _"], targets: Sequence[Targets], config: SemanticConfig
) -> Float[Tensor, ""]:
    """Compute `semantic_loss` of a batch; cells of the logits may lie beyond the images."""
    semantic = torch.stack([t.semantic for t in targets])
    height, width = semantic.shape[1:]
    semantic = F.pad(
        semantic, (0, logits.shape[3] * STRIDE - width, 0, logits.shape[2] * STRIDE - height), value=IGNORE
    )
    if config.padding == "counted":
        return semantic_loss(logits, semantic, config.hardest)
    below, right = torch.stack([t.padding for t in targets], 1)
    return semantic_loss(logits, semantic, config.hardest, pixels=(height - below) * (width - right))


def semantic_loss(
    logits: Float[Tensor, "b k _ _"],
    semantic: Int[Tensor, "b h w"],
    hardest: float,
    *,
    pixels: Int[Tensor, " b"] | None = None,
) -> Float[Tensor, ""]:
    """Average the cross-entropy of the pixels where it is largest, then over images.

    Args:
        logits: at any resolution; resized to that of the ground truth.
        semantic: categories, IGNORE where unknown: there the loss is 0.
        hardest: share of the pixels of each image that count.
        pixels: how many pixels of each image there are without padding; by default padding counts, with loss 0.
    """
    logits = F.interpolate(at_least_single(logits), semantic.shape[-2:], mode="bilinear", align_corners=False)
    # A row for each pixel: with logits in channels-last format, nothing is copied, and it takes half the time.
    rows = logits.permute(0, 2, 3, 1).flatten(0, 2)
    loss = F.cross_entropy(rows, semantic.flatten().long(), ignore_index=IGNORE, reduction="none").view(len(logits), -1)
    if hardest < 1:
        loss = loss.topk(math.ceil(hardest * loss.shape[1])).values
    if pixels is None:
        return loss.mean()
    counts = (hardest * pixels).ceil()
    if hardest < 1:
        rank = torch.arange(loss.shape[1], device=loss.device)
        loss = loss.masked_fill(rank >= counts[:, None], 0.0)
    return (loss.sum(1) / counts).mean()
