import hashlib
from dataclasses import replace

import pytest
import torch

from model.body.efficientnet import DepthwiseSeparable, EfficientNet, InvertedResidual
from model.body.hrnet import HRNet
from model.body.resnet import ResNet
from model.body.xception import Module, Xception
from model.config import EfficientNetConfig, HRNetConfig, ResNetConfig, XceptionConfig

SMALL = {
    HRNet: HRNetConfig(stem=6, bottleneck=2, bottlenecks=2, width=3, modules=(1, 2, 1), blocks=1),
    ResNet: ResNetConfig(width=4, depths=(1, 2, 1, 1)),
    EfficientNet: EfficientNetConfig(stem=4, widths=(4, 5, 6, 7, 7, 8, 9), depths=(2, 1, 2, 1, 1, 1, 1), head=10),
}
DILATED = replace(SMALL[ResNet], groups=2, group_width=3, dilated=True)
RESNEXT_101 = ResNetConfig(depths=(3, 4, 23, 3), groups=32, group_width=4)


def parameters(body):
    return sum(p.numel() for p in body.parameters())


def test_parameter_counts_are_the_published_ones():
    assert parameters(HRNet(HRNetConfig())) == 65_325_120  # timm's hrnet_w48 as features, without increase modules
    classifier = 2048 * 1000 + 1000
    assert parameters(ResNet(ResNetConfig())) + classifier == 25_557_032
    with torch.device("meta"):
        assert parameters(ResNet(RESNEXT_101)) == 42_128_704
        assert parameters(ResNet(replace(RESNEXT_101, group_width=None, groups=64))) < 42_128_704
        assert parameters(ResNet(replace(RESNEXT_101, groups=64))) == 81_406_272
        assert parameters(ResNet(ResNetConfig(deep_stem=True))) == 23_631_808
        assert parameters(ResNet(ResNetConfig(depths=(3, 4, 23, 3), deep_stem=True))) == 42_623_936
        efficient = EfficientNet(EfficientNetConfig())
    blocks = [block for stage in efficient.blocks for block in stage]
    middle = [(block.conv_dw.weight.shape[0], block.conv_dw.weight.shape[0] // 24) for block in blocks[4:]]
    middle += [(48, 12), *[(24, 6)] * 2, (144, 6)]  # the first stage, and the block that sees its 24 channels
    squeeze = sum(2 * wide * narrow + narrow + wide for wide, narrow in middle)
    assert parameters(efficient) + squeeze == 28_340_784  # timm's tf_efficientnet_b5 without its classifier


@pytest.mark.parametrize(
    ("body", "config", "digest"),
    [
        (HRNet, HRNetConfig(), "a15582e4b1c873d8"),
        (HRNet, HRNetConfig(bottleneck=32, bottlenecks=1, width=16, modules=(1, 1, 1), blocks=2), "3dc8980516c8b07d"),
        (ResNet, ResNetConfig(), "c1f7fd3808aa49e7"),
        (EfficientNet, EfficientNetConfig(), "a5536ea609e548e4"),
        (ResNet, replace(RESNEXT_101, dilated=True), "b569848e061b789d"),
        (ResNet, ResNetConfig(deep_stem=True), "6105ecc04e77a667"),
    ],
    ids=[
        "hrnet_w48",
        "hrnet_w18_small",
        "resnet50",
        "tf_efficientnet_b5 without se",
        "resnext101_32x4d",
        "resnet50s",
    ],
)
def test_names_and_shapes_are_those_of_timm(body, config, digest):
    """Digests of timm 1.0's state dicts without their heads, so that its files (and the official ones) load."""
    with torch.device("meta"):
        state = body(config).state_dict()
    lines = sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest().startswith(digest)


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
@pytest.mark.parametrize("body", SMALL)
def test_features_have_strides_4_to_32_and_reach_every_parameter(body, size):
    network = body(SMALL[body])
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0), requires_grad=True)
    features = network(images)
    assert [tuple(x.shape[2:]) for x in features] == [(-(-size[0] // s), -(-size[1] // s)) for s in (4, 8, 16, 32)]
    assert tuple(x.shape[1] for x in features) == network.channels
    sum(x.square().sum() for x in features).backward()
    assert images.grad.abs().sum() > 0
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def test_branches_exchange_what_they_found():
    """The coarsest pixel of the input's far corner reaches the finest features of the near one."""
    network = HRNet(SMALL[HRNet]).eval()
    images = torch.zeros(1, 3, 128, 128)
    marked = images.clone()
    marked[..., -8:, -8:] = 10
    with torch.no_grad():
        change = [(a - b).abs() for a, b in zip(network(images), network(marked), strict=True)]
    for finest in change:
        assert finest.sum() > 0
    assert change[0][..., 16, 16].sum() > 0  # 64 pixels away: only coarse branches see that far


@pytest.mark.parametrize("block", [DepthwiseSeparable, InvertedResidual])
@pytest.mark.parametrize(("outputs", "stride", "shortcut"), [(4, 1, True), (5, 1, False), (4, 2, False)])
def test_a_block_of_efficientnet_adds_what_it_saw_where_shapes_agree(block, outputs, stride, shortcut):
    network = block(4, outputs, 5, stride).eval()
    last = network.conv_pw if block is DepthwiseSeparable else network.conv_pwl
    torch.nn.init.zeros_(last.weight)
    x = torch.randn(2, 4, 7, 9, generator=torch.Generator().manual_seed(0))
    expected = x if shortcut else torch.zeros(2, outputs, -(-7 // stride), -(-9 // stride))
    assert torch.equal(network(x), expected)  # negative values, too: nothing is activated after the sum


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_a_dilated_body_stays_at_stride_8_and_reaches_every_parameter(size):
    network = ResNet(DILATED)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    features = network(images)
    assert [tuple(x.shape[2:]) for x in features] == [(-(-size[0] // s), -(-size[1] // s)) for s in (4, 8, 8, 8)]
    assert network.coarsest_stride == 8
    sum(x.square().sum() for x in features).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def reached(module, channels, size=33):
    """Offsets of the input cells that reach the middle cell of a module's output, along a row and a column."""
    x = torch.zeros(1, channels, size, size, requires_grad=True)
    module.eval()(x)[0, :, size // 2, size // 2].sum().backward()
    rows, columns = (x.grad[0].abs().sum(0).sum(dim).nonzero()[:, 0] - size // 2 for dim in (1, 0))
    return rows.tolist(), columns.tolist()


def test_the_3x3_of_a_dilated_stage_see_as_far_as_the_paper_says():
    """Stage 3: dilation 1, then 2; stage 4: dilation 2, then 4 (Chen et al., arXiv 1706.05587, by halves at first)."""
    network = ResNet(replace(DILATED, depths=(1, 2, 2, 2)))
    for stage, block, dilation in ((2, 1, 1), (3, 0, 1), (3, 1, 2), (4, 0, 2), (4, 1, 4)):
        conv = network.get_submodule(f"layer{stage}.{block}.conv2")
        assert reached(conv, conv.in_channels) == ([-dilation, 0, dilation],) * 2, (stage, block)


XCEPTION = XceptionConfig(stem=(4, 5), entry=(6, 7, 7, 8, 8), middle=2, exit=((8, 9, 9), (10, 10, 11)))


def test_xception_has_the_published_sizes_and_the_names_of_timm():
    """Timm's xception65 and xception71 hold, beside the body, a classifier of 2048 channels and 1000 categories."""
    with torch.device("meta"):
        large = Xception(XceptionConfig())
        small = Xception(XceptionConfig(entry=(128, 256, 728), strides=(2, 2, 2)))
    assert (parameters(large), parameters(small)) == (40_289_736, 37_867_312)
    names = large.state_dict()
    for name in ("stem.1.bn.weight", "blocks.0.shortcut.conv.weight", "blocks.22.stack.conv3.bn_pw.running_var"):
        assert name in names
    assert not [name for name in names if name.startswith(("blocks.5.shortcut", "blocks.22.shortcut", "blocks.23"))]


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_xceptions_features_have_strides_4_to_16_and_reach_every_parameter(size):
    network = Xception(XCEPTION)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0), requires_grad=True)
    features = network(images)
    assert [tuple(x.shape[2:]) for x in features] == [(-(-size[0] // s), -(-size[1] // s)) for s in (4, 8, 16)]
    assert tuple(x.shape[1] for x in features) == network.channels == (7, 8, 11)
    sum(x.square().sum() for x in features).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def test_the_last_module_of_xception_sees_exactly_these_cells():
    """Three convolutions with dilation 2: every second cell, up to 6 away."""
    last = Xception(XCEPTION).blocks[-1].eval()
    for module in last.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.ones_(module.weight)
    x = torch.zeros(1, 9, 21, 21, requires_grad=True)
    (gradient,) = torch.autograd.grad(last(x)[0][0, 0, 10, 10], x)
    reached = {(y - 10, x - 10) for y, x in gradient[0, 0].nonzero().tolist()}
    assert reached == {(y, x) for y in range(-6, 7, 2) for x in range(-6, 7, 2)}


@pytest.mark.parametrize("shortcut", ["conv", "sum", "none"])
def test_nothing_is_activated_after_the_sum_of_a_module_of_xception(shortcut):
    module = Module(4, (4, 4, 4), shortcut=shortcut).eval()
    torch.nn.init.zeros_(module.stack["conv3"].conv_pw.weight)
    x = torch.randn(2, 4, 7, 9, generator=torch.Generator().manual_seed(0))
    expected = {"conv": module.shortcut and module.shortcut(x), "sum": x, "none": torch.zeros_like(x)}
    assert torch.equal(module(x)[0], expected[shortcut])


@pytest.mark.parametrize(("shortcut", "activations"), [("sum", 3), ("none", 6)])
def test_convolutions_of_xception_activate_what_they_see_or_where_there_is_no_shortcut_after_both_norms(
    shortcut, activations
):
    module = Module(1, (1, 1, 1), shortcut=shortcut).eval()
    for convolution in module.modules():
        if isinstance(convolution, torch.nn.Conv2d):
            torch.nn.init.dirac_(convolution.weight)
    x = torch.full((1, 1, 5, 5), -1.0, dtype=torch.float64)
    y, _ = module.double()(x)
    assert (y - x if shortcut == "sum" else y)[0, 0, 2, 2].item() == pytest.approx(-(0.01**activations), rel=0.01)
