"""All settings of a run as values, and their JSON; which values a data set takes is in `model.presets`.

Porzi et al., "Improving Panoptic Segmentation at All Scales", CVPR 2021, arXiv 2012.07717. Its supplementary material,
which holds the hyper-parameters, could not be found. A value "from the Seamless code" is that of the open code of the
same first author's earlier work (mapillary/seamseg, arXiv 1905.01220), which the paper says it follows; "our choice"
has no source.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Weights:
    """Factors of box deltas; losses see the deltas multiplied."""

    centre: float = 1.0
    """Factor of dx and dy."""
    size: float = 1.0
    """Factor of log dw and log dh."""


@dataclass(frozen=True)
class Levels:
    """Pyramid levels that regions are pooled from; level 0 is P2, the finest.

    Lin et al., "Feature Pyramid Networks", CVPR 2017, arXiv 1612.03144, Eq. 1: a box of size s = √(width * height) goes
    to level floor(2 + log2(s / canonical_size)), clamped to those that there are. By default levels switch at 112, 224
    and 448 pixels.
    """

    count: int = 4
    """Number of levels."""
    canonical_size: float = 224.0
    """Box size at which level 2 begins, pixels of the network's input. Small crops want a smaller one."""

    def octave(self, level: int) -> tuple[float, float]:
        """Return the smallest box size of a level, and that of the next; the end levels count as one octave, too."""
        return self.canonical_size * 2.0 ** (level - 2), self.canonical_size * 2.0 ** (level - 1)


DEFAULT_LEVELS = Levels()
Matching = Literal["visible", "clipped"]
ROI_WEIGHTS = Weights(centre=10.0, size=5.0)


@dataclass(frozen=True)
class HRNetConfig:
    """HRNetV2 (Wang et al., TPAMI 2020, arXiv 1908.07919); the default is W48, the body of the paper's network."""

    kind: Literal["hrnet"] = "hrnet"
    stem: int = 64
    """Channels of the two strided convolutions before the first stage."""
    bottleneck: int = 64
    """Inner channels of the first stage's blocks, whose output has four times as many."""
    bottlenecks: int = 4
    """Blocks of the first stage."""
    width: int = 48
    """Channels at stride 4; 2, 4 and 8 times as many at strides 8, 16 and 32."""
    modules: tuple[int, int, int] = (1, 4, 3)
    """Exchange modules of stages 2, 3 and 4."""
    blocks: int = 4
    """Residual blocks of each branch of a module."""


@dataclass(frozen=True)
class ResNetConfig:
    """ResNet with bottleneck blocks (He et al., CVPR 2016, arXiv 1512.03385); by default ResNet-50, as in Seamless."""

    kind: Literal["resnet"] = "resnet"
    width: int = 64
    """Channels of the stem; the first stage puts out four times as many, each later one twice those of the one before.
    """
    depths: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Blocks of each stage."""
    groups: int = 1
    """Groups of the 3x3 convolutions (ResNeXt: Xie et al., CVPR 2017, arXiv 1611.05431)."""
    group_width: int | None = None
    """Inner channels of a group in the first stage; they double from stage to stage. None: `width` in all groups."""
    deep_stem: bool = False
    """Begin with three 3x3 convolutions in place of one of 7x7; they put out twice `width`."""
    dilated: bool = False
    """Keep stride 8 in the last two stages, with dilations of 2 and 4 in place of strides."""


@dataclass(frozen=True)
class EfficientNetConfig:
    """EfficientNet without squeeze-and-excitation (Tan and Le, ICML 2019, arXiv 1905.11946); by default B5's sizes.

    So it is the body of EfficientPS (Mohan and Valada, IJCV 2021, arXiv 2004.02307, Sec. 3.1).
    """

    kind: Literal["efficientnet"] = "efficientnet"
    stem: int = 48
    """Channels of the strided convolution before the first stage."""
    widths: tuple[int, int, int, int, int, int, int] = (24, 40, 64, 128, 176, 304, 512)
    """Channels that each stage puts out."""
    depths: tuple[int, int, int, int, int, int, int] = (3, 5, 5, 7, 7, 9, 3)
    """Blocks of each stage."""
    head: int = 2048
    """Channels of the 1x1 convolution after the last stage: the features at stride 32."""


@dataclass(frozen=True)
class XceptionConfig:
    """Xception as DeepLabV3+ changed it (Chen et al., ECCV 2018, arXiv 1802.02611); by default Xception-71.

    It ends at stride 16.
    """

    kind: Literal["xception"] = "xception"
    stem: tuple[int, int] = (32, 64)
    """Channels of the two convolutions before the first module, of which the first strides."""
    entry: tuple[int, ...] = (128, 256, 256, 728, 728)
    """Channels of each module of the entry flow."""
    strides: tuple[int, ...] = (2, 1, 2, 1, 2)
    """Strides of these modules, of which three are 2. Xception-65 has only those three."""
    middle: int = 16
    """Modules of the middle flow, as wide as the last of the entry flow."""
    exit: tuple[tuple[int, int, int], tuple[int, int, int]] = ((728, 1024, 1024), (1536, 1536, 2048))
    """Channels of each convolution of the two modules of the exit flow."""


@dataclass(frozen=True)
class PyramidConfig:
    """Feature pyramid (Lin et al., CVPR 2017, arXiv 1612.03144) on the body's strides 4 to 32."""

    kind: Literal["fpn"] = "fpn"
    channels: int = 256
    """Channels of every level (from the Seamless code)."""
    extra_levels: int = 2
    """Levels coarser than stride 32, each half the size of the one before (from the Seamless code: two for MVD)."""


