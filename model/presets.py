"""Presets of the data sets, and what the rows of the paper's Table 1 make of them; without torch.

Porzi et al., "Improving Panoptic Segmentation at All Scales", CVPR 2021, arXiv 2012.07717. Where the values come from
is said in `model.config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from model.config import (
    AdaptiveFusionConfig,
    AlignedConfig,
    BoxConfig,
    BranchConfig,
    CentreConfig,
    CentreLossConfig,
    ConcatenatedConfig,
    Config,
    ContextConfig,
    DeepLabConfig,
    EfficientNetConfig,
    FusionConfig,
    GroupingConfig,
    HRNetConfig,
    Levels,
    Matching,
    MiniDLConfig,
    PointConfig,
    PointLossConfig,
    PyramidConfig,
    ResNetConfig,
    ROIConfig,
    RPNConfig,
    SampleConfig,
    ScheduleConfig,
    SelectionConfig,
    TwoWayConfig,
    XceptionConfig,
)

System = Literal["ours", "seamless", "deeplab-x71", "deeplab-hr48", "efficientps", "tascnet", "adaptis"]
"""A network of Table 1: the paper's, that of the Seamless baseline, and those of other authors."""


@dataclass(frozen=True)
class Recipe:
    """How a system is trained on a data set."""

    network: Config
    """Its settings, trained on crops."""
    whole_shortest: int
    """s_0 without crops. Assumed for the paper's network, which says that CROP has almost double FULL's resolution."""
    whole_batch: int | None = None
    """Samples per step without crops. None: as many as crops."""


Preset = Mapping[System, Recipe]
"""Settings for one data set: a recipe for each system that it knows."""

MVD = BoxConfig(
    semantic=DeepLabConfig(padding="left_out"),
    sample=SampleConfig(isus="level_first", thing_scales=(0.5, 2.0)),
)

# For IDD and Cityscapes alike: the Seamless code's settings for Cityscapes.
CITYSCAPES = BoxConfig(
    pyramid=PyramidConfig(extra_levels=1),
    rpn=RPNConfig(anchor_scale=8.0, anchor_ratios=(0.5, 1.0, 2.0)),
    roi=ROIConfig(detections=100),
    semantic=DeepLabConfig(padding="left_out", pooling=16),
    sample=replace(MVD.sample, shortest=1024, crop=512, stuff_scales=(0.5, 2.0)),
    schedule=ScheduleConfig(steps=48_000, milestones=(36_000, 44_000)),
)
IDD = replace(
    CITYSCAPES,
    sample=replace(CITYSCAPES.sample, shortest=1080),
    schedule=ScheduleConfig(steps=74_000, milestones=(56_000, 68_000)),
)

_SMALL_HRNET = HRNetConfig(stem=24, bottleneck=16, bottlenecks=1, width=16, modules=(1, 1, 1), blocks=2)
_SMALL_DEEPLAB = DeepLabConfig(rates=(1, 2), channels=48, skip_channels=(32, 24, 16), pooling=4, hardest=1.0)
# Ours: the same network, small enough for two CPU cores. Scenes of 256x512 with objects of 4 to 290 pixels. From random
# weights and in few steps it learns little from the hardest pixels alone, and needs a higher learning rate.
STREETS = BoxConfig(
    body=_SMALL_HRNET,
    pyramid=PyramidConfig(channels=40, extra_levels=1),
    rpn=RPNConfig(
        channels=40,
        anchor_scale=2.5,
        positive_iou=0.5,  # at 0.7 most instances have one positive anchor, their best; at 0.5 two on average
        samples=128,
        train_candidates=300,
        train_proposals=150,
        test_candidates=1500,
        test_proposals=300,
    ),
    roi=ROIConfig(
        levels=Levels(canonical_size=64.0),
        box_samples=1,  # regions are at most 8 cells wide, but on the coarsest level
        box_channels=96,
        mask_channels=32,
        mask_convolutions=2,
        samples=64,
        detections=100,
    ),
    semantic=_SMALL_DEEPLAB,
    fusion=FusionConfig(stuff_area=64),
    sample=SampleConfig(shortest=256, crop=128),
    schedule=ScheduleConfig(steps=3000, learning_rate=0.08, milestones=(2200, 2800)),
)

