"""The panoptic network: the one place where parts meet. Porzi et al., CVPR 2021, Fig. 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from model.anchors import anchors
from model.body.hrnet import HRNet
from model.body.resnet import ResNet
from model.box_coding import UNIT_WEIGHTS
from model.config import Config, DeepLabConfig, HRNetConfig, Weights
from model.fpn import FeaturePyramid
from model.heads.box import BoxHead, detect
from model.heads.mask import MaskHead
from model.heads.rpn import RPNHead, propose
from model.heads.semantic import DeepLab, MiniDL
from model.levels import box_levels
from model.losses.box import box_loss
from model.losses.cabb import crop_aware_loss
from model.losses.roi import category_loss, mask_loss, mask_targets
from model.losses.rpn import image_weights, objectness_loss
from model.losses.semantic import semantic_loss
from model.matching import Samples, count_levels, sample_anchors, sample_proposals
from model.ops.abn import SLOPE
from model.ops.roi_align import roi_align
from model.targets import IGNORE, Targets

COARSEST_STRIDE = 32
"""Of the body: images are padded to a multiple of it, on the right and below."""

FINAL_GAINS = {
    "rpn_head.objectness": 0.01,
    "rpn_head.deltas": 0.01,
    "box_head.categories": 0.01,
    "box_head.deltas": 0.001,
    "mask_head.masks": 0.01,
    "semantic_head.logits": 0.1,
}
"""How much smaller than elsewhere the last layers start. Assumed: Seamless."""


@dataclass(frozen=True)
class Detections:
    """Instances found in one image, best first."""

    boxes: Float[Tensor, "n 4"]
    """x0, y0, x1, y1, pixels of the image."""
    scores: Float[Tensor, " n"]
    categories: Int[Tensor, " n"]
    """int64 catalogue index, of a thing."""
    mask_logits: Float[Tensor, "n s s"]
    """On s x s cells of the box; positive is inside."""


@dataclass(frozen=True)
class Prediction:
    """What the network says about one image, before fusion."""

    detections: Detections
    semantic_logits: Float[Tensor, "categories _ _"]
    """A cell for 4x4 pixels, the last ones perhaps beyond the image: at full resolution, large images would not fit."""


class PanopticNet(nn.Module):
    """Body, feature pyramid, region proposals, boxes and masks, semantics. `model.fusion` makes one map of them."""

    isthing: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, config: Config, isthing: Sequence[bool]) -> None:
        super().__init__()
        if not any(isthing):
            raise ValueError("no category is a thing: region proposals, boxes and masks would have nothing to learn")
        self.config = config
        channels, things = config.pyramid.channels, sum(isthing)
        self.body = HRNet(config.body) if isinstance(config.body, HRNetConfig) else ResNet(config.body)
        self.pyramid = FeaturePyramid(self.body.channels, config.pyramid)
        self.rpn_head = RPNHead(channels, config.rpn)
        self.box_head = BoxHead(channels, things, config.roi)
        self.mask_head = MaskHead(channels, things, config.roi)
        self.semantic_head = (
            DeepLab(self.body.channels, len(isthing), config.semantic)
            if isinstance(config.semantic, DeepLabConfig)
            else MiniDL(channels, len(isthing), config.semantic)
        )
        self.register_buffer("isthing", torch.tensor(isthing, dtype=torch.bool), persistent=False)
        self.register_buffer("mean", torch.tensor(config.sample.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.sample.std).view(3, 1, 1), persistent=False)

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], targets: Sequence[Targets], generators: Sequence[torch.Generator]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses of a batch, for training.

        Args:
            images: RGB.
            targets: of each image.
            generators: of each image, on the CPU: they alone decide which anchors and proposals are sampled, so it does
                not matter how images are spread over ranks.

        Returns:
            Six losses, each the mean over images: objectness, anchor_box, category, proposal_box, mask, semantic. And
            counts, summed over images: positive anchors of each level, positive proposals of each level that
            regions are pooled from, instances.
        """
        size = (images.shape[2], images.shape[3])
        features, levels = self._features(images)
        losses = {"semantic": self._semantic_loss(self._semantics(features, levels), targets)}

        objectness, deltas = (out.float() for out in self.rpn_head(levels))
        boxes, level = self._anchors(levels)
        drawn = sample_anchors(boxes, targets, generators, self.config.rpn, self.config.matching)
        losses |= self._rpn_losses(objectness, deltas, drawn, targets, size)

        bounds = size if self.config.clip_proposals else None
        proposals = self._propose(objectness, deltas, boxes, bounds)
        found = sample_proposals(proposals, targets, generators, self.config.roi, self.config.matching)
        losses |= self._roi_losses(levels, found, targets, size)

        pooled_from = box_levels(found.boxes, self.config.roi.levels)
        counts = {
            "positive_anchors": count_levels(level[drawn.index], drawn.positive, len(levels)),
            "positive_proposals": count_levels(pooled_from, found.positive, self.config.roi.levels.count),
            "instances": torch.tensor(sum(len(t.categories) for t in targets)),
        }
        return losses, counts

    @torch.no_grad()
    def predict(self, images: UInt8[Tensor, "b 3 h w"]) -> list[Prediction]:
        """What is in each image; call `eval()` first."""
        size = (images.shape[2], images.shape[3])
        features, levels = self._features(images)
        semantics = self._semantics(features, levels).float()
        del features  # of a large image, the largest thing there is

        objectness, deltas = self.rpn_head(levels)
        proposals = self._propose(objectness, deltas, self._anchors(levels)[0], size)
        logits, deltas = self.box_head(self._pool(levels, proposals, mask=False))
        counts = [len(p) for p in proposals]
        found = [
            detect(*one, size, self.config.roi)
            for one in zip(logits.split(counts), deltas.split(counts), proposals, strict=True)
        ]
        masks = self.mask_head(self._pool(levels, [boxes for boxes, _, _ in found], mask=True)).float()
        category = self.isthing.nonzero()[:, 0]
        return [
            Prediction(
                Detections(boxes, scores, category[thing], own[torch.arange(len(thing), device=thing.device), thing]),
                semantic,
            )
            for (boxes, scores, thing), own, semantic in zip(
                found, masks.split([len(boxes) for boxes, _, _ in found]), semantics, strict=True
            )
        ]

    def _features(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Of the body and of the pyramid."""
        x = (images.to(memory_format=torch.channels_last) / 255 - self.mean) / self.std
        x = F.pad(x, (0, -x.shape[3] % COARSEST_STRIDE, 0, -x.shape[2] % COARSEST_STRIDE))
        features = self.body(x)
        return features, self.pyramid(features)

    def _semantics(self, features: list[Tensor], levels: list[Tensor]) -> Tensor:
        logits: Tensor = self.semantic_head(features if isinstance(self.semantic_head, DeepLab) else levels)
        return logits

    def _semantic_loss(self, logits: Tensor, targets: Sequence[Targets]) -> Tensor:
        truth = torch.stack([t.semantic for t in targets])
        height, width = truth.shape[1:]
        stride = self.pyramid.strides[0]
        beyond = (0, logits.shape[3] * stride - width, 0, logits.shape[2] * stride - height)
        return semantic_loss(logits, F.pad(truth, beyond, value=IGNORE), self.config.semantic.hardest)

    def _anchors(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Anchors of all levels, and the level of each."""
        rpn = self.config.rpn
        sizes = [(x.shape[2], x.shape[3]) for x in levels]
        by_level = anchors(sizes, self.pyramid.strides, scale=rpn.anchor_scale, ratios=rpn.anchor_ratios)
        level = torch.cat([torch.full((len(a),), i) for i, a in enumerate(by_level)])
        device = levels[0].device
        return torch.cat(by_level).to(device), level.to(device)

    def _rpn_losses(
        self, objectness: Tensor, deltas: Tensor, drawn: Samples, targets: Sequence[Targets], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        weights = image_weights(drawn.image, len(targets))
        logits = objectness[drawn.image, drawn.index]
        positive = drawn.positive
        own = deltas[drawn.image[positive], drawn.index[positive]]
        each = self._box_loss(own, drawn, targets, size, beta=self.config.rpn.beta, weights=UNIT_WEIGHTS)
        return {
            "objectness": objectness_loss(logits, positive, weights),
            "anchor_box": (each * weights[positive]).sum(),
        }

    def _roi_losses(
        self, levels: list[Tensor], found: Samples, targets: Sequence[Targets], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        roi = self.config.roi
        batch, positive = len(targets), found.positive
        boxes, image, instance = found.boxes[positive], found.image[positive], found.instance[positive]
        # Things count from 1 in the box head, where 0 is background.
        thing = self.isthing.cumsum(0)[gather([t.categories for t in targets], image, instance)]

        logits, deltas = self.box_head(self._pool_rows(levels, found.boxes, found.image, mask=False))
        weights = image_weights(found.image, batch)
        category = torch.zeros_like(found.image).masked_scatter(positive, thing)
        own = deltas[positive, thing - 1]
        each = self._box_loss(own.float(), found, targets, size, beta=roi.beta, weights=roi.weights)

        mask_logits = self.mask_head(self._pool_rows(levels, boxes, image, mask=True))
        mask_logits = mask_logits[torch.arange(len(thing), device=thing.device), thing - 1]
        masks, known = zip(
            *[
                mask_targets(boxes[image == i], instance[image == i], target, mask_logits.shape[-1])
                for i, target in enumerate(targets)
            ],
            strict=True,
        )
        return {
            "category": category_loss(logits, category, weights),
            "proposal_box": (each * weights[positive]).sum(),
            "mask": mask_loss(mask_logits, torch.cat(masks), torch.cat(known), image, batch),
        }

    def _box_loss(
        self,
        deltas: Tensor,
        rows: Samples,
        targets: Sequence[Targets],
        size: tuple[int, int],
        *,
        beta: float,
        weights: Weights,
    ) -> Tensor:
        """Return the loss of each positive row, given its deltas: crop-aware (Eq. 2) or standard (Eq. 1)."""
        positive = rows.positive
        boxes, image, instance = rows.boxes[positive], rows.image[positive], rows.instance[positive]
        visible = gather([t.visible for t in targets], image, instance)
        if self.config.box_loss == "standard":
            return box_loss(deltas, boxes, visible, beta=beta, weights=weights)
        open_sides = gather([t.open_sides for t in targets], image, instance)
        # `size` is that of the padded batch. It is the crop's wherever a side is open: padding never opens one.
        return crop_aware_loss(deltas, boxes, visible, open_sides, size, beta=beta, weights=weights)

    def _propose(
        self, objectness: Tensor, deltas: Tensor, boxes: Tensor, bounds: tuple[int, int] | None
    ) -> list[Tensor]:
        rpn = self.config.rpn
        candidates, limit = (
            (rpn.train_candidates, rpn.train_proposals) if self.training else (rpn.test_candidates, rpn.test_proposals)
        )
        return [
            propose(o, d, boxes, bounds=bounds, candidates=candidates, limit=limit, nms_iou=rpn.nms_iou)
            for o, d in zip(objectness, deltas, strict=True)
        ]

    def _pool(self, levels: list[Tensor], boxes: Sequence[Tensor], *, mask: bool) -> Tensor:
        """Features of the boxes of each image, for the mask head or the box head."""
        image = torch.cat([torch.full((len(b),), i, device=b.device) for i, b in enumerate(boxes)])
        return self._pool_rows(levels, torch.cat(list(boxes)), image, mask=mask)

    def _pool_rows(self, levels: list[Tensor], boxes: Tensor, image: Tensor, *, mask: bool) -> Tensor:
        roi = self.config.roi
        count = roi.levels.count
        return roi_align(
            levels[:count],
            self.pyramid.strides[:count],
            boxes,
            image,
            box_levels(boxes, roi.levels),
            bins=roi.pool if mask else roi.pool // 2,
            samples=1 if mask else roi.box_samples,
        )


def gather(per_image: Sequence[Tensor], image: Int[Tensor, " r"], row: Int[Tensor, " r"]) -> Tensor:
    """Row `row` of the tensor of image `image`, for each pair.

    >>> gather([torch.tensor([1, 2]), torch.tensor([3])], torch.tensor([1, 0]), torch.tensor([0, 1])).tolist()
    [3, 2]
    """
    starts = torch.tensor([0, *[len(t) for t in per_image]], device=image.device).cumsum(0)
    return torch.cat(list(per_image))[starts[image] + row]


def build_network(config: Config, isthing: Sequence[bool], generator: torch.Generator) -> PanopticNet:
    """A network with fresh weights; the same generator state gives the same weights.

    Args:
        config: body, pyramid, heads, losses.
        isthing: of each category of the catalogue, in its order.
        generator: on the CPU.

    Raises:
        ValueError: no category is a thing.
    """
    network = PanopticNet(config, isthing)
    draw_weights(network, generator)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # halves the time of a step on CPUs
    return network


def draw_weights(network: nn.Module, generator: torch.Generator) -> None:
    """Xavier's normal distribution for all convolutions and linear maps, scaled for what follows. Assumed: Seamless."""
    gain = nn.init.calculate_gain("leaky_relu", SLOPE)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(module.weight, FINAL_GAINS.get(name, gain), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