@dataclass(frozen=True)
class TwoWayConfig:
    """EfficientPS' pyramid, in which fine features reach coarse levels, too (arXiv 2004.02307, Sec. 3.2)."""

    kind: Literal["two_way"] = "two_way"
    channels: int = 256
    """Channels of every level."""
    extra_levels: int = 0
    """Levels coarser than stride 32, each half the size of the one before. EfficientPS has none."""


@dataclass(frozen=True)
class RPNConfig:
    """Region proposal head: anchors, their loss, and how many boxes become proposals (all from the Seamless code)."""

    channels: int = 256
    """Channels of its hidden layer."""
    separable: bool = False
    """Make the hidden layer a depthwise convolution, then a 1x1 convolution."""
    anchor_scale: float = 2.0
    """Side of an anchor of ratio 1, in strides of its level."""
    anchor_ratios: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 5.0)
    """Height over width; all anchors of a level have the same area."""
    positive_iou: float = 0.7
    """IoU with an instance from which an anchor is positive."""
    negative_iou: float = 0.3
    """IoU below which it is negative. Anchors between the two are left out, unless an instance has no better one."""
    ignore_overlap: float = 0.7
    """Share of an anchor's area on ignored pixels from which it is left out of the loss."""
    samples: int = 256
    """Anchors per image in the loss."""
    positive_fraction: float = 0.5
    """Largest share of positives among them."""
    beta: float = 1 / 9
    """Difference of deltas (their weights are 1) at which the Huber loss turns linear."""
    train_candidates: int = 12000
    """Boxes per image that enter non-maximum suppression while training."""
    train_proposals: int = 2000
    """Boxes per image that leave it while training, at most."""
    test_candidates: int = 6000
    """Boxes per image that enter non-maximum suppression at inference."""
    test_proposals: int = 1000
    """Boxes per image that leave it at inference, at most."""
    nms_iou: float = 0.7
    """IoU with a better box above which a box is dropped."""


