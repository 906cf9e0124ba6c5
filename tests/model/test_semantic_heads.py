import pytest
import torch

from model.config import DeepLabConfig, MiniDLConfig
from model.semantic_heads import DeepLab, MiniDL, local_average

CHANNELS = (3, 4, 5, 6)


def pyramid(channels, size=(64, 96)):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, c, size[0] // s, size[1] // s, generator=generator).requires_grad_()
        for c, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("kind", ["deeplab", "minidl"])
def test_logits_are_at_the_finest_resolution_and_use_everything(kind):
    if kind == "deeplab":
        features = pyramid(CHANNELS)
        head = DeepLab(CHANNELS, 7, DeepLabConfig(rates=(1, 2), channels=8, skip_channels=(4, 3, 2), pooling=2))
    else:
        features = pyramid((6, 6, 6, 6))
        head = MiniDL(6, 7, MiniDLConfig(channels=4, dilation=2, pooling=8))
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


def test_minidl_does_not_look_at_levels_beyond_the_fourth():
    head = MiniDL(6, 7, MiniDLConfig(channels=4)).eval()
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
