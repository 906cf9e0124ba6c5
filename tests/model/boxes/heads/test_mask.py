import pytest
import torch

from model.boxes.heads.mask import MaskHead
from model.config import ROIConfig


@pytest.mark.parametrize("separable", [False, True])
def test_masks_have_twice_the_resolution_and_use_every_parameter(separable):
    head = MaskHead(3, 4, ROIConfig(mask_channels=5, mask_convolutions=2, separable_masks=separable))
    masks = head(torch.randn(6, 3, 14, 14, generator=torch.Generator().manual_seed(0)))
    assert masks.shape == (6, 4, 28, 28)
    groups = [layer.groups for layer in head.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert groups == ([3, 1, 5, 1, 1] if separable else [1, 1, 1])
    masks.square().sum().backward()
    assert all(p.grad.any() for p in head.parameters())


def test_no_regions_still_reach_every_parameter():
    """Other ranks wait for the gradient of a crop without instances."""
    head = MaskHead(3, 4, ROIConfig(mask_channels=5, mask_convolutions=2))
    masks = head(torch.zeros(0, 3, 14, 14))
    assert masks.shape == (0, 4, 28, 28)
    masks.sum().backward()
    assert all((p.grad == 0).all() for p in head.parameters())
