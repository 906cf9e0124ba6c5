"""Networks that ask for the mask of one point after the other: AdaptIS. Sofiiuk et al., ICCV 2019, arXiv 1909.07829."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from model.body.blocks import plain_separable
from model.body.resnet import ResNet
from model.config import PointConfig
from model.images import normalized, register_data
from model.ops.precision import at_least_single
from model.panoptic_map import Fused
from model.points.fusion import Prediction, fuse
from model.points.losses import mask_focal_loss, semantic_focal_loss
from model.points.mask_head import MaskHead
from model.points.neck import Neck
from model.points.proposals import moved_threshold, proposal_labels, proposal_losses
from model.points.targets import Points, draw_points, mask_labels
from model.targets import IGNORE, Targets

STRIDE = 4
"""Pixels a side that a cell of what the heads see and say covers."""
FIRST_THRESHOLD = 0.35
"""Probability at which masks are cut at the beginning, to see how good they are (from the authors' code)."""


class PointNetwork(nn.Module):
    """Body, neck, semantics, masks of points, and how good a mask each point would give.

    Dropout of the authors' code is left out. What they train in two stages is trained in one here (our choice):
    proposals learn in each step, from features and masks that get no gradient from them.
    """

    FINAL_GAINS: ClassVar[Mapping[str, float]] = {
        "semantic_head.2": 0.1,
        "mask_head.controller.scale": 0.1,
        "mask_head.controller.shift": 0.1,
        "mask_head.logits": 0.1,
        "proposal_head.2": 0.1,
    }
    """Gains with which the last layers start (our choice): scales near 1, shifts near 0, nothing certain."""

    isthing: Tensor
    mean: Tensor
    std: Tensor
    threshold: Tensor

    def __init__(
        self,
        config: PointConfig,
        isthing: Sequence[bool],
        *,
        body: ResNet,
        neck: Neck,
        semantic_head: nn.Sequential,
        mask_head: MaskHead,
        proposal_head: nn.Sequential,
    ) -> None:
        super().__init__()
        self.config = config
        self.body, self.neck = body, neck  # in the order in which weights are drawn
        self.semantic_head, self.mask_head, self.proposal_head = semantic_head, mask_head, proposal_head
        self.register_buffer("threshold", torch.tensor(FIRST_THRESHOLD))
        register_data(self, isthing, config.sample)

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], targets: Sequence[Targets], generators: Sequence[torch.Generator]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Compute the losses of a batch, for training.

        Args:
            images: RGB.
            targets: of each image.
            generators: of each image, on the CPU: they alone decide which points are drawn.

        Returns:
            Three losses, each the mean over images, and in each over its points: semantic, mask, proposal. And counts,
            summed over images: instances, points that taught masks.
        """
        teaching, size = self.config.loss, (images.shape[2], images.shape[3])
        features = self.features(images)
        logits = at_all_pixels(self.semantic_head(features), size)
        known = torch.stack([t.semantic for t in targets]).long()
        semantic = semantic_focal_loss(logits, known.masked_fill(known == IGNORE, -1)).mean()

        drawn = [
            draw_points(t, g, count=teaching.points, least_area=teaching.least_area)
            for t, g in zip(targets, generators, strict=True)
        ]
        several, alone = (list(points) for points in zip(*drawn, strict=True))
        shared = self.mask_head.share(features)
        masks = mask_focal_loss(
            self._masks(features, shared, several, size),
            torch.cat([mask_labels(t, p.instances) for t, p in zip(targets, several, strict=True)]),
            teaching.alpha,
        )
        shares = torch.cat([masks.new_full((len(p.instances),), 1 / max(len(p.instances), 1)) for p in several])
        losses = {
            "semantic": teaching.semantic * semantic,
            "mask": (masks * shares).sum() / len(images),
            "proposal": self._proposal_loss(features.detach(), shared.detach(), targets, alone, size),
        }
        counts = {
            "instances": torch.tensor(sum(len(t.categories) for t in targets)),
            "points": torch.tensor(len(shares)),
        }
        return losses, counts

    @torch.no_grad()
    def predict(self, images: UInt8[Tensor, "b 3 h w"]) -> list[Prediction]:
        """Find what there is in each image, and where to ask for masks; call `eval()` first."""
        features = self.features(images)
        semantic, proposals = self.semantic_head(features).float(), self.proposal_head(features).float()
        return [Prediction(*row) for row in zip(semantic, proposals[:, 0], features, strict=True)]

    @torch.no_grad()
    def fuse(self, prediction: Prediction, frame: tuple[int, int], size: tuple[int, int]) -> Fused:
        """Ask for masks, and make one panoptic map of them in a frame of height, width, at another size."""
        features = prediction.features[None].to(self.mean.dtype)
        shared = self.mask_head.share(features)
        image = torch.zeros(1, dtype=torch.int64, device=features.device)

        def mask_logits(row: int, column: int) -> Float[Tensor, "_ _"]:
            point = in_cells(torch.tensor([[row, column]], device=features.device))
            return self.mask_head(features, shared, image, point)[0]

        return fuse(prediction, mask_logits, self.isthing, frame, size, self.config.selection)

    def features(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b c _ _"]:
        """Compute what all heads see, a cell for 4x4 pixels."""
        x = normalized(images, self.mean, self.std, stride=self.body.coarsest_stride)
        finest, *_, coarsest = self.body(x)
        return self.neck(finest, coarsest)

    def _masks(
        self, features: Tensor, shared: Tensor, points: Sequence[Points], size: tuple[int, int]
    ) -> Float[Tensor, "n h w"]:
        """Return the mask logits of the points of each image, at its pixels."""
        image = torch.cat([torch.full_like(p.instances, i) for i, p in enumerate(points)])
        cells = in_cells(torch.cat([p.positions for p in points])).to(self.mean.dtype)
        return at_all_pixels(self.mask_head(features, shared, image, cells)[:, None], size)[:, 0]

    def _proposal_loss(
        self,
        features: Tensor,
        shared: Tensor,
        targets: Sequence[Targets],
        points: Sequence[Points],
        size: tuple[int, int],
    ) -> Float[Tensor, ""]:
        """Compare what proposals foresee at the points of one object an image with how good their masks are."""
        count = self.config.loss.points
        having = [i for i, p in enumerate(points) if len(p.instances)]
        with torch.no_grad(), _as_at_inference(self.mask_head):
            masks = self._masks(features, shared, points, size).sigmoid().view(len(having), count, *size)
            truth = torch.stack([mask_labels(targets[i], points[i].instances[:1]) for i in having]) if having else masks
            if self.training:
                self.threshold.fill_(moved_threshold(masks, truth, float(self.threshold)))
            labels = proposal_labels(masks, truth.expand_as(masks), float(self.threshold))
        proposals = at_all_pixels(self.proposal_head(features), size)[:, 0]
        image = torch.cat([torch.full_like(p.instances, i) for i, p in enumerate(points)])
        row, column = torch.cat([p.positions for p in points]).unbind(1)
        losses = proposal_losses(proposals[image, row, column].view(len(having), count), labels)
        return losses.sum() / (count * len(features))


def in_cells(pixels: Int[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Return where the centers of pixels lie between those of cells."""
    return (pixels + 0.5) / STRIDE - 0.5


