"""Panoptic-DeepLab: Cheng et al., CVPR 2020, arXiv 1911.10194, Sec. 3.1.

Two branches share nothing but the body: one says the category of each pixel, the other where centers of instances are,
and how far each pixel is from its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from model.body.blocks import separable
from model.body.hrnet import HRNet
from model.body.xception import Xception
from model.centres.decoder import Decoder
from model.centres.fusion import STRIDE, fuse
from model.centres.losses import hardest_pixels_loss, heat_loss, offset_loss
from model.centres.prediction import Prediction
from model.centres.targets import center_targets
from model.config import BranchConfig, CentreConfig
from model.images import normalized, register_data
from model.ops.precision import at_least_single
from model.panoptic_map import Fused
from model.targets import Targets

COARSEST_STRIDE = 32
"""Coarsest stride of a body: images are padded to a multiple of it, on the right and below."""


class CentreNetwork(nn.Module):
    """Body, and a decoder with its heads for semantics and for instances."""

    FINAL_GAINS: ClassVar[Mapping[str, float]] = {
        "semantic_head.1": 0.1,
        "heat_head.1": 0.04,
        "offset_head.1": 0.04,
    }
    """Gains with which the last layers start: in the sizes of the paper, deviations of about 0.01 (as in DeepLab2)."""

    isthing: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        config: CentreConfig,
        isthing: Sequence[bool],
        *,
        body: HRNet | Xception,
        semantic_decoder: Decoder,
        semantic_head: nn.Module,
        instance_decoder: Decoder,
        heat_head: nn.Module,
        offset_head: nn.Module,
    ) -> None:
        super().__init__()
        self.config = config
        self.body = body  # in the order in which weights are drawn
        self.semantic_decoder, self.semantic_head = semantic_decoder, semantic_head
        self.instance_decoder, self.heat_head, self.offset_head = instance_decoder, heat_head, offset_head
        register_data(self, isthing, config.sample)

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], targets: Sequence[Targets], generators: Sequence[torch.Generator]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Compute the losses of a batch, for training.

        Args:
            images: RGB.
            targets: of each image.
            generators: of each image; nothing here is random.

        Returns:
            Three losses with their weights, each the mean over images: semantic, center, offset (Eq. 1). And a count,
            summed over images: instances.
        """
        loss = self.config.loss
        found: dict[str, list[Tensor]] = {"semantic": [], "center": [], "offset": []}
        outputs = (self.at_pixels(x, (images.shape[2], images.shape[3])) for x in self.outputs(images))
        for logits, heat, offset, target in zip(*outputs, targets, strict=True):
            wanted = center_targets(
                target,
                sigma=loss.sigma,
                small_area=loss.small_area,
                small_weight=loss.small_weight,
                open_offsets=loss.open_offsets,
            )
            semantic = hardest_pixels_loss(logits, target.semantic, wanted.semantic_weight, hardest=loss.hardest)
            found["semantic"].append(semantic)
            found["center"].append(loss.heat * heat_loss(heat[0], wanted.heat, wanted.heat_weight))
            found["offset"].append(loss.offset * offset_loss(offset, wanted.offset, wanted.offset_weight))
        counts = {"instances": torch.tensor(sum(len(t.categories) for t in targets))}
        return {name: torch.stack(values).mean() for name, values in found.items()}, counts

    @torch.no_grad()
    def predict(self, images: UInt8[Tensor, "b 3 h w"]) -> list[Prediction]:
        """Find what is in each image; call `eval()` first."""
        logits, heat, offset = (x.float() for x in self.outputs(images))
        return [Prediction(*of_one) for of_one in zip(logits, heat[:, 0], offset, strict=True)]

    def fuse(self, prediction: Prediction, frame: tuple[int, int], size: tuple[int, int]) -> Fused:
        """Make one panoptic map of a prediction in a frame of height, width, at another size."""
        return fuse(prediction, self.isthing, frame, size, self.config.grouping)

    def outputs(
        self, images: UInt8[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b categories _ _"], Float[Tensor, "b 1 _ _"], Float[Tensor, "b 2 _ _"]]:
        """Compute semantic logits, heat and offsets (rows, columns, in pixels), a cell for 4x4 pixels."""
        features = self.body(normalized(images, self.mean, self.std, stride=COARSEST_STRIDE))
        logits = self.semantic_head(self.semantic_decoder(features))
        instances = self.instance_decoder(features)
        # The network counts in cells, so that its offsets are of a size that it can learn.
        return logits, self.heat_head(instances), STRIDE * self.offset_head(instances)

    @staticmethod
    def at_pixels(cells: Float[Tensor, "b c _ _"], size: tuple[int, int]) -> Float[Tensor, "b c h w"]:
        """Interpolate between the centers of cells, in single precision at least, at the pixels of the images."""
        pixels = F.interpolate(at_least_single(cells), scale_factor=STRIDE, mode="bilinear", align_corners=False)
        return pixels[..., : size[0], : size[1]]


def build(config: CentreConfig, isthing: Sequence[bool]) -> CentreNetwork:
    """Put a network of this family together; its weights are still to be drawn.

    Raises:
        ValueError: no category is a thing.
    """
    if not any(isthing):
        raise ValueError("no category is a thing: centers and offsets would have nothing to learn")
    body: HRNet | Xception = {"hrnet": HRNet, "xception": Xception}[config.body.kind](config.body)

    def head(branch: BranchConfig, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            separable(branch.channels, branch.head_channels, 5), nn.Conv2d(branch.head_channels, outputs, 1)
        )

    return CentreNetwork(
        config,
        isthing,
        body=body,
        semantic_decoder=Decoder(body.channels, config.context, config.semantic),
        semantic_head=head(config.semantic, len(isthing)),
        instance_decoder=Decoder(body.channels, config.context, config.instance),
        heat_head=head(config.instance, 1),
        offset_head=head(config.instance, 2),
    )
