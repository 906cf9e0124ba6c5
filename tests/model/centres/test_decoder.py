import pytest
import torch

from model.centres.decoder import Decoder
from model.config import BranchConfig, ContextConfig

CHANNELS = (3, 4, 5)


def built(*, rates=(1, 2), dilated="dense"):
    context = ContextConfig(rates=rates, channels=8, dilated=dilated, pooling=2)
    return Decoder(CHANNELS, context, BranchConfig(channels=6, skip_channels=(4, 2)))


def features(size=(32, 48)):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, c, size[0] // s, size[1] // s, generator=generator, requires_grad=True)
        for c, s in zip(CHANNELS, (4, 8, 16), strict=True)
    ]


@pytest.mark.parametrize("dilated", ["dense", "separable"])
def test_it_ends_at_the_finest_resolution_and_uses_everything(dilated):
    inputs, decoder = features(), built(dilated=dilated)
    out = decoder(inputs)
    assert out.shape == (2, 6, 8, 12)
    out.square().sum().backward()
    assert all(x.grad.any() for x in inputs)
    assert not [name for name, p in decoder.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("dilated", ["dense", "separable"])
def test_each_rate_of_the_context_reaches_exactly_these_cells(dilated):
    decoder = built(rates=(3, 6), dilated=dilated).eval()
    for branch, rate in zip(decoder.context.dilated, (3, 6), strict=True):
        for module in branch:
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.ones_(module.weight)
        x = torch.zeros(1, 5, 25, 25, requires_grad=True)
        (gradient,) = torch.autograd.grad(branch(x)[0, 0, 12, 12], x)
        reached = {(y - 12, x - 12) for y, x in gradient[0, 0].nonzero().tolist()}
        assert reached == {(rate * i, rate * j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
