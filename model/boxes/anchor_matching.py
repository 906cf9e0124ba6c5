"""Matching of anchors and proposals with instances, and the draw of those that enter the loss.

Ren et al., NeurIPS 2015, arXiv 1506.01497, Sec. 3.1.2; thresholds are those of the
configuration. All boxes are in pixels of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.config import Matching, ROIConfig, RPNConfig
from model.ops.boxes import clipped_iou, covered, iou
from model.targets import Targets

NEGATIVE, LEFT_OUT = -1, -2


@dataclass(frozen=True)
class SampledBoxes:
    """Anchors or proposals of a batch that enter the loss, one a row; image by image, its positives first."""

    boxes: Float[Tensor, "r 4"]
    image: Int[Tensor, " r"]
    index: Int[Tensor, " r"]
    """Row among the anchors or proposals of its image."""
    instance: Int[Tensor, " r"]
    """Row of the image's targets, or NEGATIVE."""

    @property
    def positive(self) -> Bool[Tensor, " r"]:
        """Return which rows stand for an instance."""
        return self.instance >= 0

    def positives(self) -> SampledBoxes:
        """Select the rows that stand for an instance."""
        rows = self.positive
        return SampledBoxes(self.boxes[rows], self.image[rows], self.index[rows], self.instance[rows])


def sample_anchors(
    anchors: Float[Tensor, "m 4"],
    targets: Sequence[Targets],
    generators: Sequence[torch.Generator],
    config: RPNConfig,
    matching: Matching,
) -> SampledBoxes:
    """Draw the anchors of each image that the region proposal head is trained on."""
    drawn = []
    for target, generator in zip(targets, generators, strict=True):
        match = match_anchors(
            overlaps(anchors, target, matching),
            share_ignored(anchors, target),
            positive_iou=config.positive_iou,
            negative_iou=config.negative_iou,
            ignore_overlap=config.ignore_overlap,
        )
        rows = draw(match, count=config.samples, positive_fraction=config.positive_fraction, generator=generator)
        drawn.append((anchors, match, rows))
    return _collect(drawn)


def sample_proposals(
    proposals: Sequence[Float[Tensor, "_ 4"]],
    targets: Sequence[Targets],
    generators: Sequence[torch.Generator],
    config: ROIConfig,
    matching: Matching,
) -> SampledBoxes:
    """Draw the proposals of each image that box and mask heads are trained on; visible boxes join the proposals."""
    drawn = []
    for boxes, target, generator in zip(proposals, targets, generators, strict=True):
        boxes = torch.cat([target.visible, boxes])
        match = match_proposals(
            overlaps(boxes, target, matching),
            share_ignored(boxes, target),
            positive_iou=config.positive_iou,
            ignore_overlap=config.ignore_overlap,
        )
        rows = draw(match, count=config.samples, positive_fraction=config.positive_fraction, generator=generator)
        drawn.append((boxes, match, rows))
    return _collect(drawn)


def _collect(drawn: Sequence[tuple[Tensor, Tensor, Tensor]]) -> SampledBoxes:
    """Join boxes, match and drawn rows of each image into the rows of a batch."""
    return SampledBoxes(
        boxes=torch.cat([boxes[rows] for boxes, _, rows in drawn]),
        image=torch.cat([torch.full_like(rows, i) for i, (_, _, rows) in enumerate(drawn)]),
        index=torch.cat([rows for _, _, rows in drawn]),
        instance=torch.cat([match[rows] for _, match, rows in drawn]),
    )


def overlaps(boxes: Float[Tensor, "m 4"], targets: Targets, matching: Matching) -> Float[Tensor, "m n"]:
    """Compute the IoU of each box with the visible box of each instance.

    visible: of the box as it is: one that covers the full extent of an instance cut by the crop overlaps little.
    clipped: of its part inside the crop, on the sides where the instance goes on (ours, not the paper's).
    """
    # Instances first: they are few, and loops over them alone would be short and slow.
    if matching == "visible":
        return iou(targets.visible, boxes).T
    height, width = targets.ignore.shape
    return clipped_iou(boxes, targets.visible, targets.open_sides, (height, width))


def match_anchors(
    overlap: Float[Tensor, "m n"],
    on_ignored: Float[Tensor, " m"],
    *,
    positive_iou: float,
    negative_iou: float,
    ignore_overlap: float,
) -> Int[Tensor, " m"]:
    """Assign an instance to each anchor, or NEGATIVE, or LEFT_OUT.

    Positive are anchors that overlap an instance by `positive_iou` or more, and the best anchor of each instance,
    however little they overlap; negative are those that overlap all by less than `negative_iou`. Anchors may reach
    beyond the image (Seamless leaves those out: in a crop, all of the largest).

    Args:
        overlap: of anchors with instances.
        on_ignored: share of each anchor on ignored pixels.
        ignore_overlap: anchors with this share or more are left out.
    """
    match = torch.full(overlap.shape[:1], NEGATIVE, device=overlap.device)
    if overlap.shape[1]:
        best, instance = overlap.max(1)
        match[best >= negative_iou] = LEFT_OUT
        match = torch.where(best >= positive_iou, instance, match)
    match[on_ignored >= ignore_overlap] = LEFT_OUT
    if overlap.numel():
        allowed = torch.where((on_ignored < ignore_overlap)[:, None], overlap, 0)
        best, anchor = allowed.max(0)
        matched = (best > 0).nonzero()[:, 0]
        # Two instances may share their best anchor; the same one wins on any device.
        owner = torch.full_like(match, -1).scatter_reduce(0, anchor[matched], matched, "amax")
        match = torch.where(owner >= 0, owner, match)
    return match


def match_proposals(
    overlap: Float[Tensor, "m n"], on_ignored: Float[Tensor, " m"], *, positive_iou: float, ignore_overlap: float
) -> Int[Tensor, " m"]:
    """Assign an instance to each proposal that overlaps one by `positive_iou` or more; else NEGATIVE or LEFT_OUT."""
    match = torch.full(overlap.shape[:1], NEGATIVE, device=overlap.device)
    if overlap.shape[1]:
        best, instance = overlap.max(1)
        match = torch.where(best >= positive_iou, instance, match)
    return torch.where(on_ignored >= ignore_overlap, LEFT_OUT, match)


def draw(
    match: Int[Tensor, " m"], *, count: int, positive_fraction: float, generator: torch.Generator
) -> Int[Tensor, " r"]:
    """Draw rows at random: positives, at most `positive_fraction` of `count`, then negatives to fill it up.

    Args:
        match: as above.
        generator: on the CPU, whatever the device, so that the draw does not depend on it.
    """
    order = torch.randperm(len(match), generator=generator).to(match.device)
    shuffled = match[order]
    positive = order[shuffled >= 0][: int(count * positive_fraction)]
    negative = order[shuffled == NEGATIVE][: count - len(positive)]
    return torch.cat([positive, negative])


def share_ignored(boxes: Float[Tensor, "m 4"], targets: Targets) -> Float[Tensor, " m"]:
    """Return the share of each box's pixels that are void, crowd or padding."""
    if not bool(targets.ignore.any()):
        return torch.zeros(len(boxes), device=boxes.device)
    return covered(boxes, targets.ignore)


def count_levels(level: Int[Tensor, " m"], chosen: Bool[Tensor, " m"], levels: int) -> Int[Tensor, " levels"]:
    """Count the chosen rows of each level."""
    return torch.bincount(level[chosen], minlength=levels)
