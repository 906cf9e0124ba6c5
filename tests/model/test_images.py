import pytest
import torch
from tiny import FAMILIES, ISTHING
from torch import nn

from model.config import SampleConfig
from model.families import assemble
from model.images import normalized, register_data

SAMPLE = SampleConfig(mean=(0.25, 0.5, 0.75), std=(0.5, 0.25, 2.0))


def test_colors_are_normalized_and_padded_by_their_mean():
    network = nn.Module()
    register_data(network, [True, False], SAMPLE)
    images = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 5, 9)
    x = normalized(images, network.mean, network.std, stride=4)
    assert x.shape == (2, 3, 8, 12)
    torch.testing.assert_close(x[0, :, 4, 8], torch.tensor([1.5, -2.0, -0.275]))
    assert not x[:, :, 5:].any()
    assert not x[:, :, :, 9:].any()
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert normalized(images[..., :4, :8], network.mean, network.std, stride=4).shape == (2, 3, 4, 8)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_known_of_the_data_is_no_weight(family):
    network = assemble(FAMILIES[family], ISTHING)
    assert {"isthing", "mean", "std"} <= {name for name, _ in network.named_buffers()}
    assert not {"isthing", "mean", "std"} & {*network.state_dict()}
