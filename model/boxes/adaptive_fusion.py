"""Adaptive fusion of boxes, masks and semantics: EfficientPS (Mohan and Valada, IJCV 2021, arXiv 2004.02307, Sec. 3.4).

The two heads vote on each pixel of a box: where both are sure and agree, their fused logit is large.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Window = tuple[Float[Tensor, "a b"], tuple[int, int]]
"""Mask logits at the pixels of a box, and row and column of the first one."""
VOID, NOBODY = 255, -1


def fused_logit(mask: Float[Tensor, "*n"], semantic: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Fuse the logits of the two heads: (σ(a) + σ(b)) (a + b)."""
    return (mask.sigmoid() + semantic.sigmoid()) * (mask + semantic)


def adaptive_fusion(
    semantic_logits: Float[Tensor, "c h w"],
    masks: Sequence[Window],
    scores: Float[Tensor, " n"],
    categories: Int[Tensor, " n"],
    isthing: Bool[Tensor, " c"],
    *,
    overlap: float,
    mask_threshold: float = 0.5,
    stuff_area: int,
    gain: float = 1.0,
) -> tuple[Int[Tensor, "h w"], Int[Tensor, "h w"]]:
    """Decide category and instance of each pixel.

    Instances go by falling score; one of whose mask more than `overlap` is taken by better ones is dropped. The others
    compete with the stuff logits inside their boxes: the largest logit wins. Where stuff wins, the largest of all
    semantic logits decides; things there, and small stuff, are void.

    Args:
        semantic_logits: of all categories.
        masks: of each detection, inside its box.
        scores, categories: of each detection.
        isthing: whether each category is a thing.
        overlap: largest share of a mask that may be taken.
        mask_threshold: probability above which a pixel is of the mask.
        stuff_area: number of pixels below which a stuff segment is void.
        gain: factor of the mask logits in the fused logit; the paper has none.

    Returns:
        Category, 255 where void; and instance, -1 where there is none, else its number among those that were kept.
    """
    device, size = semantic_logits.device, semantic_logits.shape[1:]
    best = semantic_logits[~isthing].max(0).values if (~isthing).any() else torch.full(size, -torch.inf, device=device)
    taken = torch.zeros(size, dtype=torch.bool, device=device)
    instance = torch.full(size, NOBODY, dtype=torch.int64, device=device)
    kept: list[int] = []
    for row in scores.argsort(descending=True, stable=True).tolist():
        logits, (top, left) = masks[row]
        window = slice(top, top + logits.shape[0]), slice(left, left + logits.shape[1])
        mask = logits.sigmoid() > mask_threshold
        area = int(mask.sum())
        if area == 0 or int((mask & taken[window]).sum()) / area > overlap:
            continue
        taken[window] |= mask
        category = int(categories[row])
        fused = fused_logit(gain * logits, semantic_logits[category][window])
        wins = fused > best[window]
        best[window] = torch.where(wins, fused, best[window])
        instance[window] = torch.where(wins, len(kept), instance[window])
        kept.append(category)
    semantic = semantic_logits.argmax(0)
    free = instance == NOBODY
    areas = torch.bincount(semantic[free], minlength=len(isthing))
    void = isthing | (areas < stuff_area)
    of_instance = torch.tensor([*kept, VOID], dtype=torch.int64, device=device)
    return torch.where(free, torch.where(void[semantic], VOID, semantic), of_instance[instance]), instance
