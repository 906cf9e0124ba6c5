"""Proposals, masks and semantics into one panoptic map: AdaptIS (ICCV 2019, arXiv 1909.07829, Sec. 3.4).

Points are looked for at the pixels of the image that the network saw; masks are drawn at those of the map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.config import SelectionConfig
from model.panoptic_map import Fused, Instance, PanopticMap, Segment, add_stuff, resized, strips
from model.points.selection import Selected, mean_probabilities, proposed, select


@dataclass(frozen=True)
class Prediction:
    """What a network of this family says about an image before it is asked for masks."""

    semantic_logits: Float[Tensor, "categories _ _"]
    """A cell for 4x4 pixels, the last ones perhaps beyond the image."""
    proposal_logits: Float[Tensor, "_ _"]
    """How good a mask each cell would give."""
    features: Float[Tensor, "c _ _"]
    """From which masks are made."""


def fuse(
    prediction: Prediction,
    mask_logits: Callable[[int, int], Float[Tensor, "_ _"]],
    isthing: Bool[Tensor, " categories"],
    frame: tuple[int, int],
    size: tuple[int, int],
    config: SelectionConfig,
) -> Fused:
    """Make a map: masks where they are more likely than all that is no thing, then stuff.

    Pixels that the semantic head gives to a thing, and no mask takes, are void. An instance's category is the thing of
    the highest mean probability on its mask; its score is this probability, times how good a mask its point promised
    (our choice: the authors give none).

    Args:
        prediction: what the network says about an image.
        mask_logits: of the point in a row and column of `frame`: a cell for 4x4 pixels. Masks are asked for one at a
            time, and only while the map is made.
        isthing: whether each category of the catalogue is a thing.
        frame: height, width that the network saw.
        size: height, width of the map.
        config: thresholds; its areas are pixels of `frame`.
    """
    device = prediction.semantic_logits.device
    scale = (size[0] / frame[0], size[1] / frame[1])
    semantics = prediction.semantic_logits
    proposals = _plane(prediction.proposal_logits, frame, frame).sigmoid()
    thing = torch.empty(frame, device=device)
    for rows in strips(frame[0]):
        thing[rows] = resized(semantics, frame, frame, (rows, slice(None))).softmax(0)[isthing].amax(0)
    background = torch.empty(size, device=device)
    semantic = torch.empty(size, dtype=torch.uint8, device=device)
    for rows in strips(size[0]):
        logits = resized(semantics, frame, size, (rows, slice(None)))
        background[rows] = 1 - logits.softmax(0)[isthing].sum(0)
        semantic[rows] = logits.max(0).indices
    points = proposed(
        proposals.cpu().numpy(),
        thing.cpu().numpy(),
        thing_threshold=config.thing_threshold,
        limit=config.limit,
        eps=config.eps,
        blur=config.blur,
        step=config.step,
        most=config.most,
    )
    asked = {
        (int((row + 0.5) * scale[0]), int((column + 0.5) * scale[1])): (row, column) for row, column in points.tolist()
    }
    kept, owners = select(
        asked,
        background,
        lambda row, column: _plane(mask_logits(*asked[row, column]), frame, size).sigmoid(),
        mask_threshold=config.mask_threshold,
        overlap=config.overlap,
        least_area=config.least_area * scale[0] * scale[1],
    )
    found = [_instance(one, semantics, isthing, frame, size, float(proposals[asked[one.point]])) for one in kept]
    segments: list[Segment] = []
    areas = torch.bincount(owners.flatten() + 1, minlength=len(kept) + 1)[1:].tolist()
    id_of = torch.zeros(len(kept) + 1, dtype=torch.int32, device=device)  # the last one is that of no instance
    for k, (instance, area) in enumerate(zip(found, areas, strict=True)):
        if area:
            segments.append(Segment(len(segments) + 1, instance.category, instance.score, area))
            id_of[k] = segments[-1].id
    ids = id_of[owners]
    add_stuff(ids, segments, semantic, isthing, config.stuff_area * scale[0] * scale[1])
    best_first = sorted(found, key=lambda instance: -instance.score)
    return Fused(PanopticMap(ids.cpu(), tuple(segments)), iter(best_first), semantic)


def _plane(logits: Float[Tensor, "_ _"], frame: tuple[int, int], size: tuple[int, int]) -> Float[Tensor, "h w"]:
    return resized(logits[None], frame, size, (slice(None), slice(None)))[0]


def _instance(
    one: Selected,
    semantic_logits: Float[Tensor, "categories _ _"],
    isthing: Bool[Tensor, " categories"],
    frame: tuple[int, int],
    size: tuple[int, int],
    proposal: float,
) -> Instance:
    (top, left), (height, width) = one.corner, one.mask.shape
    columns = slice(left, left + width)
    parts = (
        resized(semantic_logits, frame, size, (slice(top + rows.start, top + min(rows.stop, height)), columns))
        for rows in strips(height)
    )
    mean, thing = mean_probabilities(one.mask, (logits.softmax(0)[isthing] for logits in parts)).max(0)
    box = (float(left), float(top), float(left + width), float(top + height))
    return Instance(int(isthing.nonzero()[thing, 0]), proposal * float(mean), box, one.mask, one.corner)
