"""Adaptive fusion of boxes, masks and semantics: EfficientPS (Mohan and Valada, IJCV 2021, arXiv 2004.02307, Sec. 3.4).

The two heads vote on each pixel of a box: where both are sure and agree, their fused logit is large.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.boxes.fusion import best_first, instances, scaled, spread
from model.boxes.prediction import Prediction
from model.config import AdaptiveFusionConfig
from model.panoptic_map import Fused, PanopticMap, Segment, largest, resized, semantic_map

NO_CATEGORY, NOBODY = 255, -1


@dataclass(frozen=True)
class Candidate:
    """A detection inside its box, on the pixels of the map."""

    category: int
    mask: Float[Tensor, "a b"]
    """Logits of the mask head."""
    semantic: Float[Tensor, "a b"]
    """Logits of the semantic head for its category."""
    corner: tuple[int, int]
    """Row and column of the first pixel."""


def fuse_adaptively(
    prediction: Prediction,
    isthing: Bool[Tensor, " categories"],
    frame: tuple[int, int],
    size: tuple[int, int],
    config: AdaptiveFusionConfig,
) -> Fused:
    """Make a map as EfficientPS does; the semantic map is that of the semantic head.

    Args:
        prediction: what the network says about an image.
        isthing: whether each category of the catalogue is a thing.
        frame: height, width that the network saw; the frame of the prediction.
        size: height, width of the map.
        config: thresholds; its areas are pixels of `frame`.
    """
    detections, logits = prediction.detections, prediction.semantic_logits
    boxes = scaled(detections.boxes, (size[0] / frame[0], size[1] / frame[1]))
    order = best_first(detections.scores, config.score)

    def candidates() -> Iterator[Candidate]:
        for i in order:
            mask, (top, left) = spread(detections.mask_logits[i].float(), boxes[i], size)
            category = int(detections.categories[i])
            window = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
            own = resized(logits[category : category + 1], frame, size, window)[0]
            yield Candidate(category, mask, own, (top, left))

    semantic = semantic_map(logits, frame, size)
    category, instance, kept = adaptive_fusion(
        semantic,
        best_stuff(logits, isthing, frame, size),
        candidates(),
        isthing,
        overlap=config.overlap,
        stuff_area=config.stuff_area * (size[0] * size[1]) / (frame[0] * frame[1]),
        gain=config.gain,
    )
    areas = torch.bincount(instance.flatten() + 1, minlength=1 + len(kept))[1:].tolist()
    segments: list[Segment] = []
    of_instance = torch.zeros(1 + len(kept), dtype=torch.int32, device=logits.device)  # the first: of nobody
    for k, (row, area) in enumerate(zip(kept, areas, strict=True)):
        if area:  # of better masks, or of stuff, else
            score = float(detections.scores[order[row]])
            segments.append(Segment(len(segments) + 1, int(detections.categories[order[row]]), score, area))
            of_instance[1 + k] = segments[-1].id
    stuff_areas = torch.bincount(category[instance == NOBODY], minlength=NO_CATEGORY + 1)
    of_stuff = torch.zeros(NO_CATEGORY + 1, dtype=torch.int32, device=logits.device)
    for k in stuff_areas[:NO_CATEGORY].nonzero()[:, 0].tolist():
        segments.append(Segment(len(segments) + 1, k, None, int(stuff_areas[k])))
        of_stuff[k] = segments[-1].id
    ids = torch.where(instance == NOBODY, of_stuff[category.int()], of_instance[1 + instance])
    return Fused(PanopticMap(ids.cpu(), tuple(segments)), instances(detections, frame, size), semantic)


def fused_logit(mask: Float[Tensor, "*n"], semantic: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Fuse the logits of the two heads: (σ(a) + σ(b)) (a + b)."""
    return (mask.sigmoid() + semantic.sigmoid()) * (mask + semantic)


def best_stuff(
    semantic_logits: Float[Tensor, "c _ _"],
    isthing: Bool[Tensor, " c"],
    frame: tuple[int, int],
    size: tuple[int, int],
) -> Float[Tensor, "h w"]:
    """Return the largest logit of stuff at each pixel of the map; -∞ where no category is stuff."""
    if isthing.all():
        return torch.full(size, -torch.inf, device=semantic_logits.device)
    return largest(semantic_logits[~isthing], frame, size)[0]


def adaptive_fusion(
    semantic: Int[Tensor, "h w"],
    stuff: Float[Tensor, "h w"],
    candidates: Iterable[Candidate],
    isthing: Bool[Tensor, " c"],
    *,
    overlap: float,
    mask_threshold: float = 0.5,
    stuff_area: float,
    gain: float = 1.0,
) -> tuple[Int[Tensor, "h w"], Int[Tensor, "h w"], list[int]]:
    """Decide category and instance of each pixel.

    An instance of whose mask more than `overlap` is taken by better ones is dropped. The others compete with the stuff
    logits inside their boxes: the largest logit wins. Where stuff wins, the likeliest of all categories decides; things
    there, and small stuff, are void.

    Args:
        semantic: likeliest category by the semantic head.
        stuff: its largest logit of stuff.
        candidates: by falling score; may be made one at a time, so that those of a large image need no memory together.
        isthing: whether each category is a thing.
        overlap: largest share of a mask that may be taken.
        mask_threshold: probability above which a pixel is of the mask.
        stuff_area: number of pixels below which a stuff segment is void.
        gain: factor of the mask logits in the fused logit; the paper has none.

    Returns:
        Category, 255 where void; instance, -1 where there is none, else its number among those that were kept; and
        which candidates those are.
    """
    best = stuff.clone()
    taken = torch.zeros_like(semantic, dtype=torch.bool)
    instance = torch.full_like(semantic, NOBODY, dtype=torch.int32)
    kept: list[int] = []
    categories: list[int] = []
    for row, candidate in enumerate(candidates):
        (top, left), (height, width) = candidate.corner, candidate.mask.shape
        window = slice(top, top + height), slice(left, left + width)
        mask = candidate.mask.sigmoid() > mask_threshold
        area = int(mask.sum())
        if area == 0 or int((mask & taken[window]).sum()) / area > overlap:
            continue
        taken[window] |= mask
        fused = fused_logit(gain * candidate.mask, candidate.semantic)
        wins = fused > best[window]
        best[window] = torch.where(wins, fused, best[window])
        instance[window] = torch.where(wins, len(kept), instance[window])
        kept.append(row)
        categories.append(candidate.category)
    free = instance == NOBODY
    areas = torch.bincount(semantic[free], minlength=len(isthing))
    void = isthing | (areas < stuff_area)
    of_category = torch.arange(len(isthing), device=semantic.device).masked_fill(void, NO_CATEGORY)
    of_instance = torch.tensor([*categories, NO_CATEGORY], device=semantic.device)
    category = torch.where(free, of_category[semantic.long()], of_instance[instance])
    return category.to(torch.uint8), instance, kept