# The same for the second version of the embedded data set, whose objects are as large in the image as in Mapillary
# Vistas: an image has 512x1024 pixels, so that s_0 leaves some detail to enlarge. 18 passes over the pixels of 300
# images, as Seamless' schedule makes over those of Mapillary Vistas.
STREETS_2 = replace(
    STREETS,
    roi=replace(STREETS.roi, levels=Levels(canonical_size=48.0)),
    semantic=replace(_SMALL_DEEPLAB, pooling=6, padding="left_out"),
    sample=SampleConfig(shortest=384, crop=192, isus="level_first", thing_scales=(2 / 3, 3.0)),
    schedule=ScheduleConfig(steps=5400, learning_rate=0.08, milestones=(4000, 5000), average=0.998),
)
# The same for a GPU: at the resolution that the images have, with the levels of Mapillary Vistas shrunk by 3.5.
STREETS_LARGE = replace(
    STREETS_2,
    roi=replace(STREETS.roi, levels=Levels(canonical_size=64.0)),
    semantic=replace(_SMALL_DEEPLAB, pooling=9, padding="left_out"),
    sample=replace(STREETS_2.sample, shortest=512, crop=288),
    schedule=replace(STREETS_2.schedule, batch=16, steps=12_000, milestones=(9000, 11_000)),
)
# Panoptic-DeepLab on HRNet-W48. Adam without weight decay or warm-up, polynomial decay, scale factors of 0.5 to 2 (from
# the first author's code). A longest side of 2177 pixels, crops of 1024 and the number of steps are known from the
# paper by memory; batch and learning rate for Mapillary Vistas are assumed, those of the code for Cityscapes.
MVD_HR48 = CentreConfig(
    sample=SampleConfig(sampling="cus", shortest=1633, stuff_scales=(0.5, 2.0)),
    schedule=ScheduleConfig(
        optimizer="adam", decay="poly", steps=150_000, learning_rate=5e-5, milestones=(), warmup=0, weight_decay=0.0
    ),
)
# Crops are squares here: 1024 of 1024x2048.
CITYSCAPES_HR48 = replace(
    MVD_HR48,
    grouping=GroupingConfig(stuff_area=2048),
    sample=replace(MVD_HR48.sample, shortest=1024),
    schedule=replace(MVD_HR48.schedule, steps=90_000),
)
# Nobody has published results on IDD: as for Cityscapes.
IDD_HR48 = replace(CITYSCAPES_HR48, sample=replace(CITYSCAPES_HR48.sample, shortest=1080))


# Panoptic-DeepLab on Xception-71, whose context is separable and sees stride 16. The learning rate is that of DeepLab2
# for a batch of 8.
def _with_xception(config: CentreConfig) -> CentreConfig:
    return replace(
        config,
        body=XceptionConfig(),
        context=ContextConfig(rates=(6, 12, 18), dilated="separable", pooling=64),
        semantic=BranchConfig(skip_channels=(64, 32)),
        instance=BranchConfig(channels=128, skip_channels=(32, 16), head_channels=32),
        schedule=replace(config.schedule, learning_rate=2.5e-4),
    )


# The same for two CPU cores. Lengths in pixels are a quarter of the paper's, as the images are, and offsets weigh four
# times as much; but a heat map of half the width, which from random weights is learned sooner than a quarter.
STREETS_HR48 = CentreConfig(
    body=_SMALL_HRNET,
    context=ContextConfig(rates=(1, 2), channels=48, pooling=4),
    semantic=BranchConfig(channels=48, skip_channels=(32, 24, 16), head_channels=48),
    instance=BranchConfig(channels=24, skip_channels=(16, 12, 8), head_channels=16),
    loss=CentreLossConfig(sigma=4.0, small_area=256, hardest=1.0, offset=0.04),
    grouping=GroupingConfig(stuff_area=64),
    sample=replace(STREETS.sample, sampling="cus"),
    schedule=ScheduleConfig(
        optimizer="adam", decay="poly", steps=3000, learning_rate=1e-3, milestones=(), warmup=0, weight_decay=0.0
    ),
)
_SMALL_XCEPTION = XceptionConfig(
    stem=(16, 32), entry=(32, 64, 64, 128, 128), middle=6, exit=((128, 192, 192), (256, 256, 320))
)
STREETS_X71 = replace(
    STREETS_HR48,
    body=_SMALL_XCEPTION,
    context=ContextConfig(rates=(1, 2, 3), channels=48, dilated="separable", pooling=8),
    semantic=BranchConfig(channels=48, skip_channels=(24, 16), head_channels=48),
    instance=BranchConfig(channels=24, skip_channels=(12, 8), head_channels=16),
)


