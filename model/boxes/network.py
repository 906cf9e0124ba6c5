"""Networks that find boxes first: ours (Porzi et al., CVPR 2021, arXiv 2012.07717, Fig. 4), Seamless', EfficientPS and
TASCNet, which differ in their parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from model.body.efficientnet import EfficientNet
from model.body.hrnet import HRNet
from model.body.resnet import ResNet
from model.boxes.adaptive_fusion import fuse_adaptively
from model.boxes.anchor_matching import SampledBoxes, count_levels, sample_anchors, sample_proposals
from model.boxes.anchors import level_anchors
from model.boxes.fusion import fuse
from model.boxes.heads.box import BoxHead, detect
from model.boxes.heads.mask import MaskHead
from model.boxes.heads.rpn import RPNHead, propose
from model.boxes.losses import batch_consistency_loss, region_losses, rpn_losses
from model.boxes.prediction import Detections, Prediction
from model.config import BoxConfig
from model.images import normalized, register_data
from model.levels import box_levels
from model.losses.semantic import batch_semantic_loss
from model.ops.precision import at_least_single
from model.ops.roi_align import roi_align
from model.panoptic_map import Fused
from model.pyramid import FeaturePyramid
from model.semantic_heads import Aligned, Concatenated, DeepLab, MiniDL
from model.targets import Targets
from model.two_way import TwoWayPyramid

COARSEST_STRIDE = 32
"""Coarsest stride of a body: images are padded to a multiple of it, on the right and below."""


class BoxNetwork(nn.Module):
    """Body, feature pyramid, region proposals, boxes and masks, semantics."""

    FINAL_GAINS: ClassVar[Mapping[str, float]] = {
        "rpn_head.objectness": 0.01,
        "rpn_head.deltas": 0.01,
        "box_head.categories": 0.01,
        "box_head.deltas": 0.001,
        "mask_head.masks": 0.01,
        "semantic_head.logits": 0.1,
    }
    """Gains with which the last layers start, far smaller than elsewhere (from the Seamless code)."""

    isthing: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        config: BoxConfig,
        isthing: Sequence[bool],
        *,
        body: HRNet | ResNet | EfficientNet,
        pyramid: FeaturePyramid | TwoWayPyramid,
        rpn_head: RPNHead,
        box_head: BoxHead,
        mask_head: MaskHead,
        semantic_head: DeepLab | MiniDL | Aligned | Concatenated,
    ) -> None:
        super().__init__()
        self.config = config
        self.body, self.pyramid = body, pyramid  # in the order in which weights are drawn
        self.rpn_head, self.box_head, self.mask_head = rpn_head, box_head, mask_head
        self.semantic_head = semantic_head
        register_data(self, isthing, config.sample)

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], targets: Sequence[Targets], generators: Sequence[torch.Generator]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Compute the losses of a batch, for training.

        Args:
            images: RGB.
            targets: of each image.
            generators: of each image, on the CPU: they alone decide which anchors and proposals are sampled, so it does
                not matter how images are spread over ranks.

        Returns:
            Six losses, each the mean over images: objectness, anchor_box, category, proposal_box, mask, semantic; and
            consistency, multiplied by its weight, if the configuration has one. And counts, summed over images:
            positive anchors of each level, positive proposals of each level that regions are pooled from, instances.
        """
        config, size = self.config, (images.shape[2], images.shape[3])
        features, levels = self.features(images)
        semantics = self.semantics(features, levels)
        losses = {"semantic": batch_semantic_loss(semantics, targets, config.semantic)}

        objectness, deltas = map(at_least_single, self.rpn_head(levels))
        boxes, level = self.anchors(levels)
        anchors = sample_anchors(boxes, targets, generators, config.rpn, config.matching)
        losses |= rpn_losses(objectness, deltas, anchors, targets, size, config)

        proposals = sample_proposals(
            self.propose(objectness, deltas, boxes, size if config.clip_proposals else None),
            targets,
            generators,
            config.roi,
            config.matching,
        )
        logits, box_deltas = self.box_head(self.pool(levels, proposals.boxes, proposals.image, mask=False))
        positives = proposals.positives()
        masks = self.mask_head(self.pool(levels, positives.boxes, positives.image, mask=True))
        losses |= region_losses(logits, box_deltas, masks, proposals, targets, self.isthing, size, config)
        if config.consistency:
            consistency = batch_consistency_loss(semantics, masks, positives, targets, self.isthing)
            losses["consistency"] = config.consistency * consistency
        return losses, self._counts(anchors, level, proposals, targets)

    @torch.no_grad()
    def predict(self, images: UInt8[Tensor, "b 3 h w"]) -> list[Prediction]:
        """Find what is in each image; call `eval()` first."""
        size = (images.shape[2], images.shape[3])
        features = self.body_features(images)
        # Of a large image features are the largest thing there is: those of the pyramid come after what needs them not.
        if self.semantic_head.reads == "body":
            semantics = self.semantic_head(features).float()
        levels = self.pyramid(features)
        del features
        if self.semantic_head.reads == "pyramid":
            semantics = self.semantic_head(levels).float()

        objectness, deltas = self.rpn_head(levels)
        proposals = self.propose(objectness, deltas, self.anchors(levels)[0], size)
        logits, deltas = self.box_head(self._pool_images(levels, proposals, mask=False))
        counts = [len(p) for p in proposals]
        detected = [
            detect(*row, size, self.config.roi)
            for row in zip(logits.split(counts), deltas.split(counts), proposals, strict=True)
        ]
        masks = self.mask_head(self._pool_images(levels, [boxes for boxes, _, _ in detected], mask=True)).float()
        category = self.isthing.nonzero()[:, 0]
        return [
            Prediction(
                Detections(boxes, scores, category[thing], mask[torch.arange(len(thing), device=thing.device), thing]),
                semantic,
            )
            for (boxes, scores, thing), mask, semantic in zip(
                detected, masks.split([len(boxes) for boxes, _, _ in detected]), semantics, strict=True
            )
        ]

    def fuse(self, prediction: Prediction, frame: tuple[int, int], size: tuple[int, int]) -> Fused:
        """Make one panoptic map of a prediction in a frame of height, width, at another size."""
        config = self.config.fusion
        if config.kind == "adaptive":
            return fuse_adaptively(prediction, self.isthing, frame, size, config)
        return fuse(prediction, self.isthing, frame, size, config)

    def features(self, images: UInt8[Tensor, "b 3 h w"]) -> tuple[list[Tensor], list[Tensor]]:
        """Compute the features of the body and those of the pyramid, each from fine to coarse."""
        features = self.body_features(images)
        return features, self.pyramid(features)

    def body_features(self, images: UInt8[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Compute the features of the body, from fine to coarse."""
        features: list[Tensor] = self.body(normalized(images, self.mean, self.std, stride=COARSEST_STRIDE))
        return features

    def semantics(self, features: list[Tensor], levels: list[Tensor]) -> Float[Tensor, "b categories _ _"]:
        """Compute the semantic logits, a cell for 4x4 pixels."""
        logits: Tensor = self.semantic_head({"body": features, "pyramid": levels}[self.semantic_head.reads])
        return logits

    def anchors(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the anchors of all levels, and the level of each."""
        rpn = self.config.rpn
        sizes = tuple((x.shape[2], x.shape[3]) for x in levels)
        return level_anchors(
            sizes, self.pyramid.strides, scale=rpn.anchor_scale, ratios=rpn.anchor_ratios, device=levels[0].device
        )

    def propose(
        self, objectness: Tensor, deltas: Tensor, boxes: Tensor, bounds: tuple[int, int] | None
    ) -> list[Tensor]:
        """Return the proposals of each image, clipped to a height and width if there are `bounds`."""
        rpn = self.config.rpn
        candidates, limit = (
            (rpn.train_candidates, rpn.train_proposals) if self.training else (rpn.test_candidates, rpn.test_proposals)
        )
        return [
            propose(o, d, boxes, bounds=bounds, candidates=candidates, limit=limit, nms_iou=rpn.nms_iou)
            for o, d in zip(objectness, deltas, strict=True)
        ]

    def pool(self, levels: Sequence[Tensor], boxes: Tensor, image: Tensor, *, mask: bool) -> Tensor:
        """Pool the features of boxes, each of one image of the batch, for the mask head or the box head."""
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

    def _pool_images(self, levels: Sequence[Tensor], boxes: Sequence[Tensor], *, mask: bool) -> Tensor:
        image = torch.cat([torch.full((len(b),), i, device=b.device) for i, b in enumerate(boxes)])
        return self.pool(levels, torch.cat(list(boxes)), image, mask=mask)

    def _counts(
        self, anchors: SampledBoxes, level: Tensor, proposals: SampledBoxes, targets: Sequence[Targets]
    ) -> dict[str, Tensor]:
        roi_levels = self.config.roi.levels
        pooled_from = box_levels(proposals.boxes, roi_levels)
        return {
            "positive_anchors": count_levels(level[anchors.index], anchors.positive, len(self.pyramid.strides)),
            "positive_proposals": count_levels(pooled_from, proposals.positive, roi_levels.count),
            "instances": torch.tensor(sum(len(t.categories) for t in targets)),
        }


def build(config: BoxConfig, isthing: Sequence[bool]) -> BoxNetwork:
    """Put a network of this family together; its weights are still to be drawn.

    Raises:
        ValueError: no category is a thing.
    """
    if not any(isthing):
        raise ValueError("no category is a thing: region proposals, boxes and masks would have nothing to learn")
    channels, things = config.pyramid.channels, sum(isthing)
    body = {"hrnet": HRNet, "resnet": ResNet, "efficientnet": EfficientNet}[config.body.kind](config.body)
    pyramid = {"fpn": FeaturePyramid, "two_way": TwoWayPyramid}[config.pyramid.kind]
    semantic_head, inputs = {
        "deeplab": (DeepLab, body.channels),
        "minidl": (MiniDL, channels),
        "aligned": (Aligned, channels),
        "concatenated": (Concatenated, channels),
    }[config.semantic.kind]
    return BoxNetwork(
        config,
        isthing,
        body=body,
        pyramid=pyramid(body.channels, config.pyramid),
        rpn_head=RPNHead(channels, config.rpn),
        box_head=BoxHead(channels, things, config.roi),
        mask_head=MaskHead(channels, things, config.roi),
        semantic_head=semantic_head(inputs, len(isthing), config.semantic),
    )