@dataclass(frozen=True)
class ROIConfig:
    """Box and mask heads: their training samples, and which detections are kept (all from the Seamless code)."""

    levels: Levels = DEFAULT_LEVELS
    """Pyramid levels that regions are pooled from."""
    pool: int = 14
    """Bins on each side of a region for the mask head, one sample each. Masks have twice as many, the box head half."""
    box_samples: int = 2
    """Samples on each side of a bin of the box head; 2 is the average of 2x2 of the mask head's bins."""
    box_channels: int = 1024
    """Channels of the box head's hidden layers."""
    mask_channels: int = 256
    """Channels of the mask head's hidden layers."""
    mask_convolutions: int = 4
    """Number of the mask head's 3x3 convolutions."""
    separable_masks: bool = False
    """Make each of them a depthwise convolution, then a 1x1 convolution."""
    samples: int = 512
    """Proposals per image in the loss."""
    positive_fraction: float = 0.25
    """Largest share of positives among them."""
    positive_iou: float = 0.5
    """IoU with an instance from which a proposal is positive; else it is background."""
    ignore_overlap: float = 0.7
    """Share of a proposal's area on ignored pixels from which it is left out of the loss."""
    beta: float = 1.0
    """Difference of deltas at which the Huber loss turns linear."""
    weights: Weights = ROI_WEIGHTS
    """Factors of the deltas."""
    score: float = 0.05
    """Score below which detections are dropped."""
    nms_iou: float = 0.5
    """IoU with a better detection of the same category above which a detection is dropped."""
    detections: int = 256
    """Detections per image, at most."""


@dataclass(frozen=True)
class DeepLabConfig:
    """DeepLabV3+ on the body, as Panoptic-DeepLab connects it to HRNet (the paper's network, Sec. 4.1).

    The numbers are those of the PyTorch code of Panoptic-DeepLab's first author (bowenc0221/panoptic-deeplab) for
    HRNet-W48. Pyramid pooling sees stride 32; strides 16, 8 and 4 join it one after the other.
    """

    kind: Literal["deeplab"] = "deeplab"
    rates: tuple[int, ...] = (3, 6, 9)
    """Dilations of the pyramid pooling at stride 32."""
    channels: int = 256
    """Channels of the pyramid pooling and of the decoder."""
    skip_channels: tuple[int, int, int] = (128, 64, 32)
    """Channels to which the features of strides 16, 8 and 4 are reduced before they join."""
    pooling: int = 32
    """Window of the pooling branch, cells of stride 32: as large as a crop, so that whole images look alike."""
    hardest: float = 0.25
    """Share of an image's pixels in the loss: those of the highest loss (from the Seamless code)."""
    padding: Literal["counted", "left_out"] = "counted"
    """Treatment of padding: counted as pixels without loss, or left out (as in the Seamless code)."""


@dataclass(frozen=True)
class MiniDLConfig:
    """Seamless' semantic head on the four finest pyramid levels (Porzi et al., CVPR 2019, arXiv 1905.01220)."""

    kind: Literal["minidl"] = "minidl"
    channels: int = 128
    """Channels of each branch."""
    dilation: int = 6
    """Dilation of the far-sighted branch."""
    pooling: int = 64
    """Window of the pooling branch, cells of each level."""
    hardest: float = 0.25
    """Share of an image's pixels in the loss: those of the highest loss."""
    padding: Literal["counted", "left_out"] = "counted"
    """Treatment of padding: counted as pixels without loss, or left out (as in the Seamless code)."""


Dilation = tuple[int, int]
"""Of rows, of columns."""


@dataclass(frozen=True)
class AlignedConfig:
    """EfficientPS' semantic head on the four finest pyramid levels (arXiv 2004.02307, Sec. 3.3)."""

    kind: Literal["aligned"] = "aligned"
    channels: int = 128
    """Channels of each branch."""
    dilations: tuple[Dilation, Dilation, Dilation, Dilation, Dilation] = ((1, 6), (1, 1), (6, 21), (18, 15), (6, 3))
    """Dilations of the five convolutions that gather context at strides 16 and 32. The first sees the level, the next
    three the first, the last the fourth."""
    hardest: float = 0.25
    """Share of an image's pixels in the loss: those of the highest loss."""
    padding: Literal["counted", "left_out"] = "counted"
    """Treatment of padding: counted as pixels without loss, or left out."""


