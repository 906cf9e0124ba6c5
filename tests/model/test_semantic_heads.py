import pytest
import torch

from model.config import AlignedConfig, ConcatenatedConfig, DeepLabConfig, MiniDLConfig
from model.semantic_heads import Aligned, Concatenated, DeepLab, DensePrediction, MiniDL, local_average

CHANNELS = (3, 4, 5, 6)
ON_PYRAMIDS = {
    "minidl": (MiniDL, MiniDLConfig(channels=4, dilation=2, pooling=8)),
    "aligned": (Aligned, AlignedConfig(channels=4)),
    "concatenated": (Concatenated, ConcatenatedConfig(channels=4)),
}


def pyramid(channels, size=(64, 96)):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, c, size[0] // s, size[1] // s, generator=generator).requires_grad_()
        for c, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("kind", ["deeplab", *ON_PYRAMIDS])
def test_logits_are_at_the_finest_resolution_and_use_everything(kind):
    if kind == "deeplab":
        features = pyramid(CHANNELS)
        head = DeepLab(CHANNELS, 7, DeepLabConfig(rates=(1, 2), channels=8, skip_channels=(4, 3, 2), pooling=2))
    else:
        features = pyramid((6, 6, 6, 6))
        network, config = ON_PYRAMIDS[kind]
        head = network(6, 7, config)
    logits = head(features)
    assert logits.shape == (2, 7, 16, 24)
    logits.square().sum().backward()
    assert all(p.grad.any() for p in head.parameters())
    assert all(x.grad.any() for x in features)


@pytest.mark.parametrize("pooling", [1, 8])
def test_pooling_brings_context_from_as_far_as_its_window(pooling):
    """All else sees at most three cells of stride 32 far; the marked corner is seven away."""
    config = DeepLabConfig(rates=(1,), channels=8, skip_channels=(4, 3, 2), pooling=pooling)
    head = DeepLab(CHANNELS, 7, config).eval()
    features = pyramid(CHANNELS, size=(256, 256))
    with torch.no_grad():
        before = head(features)
        features[3][..., 0, 0] += 100
        change = (head(features) - before).abs()
    assert change[..., 0, 0].sum() > 0
    assert bool(change[..., -1, -1].sum() > 0) == (pooling == 8)


@pytest.mark.parametrize("kind", ON_PYRAMIDS)
def test_levels_beyond_the_fourth_are_not_looked_at(kind):
    network, config = ON_PYRAMIDS[kind]
    head = network(6, 7, config).eval()
    levels = pyramid((6, 6, 6, 6))
    assert torch.equal(head([*levels, torch.randn(2, 6, 1, 1)]), head(levels))


def test_local_average_on_a_line():
    x = torch.tensor([1.0, 2, 3, 4, 5, 6]).view(1, 1, 1, 6)
    assert local_average(x, 3).flatten().tolist() == [2, 2, 3, 4, 5, 5]
    assert local_average(x, 4).flatten().tolist() == [2.5, 2.5, 3.5, 4.5, 4.5, 4.5]
    assert local_average(x, 6).flatten().tolist() == [3.5] * 6
    assert local_average(x, 60).flatten().tolist() == [3.5] * 6


def test_a_window_inside_a_large_image_sees_what_a_crop_saw():
    crop = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    image = torch.nn.functional.pad(crop, (8, 8, 8, 8), value=100)
    center = local_average(image, 8)[..., 8 + 3, 8 + 3]
    torch.testing.assert_close(center, crop.mean((2, 3)))


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (
            "aligned",
            [[0], [0, 1], [0, 1, 2], [0, 1, 3]],
        ),  # context goes down, corrected; neither to its neighbor nor up
        ("concatenated", [[0], [1], [2], [3]]),
    ],
)
def test_each_level_reaches_the_parts_of_the_classifier_that_it_should(kind, seen):
    network, config = ON_PYRAMIDS[kind]
    head = network(6, 7, config).eval()
    parts = []
    head.logits.register_forward_pre_hook(lambda _, inputs: parts.append(inputs[0].detach().split(config.channels, 1)))
    levels = pyramid((6, 6, 6, 6))
    with torch.no_grad():
        head(levels)
        for i in range(4):
            head([x + 1 if i == j else x for j, x in enumerate(levels)])
    before, *after = parts
    assert [[k for k in range(4) if not torch.equal(before[k], row[k])] for row in after] == seen


def test_context_of_efficientps_comes_from_exactly_these_cells():
    """Of each branch: sums of the offsets of the convolutions that lead to it."""
    dilations = AlignedConfig().dilations
    cell = DensePrediction(1, 1, dilations).eval()
    cell.project = torch.nn.Identity()  # the five branches, side by side
    for branch in cell.branches:
        torch.nn.init.ones_(branch[0].weight)
        torch.nn.init.ones_(branch[2].weight)
    x = torch.zeros(1, 1, 81, 81, requires_grad=True)
    out = cell(x)[0, :, 40, 40]
    for value, chain in zip(out, [(0,), (0, 1), (0, 2), (0, 3), (0, 3, 4)], strict=True):
        expected = {(0, 0)}
        for rows, columns in (dilations[i] for i in chain):
            steps = [(rows * i, columns * j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            expected = {(y + dy, x + dx) for y, x in expected for dy, dx in steps}
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
        assert {(y - 40, x - 40) for y, x in gradient[0, 0].nonzero().tolist()} == expected
