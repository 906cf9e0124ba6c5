"""Networks small enough for tests, and images of colored rectangles that they can learn."""

from dataclasses import replace

import torch
from boxes_on_canvas import targets_of

from model.config import (
    AdaptiveFusionConfig,
    AlignedConfig,
    BranchConfig,
    CentreConfig,
    CentreLossConfig,
    ConcatenatedConfig,
    ContextConfig,
    DeepLabConfig,
    EfficientNetConfig,
    FusionConfig,
    GroupingConfig,
    HRNetConfig,
    MiniDLConfig,
    PointConfig,
    PointLossConfig,
    PyramidConfig,
    ResNetConfig,
    ScheduleConfig,
    SelectionConfig,
    TwoWayConfig,
)
from model.presets import STREETS

GROUND, SKY, BOX, POLE = range(4)
ISTHING = [False, False, True, True]

TINY = replace(
    STREETS,
    body=HRNetConfig(stem=8, bottleneck=4, bottlenecks=1, width=8, modules=(1, 1, 1), blocks=1),
    pyramid=PyramidConfig(channels=16, extra_levels=1),
    rpn=replace(STREETS.rpn, channels=16, samples=64, train_candidates=100, train_proposals=50),
    roi=replace(STREETS.roi, box_channels=32, mask_channels=16, mask_convolutions=1, samples=32),
    semantic=DeepLabConfig(rates=(1, 2), channels=16, skip_channels=(8, 8, 8), pooling=2),
    sample=replace(STREETS.sample, shortest=64, crop=64),
    schedule=replace(STREETS.schedule, learning_rate=0.02),
)
TINY_SEAMLESS = replace(
    TINY, body=ResNetConfig(width=4, depths=(1, 1, 1, 1)), semantic=MiniDLConfig(channels=8, dilation=2, pooling=8)
)
TINY_EFFICIENTPS = replace(
    TINY,
    body=EfficientNetConfig(stem=8, widths=(4, 6, 8, 10, 12, 16, 20), depths=(1, 1, 1, 1, 1, 1, 1), head=32),
    pyramid=TwoWayConfig(channels=16, extra_levels=1),
    rpn=replace(TINY.rpn, separable=True),
    roi=replace(TINY.roi, separable_masks=True),
    semantic=AlignedConfig(channels=8, dilations=((1, 2), (1, 1), (2, 3), (3, 2), (2, 1)), hardest=1.0),
    fusion=AdaptiveFusionConfig(stuff_area=64),
)
TINY_TASCNET = replace(
    TINY_SEAMLESS,
    semantic=ConcatenatedConfig(channels=8, hardest=1.0),
    fusion=FusionConfig(stuff_area=64, guided=True),
    consistency=1.0,
)
BOX_NETWORKS = {"ours": TINY, "seamless": TINY_SEAMLESS, "efficientps": TINY_EFFICIENTPS, "tascnet": TINY_TASCNET}
TINY_POINTS = PointConfig(
    body=ResNetConfig(width=8, depths=(1, 1, 1, 1), groups=2, group_width=4, dilated=True),
    context=ContextConfig(rates=(2, 4), channels=24, pooling=8),
    skip_channels=8,
    semantic_channels=16,
    mask_channels=(16, 8, 4),
    proposal_channels=16,
    radius=32,
    loss=PointLossConfig(least_area=16, alpha=0.5),
    selection=SelectionConfig(mask_threshold=0.5, overlap=0.5, thing_threshold=0.3, limit=0.1, blur=3, least_area=4),
    sample=replace(TINY.sample, sampling="cus"),
    schedule=TINY.schedule,
)

TINY_CENTRES = CentreConfig(
    body=TINY.body,
    context=ContextConfig(rates=(1, 2), channels=16, pooling=2),
    semantic=BranchConfig(channels=16, skip_channels=(8, 8, 8), head_channels=16),
    instance=BranchConfig(channels=16, skip_channels=(8, 8, 8), head_channels=16),
    loss=CentreLossConfig(sigma=3.0, small_area=80, hardest=1.0, heat=50.0, offset=0.3),
    grouping=GroupingConfig(stuff_area=16),
    sample=replace(TINY.sample, sampling="cus"),
    schedule=ScheduleConfig(optimizer="adam", decay="poly", learning_rate=0.03, weight_decay=0.0),
)

FAMILIES = {
    "boxes": TINY,
    "efficientps": TINY_EFFICIENTPS,
    "tascnet": TINY_TASCNET,
    "centres": TINY_CENTRES,
    "points": TINY_POINTS,
}
"""A configuration of each family, and of systems with parts of their own, for what holds for all of them."""


def rectangles(seed, size=(64, 64), count=3):
    """An image of ground below sky, with boxes and poles in front, and its targets; no object hides another wholly."""
    generator = torch.Generator().manual_seed(seed)

    def integer(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    height, width = size
    image = torch.zeros((3, height, width), dtype=torch.uint8)
    image[1] = 90
    image[:, : height // 2] = torch.tensor([60, 120, 220], dtype=torch.uint8)[:, None, None]
    boxes, categories = [], []
    while len(boxes) < count:
        category = BOX if integer(0, 3) else POLE
        w, h = (integer(10, 28), integer(8, 20)) if category == BOX else (integer(4, 6), integer(16, 30))
        x0, y0 = integer(0, width - w), integer(0, height - h)
        apart = all(x0 > b[2] or b[0] > x0 + w or y0 > b[3] or b[1] > y0 + h for b in boxes)
        if not apart:
            continue
        boxes.append((x0, y0, x0 + w, y0 + h))
        categories.append(category)
        color = (200 + integer(0, 50), 30, 30) if category == BOX else (230, 230, 40 + integer(0, 50))
        image[:, y0 : y0 + h, x0 : x0 + w] = torch.tensor(color, dtype=torch.uint8)[:, None, None]
    targets = targets_of(boxes, categories, size)
    sky = torch.zeros(size, dtype=torch.bool)
    sky[: height // 2] = True
    targets.semantic[sky & (targets.instances < 0)] = SKY
    noise = torch.randint(0, 20, image.shape, generator=generator, dtype=torch.uint8)
    return (image.int() + noise.int()).clamp(max=255).to(torch.uint8), targets


def batch(seeds, **options):
    """Images, targets and generators, as the network takes them."""
    images, targets = zip(*[rectangles(seed, **options) for seed in seeds], strict=True)
    return torch.stack(images), list(targets), [torch.Generator().manual_seed(seed) for seed in seeds]