@dataclass(frozen=True)
class ConcatenatedConfig:
    """TASCNet's semantic head on the four finest pyramid levels (arXiv 1812.01192); its sizes are our choice."""

    kind: Literal["concatenated"] = "concatenated"
    channels: int = 128
    """Channels of the two 3x3 convolutions on each level."""
    hardest: float = 0.25
    """Share of an image's pixels in the loss: those of the highest loss."""
    padding: Literal["counted", "left_out"] = "counted"
    """Treatment of padding: counted as pixels without loss, or left out."""


SemanticConfig = DeepLabConfig | MiniDLConfig | AlignedConfig | ConcatenatedConfig


@dataclass(frozen=True)
class FusionConfig:
    """Fusion of boxes, masks and semantics into one panoptic map (thresholds from the Seamless code)."""

    kind: Literal["scores"] = "scores"
    score: float = 0.5
    """Score from which an instance takes part."""
    overlap: float = 0.5
    """Share of an instance already taken by better ones above which it is dropped."""
    stuff_area: int = 4096
    """Area below which a stuff segment becomes void, pixels of the network's input."""
    semantic: Literal["head", "fused"] = "head"
    """Category of each pixel in the semantic map. head: that of the semantic head. fused: that of the pixel's segment,
    and of the semantic head where there is none, so that a thing that no instance took still counts for the mean IoU
    (as the Seamless code scores it)."""
    guided: bool = False
    """Draw instances only where the semantic head sees things (TASCNet, arXiv 1812.01192: mask-guided fusion)."""


@dataclass(frozen=True)
class AdaptiveFusionConfig:
    """EfficientPS' fusion, in which mask and semantic logits vote on each pixel (arXiv 2004.02307, Sec. 3.4)."""

    kind: Literal["adaptive"] = "adaptive"
    score: float = 0.5
    """Score from which an instance takes part."""
    overlap: float = 0.5
    """Share of an instance already taken by better ones above which it is dropped."""
    stuff_area: int = 2048
    """Area below which a stuff segment becomes void, pixels of the network's input."""
    gain: float = 1.0
    """Factor of the mask logits in the vote. The paper has none; its authors' code takes 4."""


@dataclass(frozen=True)
class SampleConfig:
    """Scale and crop of training samples (Sec. 2.1); also the resolution of inference."""

    shortest: int = 1920
    """s_0: shortest side of a rescaled image, pixels (from the Seamless code)."""
    longest: int | None = None
    """Longest side of a rescaled image while training, pixels: a longer one is shrunk after its random scaling (2304 in
    the Seamless code). None: no limit."""
    crop: int | None = 1024
    """Side of the square crop, pixels (Sec. 4.1). None: the whole image, padded to the largest of its batch."""
    sampling: Literal["cus", "isus"] = "isus"
    """Class-uniform sampling, or instance scale-uniform sampling."""
    isus: Literal["instance_first", "level_first"] = "instance_first"
    """Order in which ISUS draws an instance and a pyramid level; the text leaves it open. instance_first: any
    instance of the category, then any level, which the range of scale factors may keep it from. level_first: a level,
    then one of the instances that a factor in the range brings there (any, if there is none); an instance that is on
    the level already gets a standard factor (stuff_scales)."""
    stuff_scales: tuple[float, float] = (0.8, 1.25)
    """r_st: range of random scale factors of class-uniform sampling (from the Seamless code)."""
    thing_scales: tuple[float, float] = (0.25, 4.0)
    """r_th: smallest and largest scale factor that ISUS may use. Our choice: the paper's value is unknown."""
    mean: tuple[float, float, float] = (0.41738699, 0.45732192, 0.46886091)
    """Means of red, green and blue, 0 to 1 (from the Seamless code)."""
    std: tuple[float, float, float] = (0.25685097, 0.26509955, 0.29067996)
    """Standard deviations of red, green and blue (from the Seamless code)."""


