"""Losses of the three heads that see boxes, given what the heads put out and which boxes were drawn.

Ren et al., "Faster R-CNN", NeurIPS 2015, arXiv 1506.01497; He et al., "Mask R-CNN", ICCV 2017, arXiv 1703.06870;
normalized as in Seamless: the weight of a row is 1 / (rows of its image * images of the batch), for boxes as well, so
that a loss is the mean over images, and it does not matter how images are spread over ranks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crop_aware.cabb import crop_aware_loss
from crop_aware.coding import UNIT_WEIGHTS, AnyWeights
from crop_aware.standard import box_loss
from model.boxes.anchor_matching import SampledBoxes
from model.config import BoxConfig
from model.losses.consistency import consistency_loss
from model.losses.semantic import STRIDE
from model.ops.precision import at_least_single
from model.targets import Targets


def rpn_losses(
    objectness: Float[Tensor, "b m"],
    deltas: Float[Tensor, "b m 4"],
    anchors: SampledBoxes,
    targets: Sequence[Targets],
    size: tuple[int, int],
    config: BoxConfig,
) -> dict[str, Tensor]:
    """Compute the losses of the region proposal head: objectness, anchor_box.

    Args:
        objectness, deltas: put out for all anchors of each image.
        anchors: those that were drawn.
        targets: of each image.
        size: height, width of the batch, pixels.
        config: which box loss, and its β.
    """
    weights, positive, positives = image_weights(anchors.image, len(targets)), anchors.positive, anchors.positives()
    moved = deltas[positives.image, positives.index]
    box = positive_box_loss(moved, positives, targets, size, config, beta=config.rpn.beta, weights=UNIT_WEIGHTS)
    return {
        "objectness": objectness_loss(objectness[anchors.image, anchors.index], positive, weights),
        "anchor_box": (box * weights[positive]).sum(),
    }


def region_losses(
    logits: Float[Tensor, "r _"],
    deltas: Float[Tensor, "r things 4"],
    mask_logits: Float[Tensor, "p things s s"],
    proposals: SampledBoxes,
    targets: Sequence[Targets],
    isthing: Bool[Tensor, " categories"],
    size: tuple[int, int],
    config: BoxConfig,
) -> dict[str, Tensor]:
    """Compute the losses of the box and mask heads: category, proposal_box, mask.

    Args:
        logits, deltas: of the box head, for each proposal.
        mask_logits: of the mask head, for the positive ones.
        proposals: those that were drawn.
        targets: of each image.
        isthing: whether each category of the catalogue is a thing.
        size: height, width of the batch, pixels.
        config: which box loss, its β and weights.
    """
    batch, positive, positives = len(targets), proposals.positive, proposals.positives()
    boxes, image, instance = positives.boxes, positives.image, positives.instance
    thing = true_things(positives, targets, isthing)
    weights = image_weights(proposals.image, batch)
    category = torch.zeros_like(proposals.image).masked_scatter(positive, thing)
    moved = at_least_single(deltas[positive, thing - 1])
    box = positive_box_loss(moved, positives, targets, size, config, beta=config.roi.beta, weights=config.roi.weights)
    mask_logits = mask_logits[torch.arange(len(thing), device=thing.device), thing - 1]
    masks, known = mask_targets(boxes, image, instance, targets, mask_logits.shape[-1])
    return {
        "category": category_loss(logits, category, weights),
        "proposal_box": (box * weights[positive]).sum(),
        "mask": mask_loss(mask_logits, masks, known, image, batch),
    }


def batch_consistency_loss(
    semantic_logits: Float[Tensor, "b c _ _"],
    mask_logits: Float[Tensor, "p things s s"],
    positives: SampledBoxes,
    targets: Sequence[Targets],
    isthing: Bool[Tensor, " c"],
) -> Float[Tensor, ""]:
    """Compute `consistency_loss` of each image, on the cells without ignored pixels (so not on padding); their mean.

    On a crowd the semantic head sees things where no proposal stands for one: there the two need not agree.

    Args:
        semantic_logits: of each image, a cell for 4x4 pixels; cells may lie beyond the image.
        mask_logits: of each positive proposal.
        positives: those proposals, which stand for instances.
        targets: of each image.
        isthing: whether each category of the catalogue is a thing.
    """
    thing = true_things(positives, targets, isthing)
    own = at_least_single(mask_logits[torch.arange(len(thing), device=thing.device), thing - 1])
    ignore = torch.stack([t.ignore for t in targets]).float()
    beyond = [
        STRIDE * cells - pixels for cells, pixels in zip(semantic_logits.shape[2:], ignore.shape[1:], strict=True)
    ]
    known = F.max_pool2d(F.pad(ignore, (0, beyond[1], 0, beyond[0]), value=1.0), STRIDE) == 0
    losses = [
        consistency_loss(logits, isthing, own[here], positives.boxes[here] / STRIDE, known=cells)
        for logits, here, cells in zip(
            at_least_single(semantic_logits), [positives.image == i for i in range(len(targets))], known, strict=True
        )
    ]
    return torch.stack(losses).mean()


def true_things(positives: SampledBoxes, targets: Sequence[Targets], isthing: Bool[Tensor, " c"]) -> Int[Tensor, " p"]:
    """Return the thing that each row stands for, counted from 1 as in the box head, where 0 is background."""
    return isthing.cumsum(0)[gather([t.categories for t in targets], positives.image, positives.instance)]


def positive_box_loss(
    deltas: Float[Tensor, "p 4"],
    positives: SampledBoxes,
    targets: Sequence[Targets],
    size: tuple[int, int],
    config: BoxConfig,
    *,
    beta: float,
    weights: AnyWeights,
) -> Float[Tensor, " p"]:
    """Return the loss of each positive row, given its deltas: crop-aware (Eq. 2) or standard (Eq. 1)."""
    boxes, image, instance = positives.boxes, positives.image, positives.instance
    visible = gather([t.visible for t in targets], image, instance)
    if config.box_loss == "standard":
        return box_loss(deltas, boxes, visible, beta=beta, weights=weights)
    open_sides = gather([t.open_sides for t in targets], image, instance)
    # `size` is that of the padded batch. It is the crop's wherever a side is open: padding never opens one.
    return crop_aware_loss(deltas, boxes, visible, open_sides, size, beta=beta, weights=weights)


def image_weights(image: Int[Tensor, " r"], batch: int) -> Float[Tensor, " r"]:
    """Return 1 / (rows of the same image * images) for each row.

    >>> image_weights(torch.tensor([0, 0, 1]), batch=2).tolist()
    [0.25, 0.25, 0.5]
    """
    return 1 / (torch.bincount(image, minlength=batch)[image] * batch)


def objectness_loss(
    logits: Float[Tensor, " r"], positive: Bool[Tensor, " r"], weights: Float[Tensor, " r"]
) -> Float[Tensor, ""]:
    """Compute the binary cross-entropy of whether each anchor stands for an instance."""
    logits = at_least_single(logits)
    loss = F.binary_cross_entropy_with_logits(logits, positive.to(logits), reduction="none")
    return (loss * weights).sum()


def category_loss(
    logits: Float[Tensor, "r k"], category: Int[Tensor, " r"], weights: Float[Tensor, " r"]
) -> Float[Tensor, ""]:
    """Compute the cross-entropy over background and things."""
    return (F.cross_entropy(at_least_single(logits), category, reduction="none") * weights).sum()


def mask_loss(
    logits: Float[Tensor, "p s s"],
    masks: Bool[Tensor, "p s s"],
    known: Bool[Tensor, "p s s"],
    image: Int[Tensor, " p"],
    batch: int,
) -> Float[Tensor, ""]:
    """Compute the binary cross-entropy over known samples: mean over those of an image, then over images.

    Args:
        logits: of the mask of each proposal's true category.
        masks, known: as `mask_targets` gives them; an image without known samples has loss 0.
        image: row of the batch that each proposal belongs to.
        batch: images.
    """
    logits = at_least_single(logits)
    loss = F.binary_cross_entropy_with_logits(logits, masks.to(logits), reduction="none")
    sums = loss.new_zeros(batch).index_add(0, image, (loss * known).sum((1, 2)))
    counts = loss.new_zeros(batch).index_add(0, image, known.sum((1, 2)).to(loss))
    return (sums / counts.clamp(min=1)).mean()


def mask_targets(
    proposals: Float[Tensor, "p 4"],
    image: Int[Tensor, " p"],
    instance: Int[Tensor, " p"],
    targets: Sequence[Targets],
    size: int,
) -> tuple[Bool[Tensor, "p s s"], Bool[Tensor, "p s s"]]:
    """Cut out the true masks of proposals, and where they are known: inside the image, and not on ignored pixels.

    Args:
        proposals: x0, y0, x1, y1, pixels of the image.
        image: row of the batch that each proposal belongs to.
        instance: row of that image's targets that each stands for.
        targets: of each image, all of one size.
        size: samples a side; each reads the pixel that it falls on.
    """
    height, width = targets[0].instances.shape
    at = (torch.arange(size, device=proposals.device) + 0.5) / size
    x = (proposals[:, :1] + at * (proposals[:, 2:3] - proposals[:, :1])).floor().long()[:, None, :]
    y = (proposals[:, 1:2] + at * (proposals[:, 3:4] - proposals[:, 1:2])).floor().long()[:, :, None]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    pixel = image[:, None, None] * (height * width) + y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    masks = torch.stack([t.instances for t in targets]).flatten()[pixel] == instance[:, None, None]
    return masks, inside & ~torch.stack([t.ignore for t in targets]).flatten()[pixel]


def gather(per_image: Sequence[Tensor], image: Int[Tensor, " r"], row: Int[Tensor, " r"]) -> Tensor:
    """Return row `row` of the tensor of image `image`, for each pair.

    >>> gather([torch.tensor([1, 2]), torch.tensor([3])], torch.tensor([1, 0]), torch.tensor([0, 1])).tolist()
    [3, 2]
    """
    starts = torch.tensor([0, *[len(t) for t in per_image]], device=image.device).cumsum(0)
    return torch.cat(list(per_image))[starts[image] + row]
