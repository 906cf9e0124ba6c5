"""Semantics, centers and offsets into one panoptic map: Panoptic-DeepLab (arXiv 1911.10194, Sec. 3.2).

Pixels are grouped at the resolution that the network saw; the map of the image takes the nearest of them. An instance
that is scored is one of the map: there are no others.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.centres.grouping import Grouped, group
from model.centres.prediction import Prediction
from model.config import GroupingConfig
from model.panoptic_map import Fused, Instance, PanopticMap, Segment, add_stuff, logits_at, resized, semantic_map

STRIDE = 4
"""Pixels a side that a cell of the prediction covers."""


def fuse(
    prediction: Prediction,
    isthing: Bool[Tensor, " categories"],
    frame: tuple[int, int],
    size: tuple[int, int],
    config: GroupingConfig,
) -> Fused:
    """Make a map: instances, best first, then stuff.

    Pixels of things are void where there is no center, and so is stuff below the limit of areas.

    Args:
        prediction: what the network says about an image.
        isthing: whether each category of the catalogue is a thing.
        frame: height, width that the network saw; the frame of the prediction.
        size: height, width of the map, for example those of the image before it was resized for the network.
        config: thresholds; its areas are pixels of `frame`.
    """
    device = prediction.heat.device
    scale = (size[0] / frame[0], size[1] / frame[1])
    everywhere = (slice(None), slice(None))
    semantic = semantic_map(prediction.semantic_logits, frame, frame)
    heat = resized(prediction.heat[None], frame, frame, everywhere)[0]
    grouped = group(
        semantic,
        heat,
        resized(prediction.offset, frame, frame, everywhere),
        isthing,
        threshold=config.threshold,
        window=config.window,
        most=config.most,
        stuff_area=0,  # the areas that count are those of the map
    )
    score = heat[grouped.centers[:, 0], grouped.centers[:, 1]] * certainty(prediction.semantic_logits, grouped, frame)
    rows, columns = (nearest(a, b, device) for a, b in zip(frame, size, strict=True))
    semantic, instances = (x.index_select(0, rows).index_select(1, columns) for x in (semantic, grouped.instances))

    areas = torch.bincount(instances[instances >= 0], minlength=len(score)).tolist()
    best = [k for k in score.argsort(descending=True, stable=True).tolist() if areas[k]]
    segments = [Segment(i, int(grouped.category[k]), float(score[k]), areas[k]) for i, k in enumerate(best, 1)]
    id_of = torch.zeros(len(score) + 1, dtype=torch.int32, device=device)  # the last one is that of no instance
    id_of[best] = torch.arange(1, len(best) + 1, dtype=torch.int32, device=device)
    ids = id_of[instances]
    add_stuff(ids, segments, semantic, isthing, config.stuff_area * scale[0] * scale[1])
    panoptic = PanopticMap(ids.cpu(), tuple(segments))
    return Fused(panoptic, instances_of(panoptic), semantic)


def nearest(original: int, wanted: int, device: torch.device) -> Int[Tensor, " wanted"]:
    """Return the pixel, of a line of `original` ones, into which the center of each of the `wanted` ones falls."""
    return (2 * torch.arange(wanted, device=device) + 1) * original // (2 * wanted)


def certainty(logits: Float[Tensor, "categories _ _"], grouped: Grouped, frame: tuple[int, int]) -> Float[Tensor, " n"]:
    """Average the probability of each instance's category over its pixels; 0 without pixels."""
    n = len(grouped.centers)
    total = torch.zeros(n, dtype=torch.float64, device=logits.device)
    solid = grouped.instances >= 0
    for rows, columns, own in logits_at(logits, frame, frame, solid):
        of = grouped.instances[rows, columns]
        total += torch.bincount(of, own.softmax(1).gather(1, grouped.category[of][:, None])[:, 0].double(), n)
    return (total / torch.bincount(grouped.instances[solid], minlength=n).clamp(min=1)).float()


def instances_of(panoptic: PanopticMap) -> Iterator[Instance]:
    """Yield the instances of a map, in the order of their ids, each in the window of its pixels."""
    found = [segment for segment in panoptic.segments if segment.score is not None]
    rows, columns = torch.nonzero((panoptic.ids > 0) & (panoptic.ids <= len(found)), as_tuple=True)
    row = panoptic.ids[rows, columns].long() - 1
    ends = [
        torch.zeros(len(found), dtype=torch.int64).scatter_reduce(0, row, at, end, include_self=False).tolist()
        for at in (rows, columns)
        for end in ("amin", "amax")
    ]
    for segment, top, bottom, left, right in zip(found, *ends, strict=True):
        mask = panoptic.ids[top : bottom + 1, left : right + 1] == segment.id
        box = float(left), float(top), float(right + 1), float(bottom + 1)
        assert segment.score is not None
        yield Instance(segment.category, segment.score, box, mask, (top, left))
