import pytest
import torch

from model.config import PyramidConfig, TwoWayConfig
from model.pyramid import FeaturePyramid
from model.two_way import TwoWayPyramid

KINDS = [(FeaturePyramid, PyramidConfig), (TwoWayPyramid, TwoWayConfig)]


def features(size=64):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, c, size // s, size // s, generator=generator).requires_grad_()
        for c, s in zip((3, 5, 7, 9), (4, 8, 16, 32), strict=True)
    ]


def reached(levels, inputs):
    """For each level, whether each input reaches it."""
    grads = [torch.autograd.grad(x.square().sum(), inputs, retain_graph=True, allow_unused=True) for x in levels]
    return [[g is not None and bool(g.abs().sum() > 0) for g in row] for row in grads]


@pytest.mark.parametrize(("kind", "config"), KINDS)
def test_levels_have_the_strides_they_say(kind, config):
    pyramid = kind((3, 5, 7, 9), config(channels=6, extra_levels=2))
    assert pyramid.strides == (4, 8, 16, 32, 64, 128)
    levels = pyramid(features(256))
    assert [tuple(x.shape) for x in levels] == [(2, 6, 256 // s, 256 // s) for s in pyramid.strides]


def test_coarse_features_reach_fine_levels_but_not_the_other_way():
    inputs = features()
    levels = FeaturePyramid((3, 5, 7, 9), PyramidConfig(channels=6, extra_levels=1))(inputs)
    assert reached(levels, inputs) == [[j >= i or (i == 4 and j == 3) for j in range(4)] for i in range(5)]


def test_in_the_two_way_pyramid_all_features_reach_all_four_levels():
    inputs = features()
    pyramid = TwoWayPyramid((3, 5, 7, 9), TwoWayConfig(channels=6, extra_levels=1))
    assert reached(pyramid(inputs), inputs) == [[True] * 4] * 4 + [[False, False, False, True]]


def test_what_goes_up_the_two_way_pyramid_is_the_largest_of_the_nearest_cells():
    """Where a cell of the finest features is marked: cells of the next level whose centers are at most 1 1/2 away."""
    pyramid = TwoWayPyramid((1, 1), TwoWayConfig(channels=1)).eval()
    for module in pyramid.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.dirac_(module.weight)
    fine, coarse = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4)
    fine[..., 3, 4] = 1
    _, level = pyramid([fine, coarse])
    assert level[0, 0].nonzero().tolist() == [[1, 2], [2, 2]]  # windows of rows 1 to 3 and 3 to 5, columns 3 to 5


@pytest.mark.parametrize(("kind", "config"), KINDS)
def test_no_extra_level_is_an_option(kind, config):
    pyramid = kind((3, 5, 7, 9), config(channels=6, extra_levels=0))
    assert pyramid.strides == (4, 8, 16, 32)
    assert len(pyramid(features())) == 4