@dataclass(frozen=True)
class ScheduleConfig:
    """Optimizer, and its learning rate over time (Sec. 4.1 says SGD; the numbers are from the Seamless code)."""

    optimizer: Literal["sgd", "adam"] = "sgd"
    """SGD with Nesterov momentum, or Adam with its usual momenta (0.9, 0.999)."""
    decay: Literal["steps", "poly"] = "steps"
    """Fall of the learning rate. steps: to a tenth at each milestone. poly: as (1 - step / steps) ** 0.9, without
    milestones."""

    batch: int = 8
    """Samples per step, over all ranks."""
    steps: int = 191_000
    """Number of steps."""
    learning_rate: float = 0.01
    """Learning rate after the warm-up."""
    milestones: tuple[int, ...] = (144_000, 176_000)
    """Steps at which the learning rate falls to a tenth, where `decay` is by steps."""
    warmup: int = 200
    """Steps over which the learning rate rises linearly from a third."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 1e-4
    """Weight decay; 0 on normalization layers."""
    average: float = 0.0
    """Share of itself that the running average of the weights keeps at each step; the network that a run ends with is
    that average (Polyak and Juditsky, 1992). 0: it is the weights of the last step, as the Seamless code has it."""


@dataclass(frozen=True)
class BoxConfig:
    """A network that finds boxes first, and everything that is needed to train it again."""

    kind: Literal["boxes"] = "boxes"
    body: HRNetConfig | ResNetConfig | EfficientNetConfig = HRNetConfig()
    pyramid: PyramidConfig | TwoWayConfig = PyramidConfig()
    rpn: RPNConfig = RPNConfig()
    roi: ROIConfig = ROIConfig()
    semantic: SemanticConfig = DeepLabConfig()
    fusion: FusionConfig | AdaptiveFusionConfig = FusionConfig()
    sample: SampleConfig = SampleConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    box_loss: Literal["standard", "crop_aware"] = "crop_aware"
    """Box loss of both the region proposal head and the box head: Eq. 1, or CABB (Eq. 2, Sec. 4.1)."""
    matching: Matching = "visible"
    """Overlap that decides which boxes are positive. visible: IoU with the visible box (the paper, as far as its text
    says). clipped (ours): the anchor or proposal is first clipped to the crop where the instance goes on, so that large
    anchors find large cut objects."""
    consistency: float = 0.0
    """Weight of the loss that makes semantics and masks agree where things are (TASCNet); 0: there is none."""
    clip_proposals: bool = True
    """Clipping of proposals to the crop while training (from the Seamless code); at inference they always are."""

    @property
    def levels(self) -> Levels:
        """Return the pyramid levels that instances are assigned to, which ISUS aims at."""
        return self.roi.levels


@dataclass(frozen=True)
class BranchConfig:
    """One of the two decoders of Panoptic-DeepLab, which share nothing but the body.

    Cheng et al., CVPR 2020, arXiv 1911.10194; numbers of the PyTorch code of the first author
    (bowenc0221/panoptic-deeplab) for HRNet-W48, by default those of the branch of semantics.
    """

    channels: int = 256
    """Channels of the decoder."""
    skip_channels: tuple[int, ...] = (128, 64, 32)
    """Channels to which the finer features of the body are reduced before they join, from coarse to fine."""
    head_channels: int = 256
    """Hidden channels of each head."""


@dataclass(frozen=True)
class ContextConfig:
    """Pyramid pooling on the coarsest features of the body; either branch of Panoptic-DeepLab has one of its own.

    Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", arXiv 1706.05587, Sec. 3.3.
    """

    rates: tuple[int, ...] = (3, 6, 9)
    """Dilations (those of the first author's code for HRNet, at stride 32)."""
    channels: int = 256
    """Channels of each part, and of what they are brought to."""
    dilated: Literal["dense", "separable"] = "dense"
    """Kind of the dilated 3x3 convolutions. Dense, for HRNet: assumed, as nearer to the published parameters."""
    pooling: int = 32
    """Window of the pooling part, cells of the coarsest stride: as large as a crop, so that whole images look alike."""


@dataclass(frozen=True)
class CentreLossConfig:
    """What a network of centers learns, and how much each part of it weighs (Sec. 3.3, and the first author's code)."""

    sigma: float = 8.0
    """Width of the Gaussian around a center, pixels."""
    small_area: int = 4096
    """Pixels below which an instance is small."""
    small_weight: float = 3.0
    """Weight of the pixels of small instances in the loss of semantics."""
    hardest: float = 0.2
    """Share of an image's pixels in the loss of semantics: those of the highest loss."""
    heat: float = 200.0
    """Weight of the squared error of the heat map."""
    offset: float = 0.01
    """Weight of the distance of offsets, a pixel."""
    open_offsets: Literal["counted", "left_out"] = "counted"
    """Offsets in instances that the crop cuts, whose center is that of the visible part: another one in each crop. The
    first author's code counts them; left_out is ours: what Sec. 2.2 of the paper says of cut boxes, for centers."""


@dataclass(frozen=True)
class GroupingConfig:
    """From heat map, offsets and semantics to instances (Sec. 3.2, and the first author's code)."""

    threshold: float = 0.1
    """Heat that a center exceeds."""
    window: int = 7
    """Odd side of the square, pixels of the network's input, in which a center is the highest."""
    most: int = 200
    """Centers of an image, at most."""
    stuff_area: int = 4096
    """Area below which a stuff category becomes void, pixels of the network's input."""


CLASS_UNIFORM = SampleConfig(sampling="cus")


@dataclass(frozen=True)
class CentreConfig:
    """A network that groups pixels around centers (Panoptic-DeepLab), and everything needed to train it again.

    Cheng et al., "Panoptic-DeepLab", CVPR 2020, arXiv 1911.10194.
    """

    kind: Literal["centres"] = "centres"
    body: HRNetConfig | XceptionConfig = HRNetConfig()
    context: ContextConfig = ContextConfig()
    semantic: BranchConfig = BranchConfig()
    instance: BranchConfig = BranchConfig(channels=128, skip_channels=(64, 32, 16), head_channels=32)
    loss: CentreLossConfig = CentreLossConfig()
    grouping: GroupingConfig = GroupingConfig()
    sample: SampleConfig = CLASS_UNIFORM
    schedule: ScheduleConfig = ScheduleConfig()

    @property
    def levels(self) -> None:
        """Return nothing: there are no pyramid levels that ISUS could aim at."""
        return


@dataclass(frozen=True)
class PointLossConfig:
    """What a network of points learns, and how much each part of it weighs (the authors' code for Cityscapes)."""

    points: int = 6
    """Points of an image that are asked for masks, each in another instance; as many, of one instance, teach proposals.
    """
    least_area: int = 80
    """Visible pixels from which an instance is asked for masks."""
    alpha: float = 0.25
    """Weight of the pixels of the instance in the loss of its mask; the others have 1 - alpha."""
    semantic: float = 0.75
    """Weight of the loss of semantics."""


@dataclass(frozen=True)
class SelectionConfig:
    """From proposals and masks of points to instances (the authors' code for Cityscapes).

    Areas are pixels of the network's input.
    """

    mask_threshold: float = 0.4
    """Probability above which a pixel is of a mask."""
    overlap: float = 0.4
    """Share of a mask that is taken already from which it is dropped."""
    thing_threshold: float = 0.6
    """Probability of the most likely thing below which a pixel is no candidate."""
    limit: float = 0.35
    """Least value of a candidate: squared proposals, averaged."""
    eps: float = 0.003
    """Rise that stops a flood."""
    step: float = 0.025
    """Distance of the levels at which candidates are looked for."""
    blur: int = 5
    """Side of the square over which squared proposals are averaged, pixels."""
    most: int = 500
    """Candidates of an image that are looked at."""
    least_area: int = 10
    """Area below which a mask is dropped."""
    stuff_area: int = 0
    """Area below which a stuff category becomes void (the authors have no such limit)."""


@dataclass(frozen=True)
class PointConfig:
    """A network that asks for the mask of one point after the other (AdaptIS), and everything to train it again.

    Sofiiuk et al., "AdaptIS", ICCV 2019, arXiv 1909.07829; numbers of the authors' code for Cityscapes. By default the
    body is ResNeXt-101 32x4d: Table 1's row has a ResNeXt-101, of which that code holds none (assumed).
    """

    kind: Literal["points"] = "points"
    body: ResNetConfig = ResNetConfig(depths=(3, 4, 23, 3), groups=32, group_width=4, dilated=True)
    context: ContextConfig = ContextConfig(rates=(12, 24, 36), pooling=64)
    skip_channels: int = 32
    """Channels to which the features of stride 4 are reduced before they join the context."""
    semantic_channels: int = 192
    """Hidden channels of the head of semantics."""
    mask_channels: tuple[int, int, int] = (128, 64, 32)
    """Channels of the head of masks; the controller has as many as the first of them."""
    proposal_channels: int = 128
    """Hidden channels of the head of proposals."""
    radius: float = 280.0
    """Distance from a point at which relative coordinates end, pixels of the network's input."""
    loss: PointLossConfig = PointLossConfig()
    selection: SelectionConfig = SelectionConfig()
    sample: SampleConfig = CLASS_UNIFORM
    schedule: ScheduleConfig = ScheduleConfig()

    @property
    def levels(self) -> None:
        """Return nothing: there are no pyramid levels that ISUS could aim at."""
        return


Config = BoxConfig | CentreConfig | PointConfig
"""A network of any family, and everything that is needed to train it again: the union of their configurations.

`kind` tells them apart; a file without it is of the first.
"""


class ConfigError(ValueError):
    """A stored configuration that this version cannot read; it names the key, and what would be right."""


def to_json(config: Config) -> str:
    """Write a configuration as indented JSON, every value written out."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str) -> Config:
    """Read a configuration; a key that is absent takes its default, an absent `kind` the first kind.

    Raises:
        ConfigError: not JSON, an unknown key, or a value of the wrong type.
    """
    try:
        data = json.loads(text)
    except (RecursionError, ValueError) as error:  # nested too deeply; not JSON, or an integer of thousands of digits
        raise ConfigError(f"the configuration is not JSON: {error}") from error
    config: Config = _parse(Config, data, "")
    return config


def _parse(kind: Any, value: Any, key: str) -> Any:
    """Turn `value`, as JSON gives it, into an object of type `kind`; `key` is its dotted path, for messages."""
    origin, options = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(kind, value, key)
    if origin in (Union, types.UnionType):
        members = [member for member in options if member is not type(None)]
        if value is None and len(members) < len(options):
            return None
        return _parse(_member(members, value, key), value, key)
    if origin is tuple:
        count = None if options[-1] is ... else len(options)
        if not isinstance(value, list) or count not in (None, len(value)):
            raise _wrong(key, value, f"a list of {count}" if count else "a list")
        kinds = options if count else options[:1] * len(value)
        return tuple(_parse(k, v, f"{key}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is Literal:
        if value not in options:
            raise _wrong(key, value, f"one of {', '.join(map(repr, options))}")
        return value
    if kind is float and type(value) in (int, float):
        if not abs(value) <= sys.float_info.max:  # NaN compares as False
            raise _wrong(key, value, "a finite number")
        return float(value)
    if type(value) is not kind:
        raise _wrong(key, value, f"of type {kind.__name__}")
    return value


def _member(members: list[Any], value: Any, key: str) -> Any:
    """Return the member of a union that `kind` names: where it is absent, the first is meant."""
    if len(members) == 1 or not isinstance(value, dict) or "kind" not in value:
        return members[0]
    named = {member.kind: member for member in members}
    if value["kind"] not in list(named):
        raise _wrong(f"{key}.kind".lstrip("."), value["kind"], f"one of {', '.join(named)}")
    return named[value["kind"]]


def _wrong(key: str, value: Any, right: str) -> ConfigError:
    return ConfigError(f"{key or 'the configuration'} is {value!r}: must be {right}")


def _parse_dataclass(kind: Any, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(key, value, "an object")
    hints = get_type_hints(kind)
    unknown = [f"{key}.{name}".lstrip(".") for name in value if name not in hints]
    if unknown:
        raise ConfigError(f"unknown key {', '.join(unknown)}; {kind.__name__} has {', '.join(hints)}")
    return kind(**{name: _parse(hints[name], v, f"{key}.{name}".lstrip(".")) for name, v in value.items()})