def _enlarged(small: CentreConfig, ours: BoxConfig) -> CentreConfig:
    """Fit a small network of centers to larger images: lengths in pixels grow with s_0, pooling with the crop."""
    times = ours.sample.shortest / small.sample.shortest
    assert small.sample.crop is not None
    assert ours.sample.crop is not None
    loss = small.loss
    return replace(
        small,
        context=replace(small.context, pooling=small.context.pooling * ours.sample.crop // small.sample.crop),
        loss=replace(
            loss,
            sigma=loss.sigma * times,
            small_area=round(loss.small_area * times**2),
            offset=loss.offset / times,
        ),
        sample=replace(ours.sample, sampling="cus"),
        schedule=replace(
            small.schedule, batch=ours.schedule.batch, steps=ours.schedule.steps, average=ours.schedule.average
        ),
    )


_SMALL_RESNET = ResNetConfig(width=16, depths=(2, 2, 2, 2))
_SMALL_MINIDL = MiniDLConfig(channels=24, dilation=3, pooling=16, hardest=1.0)

# AdaptIS on crops of ours. Its authors trained on Cityscapes and smaller sets; what they took for Mapillary Vistas is
# not known. Poly decay and learning rate are theirs; they train the body at a tenth of it, which is not kept.
_ADAPTIS_MVD = PointConfig(
    context=ContextConfig(rates=(12, 24, 36), pooling=128),
    sample=MVD.sample,
    schedule=ScheduleConfig(decay="poly"),
)
_ADAPTIS_CITYSCAPES = PointConfig(
    sample=replace(CITYSCAPES.sample, stuff_scales=(0.85, 1.15)),
    schedule=ScheduleConfig(steps=93_000, decay="poly"),  # 250 epochs of 2975 images
)
_ADAPTIS_IDD = replace(
    _ADAPTIS_CITYSCAPES,
    sample=replace(IDD.sample, stuff_scales=(0.85, 1.15)),
    schedule=ScheduleConfig(steps=IDD.schedule.steps, decay="poly"),
)
# Thresholds are those of the authors' set of toy images, whose objects are as small; radius and areas are shrunk as
# images are, from the 1024 rows of Cityscapes.
_ADAPTIS_STREETS = PointConfig(
    body=ResNetConfig(width=12, depths=(2, 2, 2, 2), groups=4, group_width=3, dilated=True),
    context=ContextConfig(rates=(2, 4), channels=40, pooling=16),
    skip_channels=16,
    semantic_channels=40,
    mask_channels=(24, 12, 6),
    proposal_channels=24,
    radius=70,
    loss=PointLossConfig(least_area=16, alpha=0.5),
    selection=SelectionConfig(
        mask_threshold=0.5, overlap=0.5, thing_threshold=0.3, limit=0.1, blur=3, least_area=4, stuff_area=64
    ),
    sample=STREETS.sample,
    schedule=STREETS.schedule,
)
_ADAPTIS_STREETS_2 = replace(
    _ADAPTIS_STREETS,
    context=replace(_ADAPTIS_STREETS.context, rates=(3, 6), pooling=24),
    radius=105,
    loss=replace(_ADAPTIS_STREETS.loss, least_area=36),
    selection=replace(_ADAPTIS_STREETS.selection, least_area=9),
    sample=STREETS_2.sample,
    schedule=STREETS_2.schedule,
)
_ADAPTIS_STREETS_LARGE = replace(
    _ADAPTIS_STREETS_2,
    context=replace(_ADAPTIS_STREETS.context, rates=(4, 8), pooling=36),
    radius=140,
    loss=replace(_ADAPTIS_STREETS.loss, least_area=64),
    selection=replace(_ADAPTIS_STREETS.selection, least_area=16),
    sample=STREETS_LARGE.sample,
    schedule=STREETS_LARGE.schedule,
)

# EfficientPS (Mohan and Valada, IJCV 2021, arXiv 2004.02307): the paper's parts; learning rate, scales and thresholds
# of its authors' code; batch and steps as reported, not checked again. Their crops are as large as images of 1024x2048
# (IDD: 720x1280), ours are square. The paper's region proposal head is separable, the code's is not: so is this one,
# because the count of parameters is then nearest to the reported 40.89 million.
EFFICIENTPS = BoxConfig(
    body=EfficientNetConfig(),
    pyramid=TwoWayConfig(),
    rpn=RPNConfig(anchor_scale=8.0, anchor_ratios=(0.5, 1.0, 2.0)),
    roi=ROIConfig(separable_masks=True, detections=100),
    semantic=AlignedConfig(padding="left_out"),
    fusion=AdaptiveFusionConfig(),
    sample=replace(MVD.sample, shortest=1024, stuff_scales=(0.5, 2.0)),
    schedule=ScheduleConfig(batch=16, steps=192_000, learning_rate=0.07, milestones=(144_000, 176_000)),
)


def _small_efficientps(ours: BoxConfig) -> BoxConfig:
    """Give our small network EfficientPS' parts; anchors stay, and the coarsest level, which the original lacks."""
    return replace(
        ours,
        body=EfficientNetConfig(stem=16, widths=(12, 16, 24, 40, 56, 96, 128), depths=(1, 2, 2, 2, 2, 2, 1), head=256),
        pyramid=TwoWayConfig(channels=ours.pyramid.channels, extra_levels=ours.pyramid.extra_levels),
        roi=replace(ours.roi, separable_masks=True),
        semantic=AlignedConfig(  # a crop has 8x8 cells at stride 16: the paper's dilations would see padding alone
            channels=24,
            dilations=((1, 2), (1, 1), (2, 5), (4, 4), (2, 1)),
            hardest=ours.semantic.hardest,
            padding=ours.semantic.padding,
        ),
        fusion=AdaptiveFusionConfig(stuff_area=ours.fusion.stuff_area),
    )


def _tascnet(seamless: BoxConfig, channels: int = 128) -> BoxConfig:
    """Turn Seamless' network into TASCNet (Li et al., 2018, arXiv 1812.01192): a reconstruction, as no code exists.

    From the abstract and others' summaries: ResNet-50, two levels beyond a pyramid's four, a semantic head whose levels
    are concatenated, a loss of consistency, fusion guided by it. All else is as in Seamless: our choice.
    """
    return replace(
        seamless,
        pyramid=PyramidConfig(channels=seamless.pyramid.channels, extra_levels=2),
        semantic=ConcatenatedConfig(
            channels=channels, hardest=seamless.semantic.hardest, padding=seamless.semantic.padding
        ),
        fusion=FusionConfig(stuff_area=seamless.fusion.stuff_area, guided=True),
        consistency=1.0,
    )


_SEAMLESS_MVD = replace(
    MVD, body=ResNetConfig(), semantic=MiniDLConfig(padding="left_out"), sample=replace(MVD.sample, longest=2304)
)
_SEAMLESS_IDD, _SEAMLESS_CITYSCAPES = (
    replace(ours, body=ResNetConfig(), semantic=MiniDLConfig(padding="left_out")) for ours in (IDD, CITYSCAPES)
)
_SEAMLESS_STREETS = replace(STREETS, body=_SMALL_RESNET, semantic=_SMALL_MINIDL)
_SEAMLESS_STREETS_2, _SEAMLESS_STREETS_LARGE = (
    replace(ours, body=_SMALL_RESNET, semantic=replace(_SMALL_MINIDL, pooling=pooling, padding="left_out"))
    for ours, pooling in ((STREETS_2, 24), (STREETS_LARGE, 36))
)

PRESETS: dict[str, Preset] = {
    "mvd": {
        "ours": Recipe(MVD, whole_shortest=1024),
        "seamless": Recipe(_SEAMLESS_MVD, whole_shortest=1920),  # what Seamless itself trains on
        "efficientps": Recipe(EFFICIENTPS, whole_shortest=512),
        "tascnet": Recipe(_tascnet(_SEAMLESS_MVD), whole_shortest=1920),
        "deeplab-hr48": Recipe(MVD_HR48, whole_shortest=1024),
        "deeplab-x71": Recipe(_with_xception(MVD_HR48), whole_shortest=1024),
        "adaptis": Recipe(_ADAPTIS_MVD, whole_shortest=1024),
    },
    "idd": {
        "ours": Recipe(IDD, whole_shortest=576),
        "seamless": Recipe(_SEAMLESS_IDD, whole_shortest=1080),
        "efficientps": Recipe(
            replace(
                EFFICIENTPS,
                sample=replace(EFFICIENTPS.sample, shortest=720, crop=720),
                schedule=replace(EFFICIENTPS.schedule, steps=144_000, milestones=(108_000, 130_000)),
            ),
            whole_shortest=360,
        ),
        "tascnet": Recipe(_tascnet(_SEAMLESS_IDD), whole_shortest=1080),
        "deeplab-hr48": Recipe(IDD_HR48, whole_shortest=576),
        "deeplab-x71": Recipe(_with_xception(IDD_HR48), whole_shortest=576),
        "adaptis": Recipe(_ADAPTIS_IDD, whole_shortest=576),
    },
    "cityscapes": {
        "ours": Recipe(CITYSCAPES, whole_shortest=544),
        "seamless": Recipe(_SEAMLESS_CITYSCAPES, whole_shortest=1024),
        "efficientps": Recipe(
            replace(EFFICIENTPS, schedule=replace(EFFICIENTPS.schedule, steps=50_000, milestones=(32_000, 44_000))),
            whole_shortest=512,
        ),
        "tascnet": Recipe(_tascnet(_SEAMLESS_CITYSCAPES), whole_shortest=1024),
        "deeplab-hr48": Recipe(CITYSCAPES_HR48, whole_shortest=544),
        "deeplab-x71": Recipe(_with_xception(CITYSCAPES_HR48), whole_shortest=544),
        "adaptis": Recipe(_ADAPTIS_CITYSCAPES, whole_shortest=544),
    },
    "streets": {
        "ours": Recipe(STREETS, whole_shortest=128),
        "seamless": Recipe(_SEAMLESS_STREETS, whole_shortest=128),  # as FULL: steps of all should cost about the same
        "efficientps": Recipe(_small_efficientps(STREETS), whole_shortest=128),
        "tascnet": Recipe(_tascnet(_SEAMLESS_STREETS, channels=24), whole_shortest=128),
        "deeplab-hr48": Recipe(STREETS_HR48, whole_shortest=128),
        "deeplab-x71": Recipe(STREETS_X71, whole_shortest=128),
        "adaptis": Recipe(_ADAPTIS_STREETS, whole_shortest=128),
    },
    # Without crops, a batch of 5 images at half the resolution has 1.25 times as many pixels as one of 8 crops (on
    # Mapillary Vistas the paper's has some 1.3 times as many), and makes 90 passes (85).
    "streets-2": {
        "ours": Recipe(STREETS_2, whole_shortest=192, whole_batch=5),
        "seamless": Recipe(_SEAMLESS_STREETS_2, whole_shortest=192, whole_batch=5),
        "efficientps": Recipe(_small_efficientps(STREETS_2), whole_shortest=192, whole_batch=5),
        "tascnet": Recipe(_tascnet(_SEAMLESS_STREETS_2, channels=24), whole_shortest=192, whole_batch=5),
        "deeplab-hr48": Recipe(_enlarged(STREETS_HR48, STREETS_2), whole_shortest=192, whole_batch=5),
        "deeplab-x71": Recipe(_enlarged(STREETS_X71, STREETS_2), whole_shortest=192, whole_batch=5),
        "adaptis": Recipe(_ADAPTIS_STREETS_2, whole_shortest=192, whole_batch=5),
    },
    "streets-large": {
        "ours": Recipe(STREETS_LARGE, whole_shortest=256, whole_batch=13),
        "seamless": Recipe(_SEAMLESS_STREETS_LARGE, whole_shortest=256, whole_batch=13),
        "efficientps": Recipe(_small_efficientps(STREETS_LARGE), whole_shortest=256, whole_batch=13),
        "tascnet": Recipe(_tascnet(_SEAMLESS_STREETS_LARGE, channels=24), whole_shortest=256, whole_batch=13),
        "deeplab-hr48": Recipe(_enlarged(STREETS_HR48, STREETS_LARGE), whole_shortest=256, whole_batch=13),
        "deeplab-x71": Recipe(_enlarged(STREETS_X71, STREETS_LARGE), whole_shortest=256, whole_batch=13),
        "adaptis": Recipe(_ADAPTIS_STREETS_LARGE, whole_shortest=256, whole_batch=13),
    },
}


@dataclass(frozen=True)
class Method:
    """A network, and the parts of the paper that a training run switches on: what the rows of Table 1 differ in."""

    crops: bool = True
    """Train on crops at full resolution; without it, on whole images at reduced resolution (FULL)."""
    cabb: bool = False
    """Use the crop-aware box loss (CABB, Sec. 2.3) instead of the standard one (Eq. 1)."""
    isus: bool = False
    """Draw crops by instance scale-uniform sampling (ISUS, Sec. 2.1) instead of class-uniform sampling (CUS)."""
    clipped: bool = False
    """Clip an anchor to the crop on an instance's open sides before it is matched (ours, not the paper's)."""
    closed: bool = False
    """Learn no offsets to centers from instances that the crop cuts (Panoptic-DeepLab alone; ours, not the paper's)."""
    system: System = "ours"
    """Network to train: the paper's, that of the Seamless baseline, or another row of Table 1."""


SWITCHES = ("crop", "cabb", "isus", "clipped", "closed")
"""Parts of a variant's name that mean crops."""
OTHERS: tuple[System, ...] = get_args(System)[1:]
"""Systems that are named in variants; the paper's own is meant where none is."""
WHOLE = ("full", "seamless", "tascnet")
"""Names that mean whole images where they stand alone; all other systems train on crops (column C of Table 1)."""


def method_named(name: str) -> Method:
    """Return the method that a variant is named after: its parts, joined by + in any order.

    A name with crop, cabb, isus, clipped or closed means crops. Alone, "full", "seamless" and "tascnet" mean whole
    images, and the other systems crops.

    Raises:
        ValueError: a part is unknown or named twice, there are two systems, or "full" is not alone.

    >>> method_named("seamless+cabb+isus") == Method(system="seamless", cabb=True, isus=True)
    True
    >>> method_named("tascnet").crops, method_named("efficientps").crops
    (False, True)
    """
    parts = name.split("+")
    systems = [system for system in OTHERS if system in parts]
    known = {*parts} <= {*SWITCHES, *OTHERS} and len({*parts}) == len(parts) and len(systems) < 2
    if parts != ["full"] and not known:
        raise ValueError(
            f"no variant {name!r}: expected full, or some of {', '.join(SWITCHES)} and one of {', '.join(OTHERS)} "
            "joined by +"
        )
    switched = {switch: switch in parts for switch in SWITCHES if switch != "crop"}
    return Method(crops=name not in WHOLE, system=systems[0] if systems else "ours", **switched)


def configure(preset: str, method: Method = Method()) -> Config:
    """Return the settings of a method on a data set.

    Raises:
        ValueError: there is no such preset, or it does not know the system; CABB or clipped matching for a network
            without boxes, ISUS for one without pyramid levels, or closed for one without centers.

    >>> configure("mvd", Method(crops=False)).sample.crop is None
    True
    """
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r}: choose from {', '.join(PRESETS)}")
    if method.system not in PRESETS[preset]:
        raise ValueError(f"preset {preset} has no {method.system}: choose from {', '.join(PRESETS[preset])}")
    recipe = PRESETS[preset][method.system]
    config, schedule = recipe.network, recipe.network.schedule
    sample = replace(config.sample, sampling="isus" if method.isus else "cus")
    if not method.crops:
        sample = replace(sample, crop=None, shortest=recipe.whole_shortest)
        schedule = replace(schedule, batch=recipe.whole_batch or schedule.batch)
    if method.closed and not isinstance(config, CentreConfig):
        raise ValueError(f"{method.system} has no offsets to centers: expected no closed with it")
    if isinstance(config, BoxConfig):
        loss: Literal["standard", "crop_aware"] = "crop_aware" if method.cabb else "standard"
        matching: Matching = "clipped" if method.clipped else "visible"
        return replace(config, sample=sample, schedule=schedule, box_loss=loss, matching=matching)
    if method.cabb or method.clipped:
        raise ValueError(f"{method.system} finds no boxes: expected no cabb and no clipped with it")
    if method.isus and config.levels is None:
        raise ValueError(f"{method.system} has no pyramid levels: expected no isus with it")
    if method.closed and isinstance(config, CentreConfig):
        config = replace(config, loss=replace(config.loss, open_offsets="left_out"))
    return replace(config, sample=sample, schedule=schedule)
