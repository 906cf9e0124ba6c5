import torch

from model.config import PyramidConfig
from model.pyramid import FeaturePyramid


def features(size=64):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, c, size // s, size // s, generator=generator).requires_grad_()
        for c, s in zip((3, 5, 7, 9), (4, 8, 16, 32), strict=True)
    ]


def test_levels_have_the_strides_they_say():
    pyramid = FeaturePyramid((3, 5, 7, 9), PyramidConfig(channels=6, extra_levels=2))
    assert pyramid.strides == (4, 8, 16, 32, 64, 128)
    levels = pyramid(features(256))
    assert [tuple(x.shape) for x in levels] == [(2, 6, 256 // s, 256 // s) for s in pyramid.strides]


def test_coarse_features_reach_fine_levels_but_not_the_other_way():
    inputs = features()
    levels = FeaturePyramid((3, 5, 7, 9), PyramidConfig(channels=6, extra_levels=1))(inputs)
    for i, level in enumerate(levels):
        grads = torch.autograd.grad(level.square().sum(), inputs, retain_graph=True, allow_unused=True)
        reached = [g is not None and bool(g.abs().sum() > 0) for g in grads]
        assert reached == [j >= i or (i == 4 and j == 3) for j in range(4)]


def test_no_extra_level_is_an_option():
    pyramid = FeaturePyramid((3, 5, 7, 9), PyramidConfig(channels=6, extra_levels=0))
    assert pyramid.strides == (4, 8, 16, 32)
    assert len(pyramid(features())) == 4