def at_all_pixels(planes: Float[Tensor, "n k _ _"], size: tuple[int, int]) -> Float[Tensor, "n k h w"]:
    """Interpolate planes between the centers of cells, in single precision at least, and cut them to the image."""
    height, width = (side * STRIDE for side in planes.shape[-2:])
    fine = F.interpolate(at_least_single(planes), (height, width), mode="bilinear", align_corners=False)
    return fine[..., : size[0], : size[1]]


@contextmanager
def _as_at_inference(module: nn.Module) -> Iterator[None]:
    """Normalize by running statistics for a while, and leave them as they are."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)


def build(config: PointConfig, isthing: Sequence[bool]) -> PointNetwork:
    """Put a network of this family together; its weights are still to be drawn.

    Raises:
        ValueError: no category is a thing.
    """
    if not any(isthing):
        raise ValueError("no category is a thing: masks of points would have nothing to learn")
    body, width = ResNet(config.body), config.context.channels
    return PointNetwork(
        config,
        isthing,
        body=body,
        neck=Neck(body.channels[0], body.channels[-1], config),
        semantic_head=_branch(width, config.semantic_channels, len(isthing)),
        mask_head=MaskHead(width, config.mask_channels, config.radius / STRIDE),
        proposal_head=_branch(width, config.proposal_channels, 1),
    )


def _branch(inputs: int, channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        plain_separable(inputs, channels), plain_separable(channels, channels), nn.Conv2d(channels, outputs, 1)
    )
