import pytest
import torch

from crop_aware.coding import encode
from model.boxes.heads.rpn import RPNHead, propose
from model.config import RPNConfig

ALL = {"candidates": 100, "limit": 100, "nms_iou": 0.7}


def test_outputs_follow_the_order_of_anchors():
    """Row (level, y, x, ratio): a weight that marks one ratio, on features that mark one cell of the second level."""
    head = RPNHead(4, RPNConfig(channels=4, anchor_ratios=(0.5, 1, 2))).eval()
    torch.nn.init.dirac_(head.conv.weight)
    for layer in (head.objectness, head.deltas):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    with torch.no_grad():
        head.objectness.weight[2, 0] = 1
        head.deltas.weight[2 * 4 + 3, 0] = 1
        levels = [torch.zeros(2, 4, 3, 5), torch.zeros(2, 4, 2, 3)]
        levels[1][1, 0, 0, 2] = 7
        objectness, deltas = head(levels)
    assert objectness.shape == (2, 3 * (15 + 6))
    row = 3 * (15 + 0 * 3 + 2) + 2
    assert objectness.nonzero().tolist() == [[1, row]]
    assert deltas.nonzero().tolist() == [[1, row, 3]]


def test_levels_are_normalised_together():
    head = RPNHead(2, RPNConfig(channels=2))
    generator = torch.Generator().manual_seed(0)
    levels = [torch.randn(2, 2, 8, 8, generator=generator), 5 + 3 * torch.randn(2, 2, 4, 4, generator=generator)]
    head(levels)
    cells = torch.cat([head.conv(x).flatten(2) for x in levels], 2)
    torch.testing.assert_close(head.norm.running_mean, 0.1 * cells.mean((0, 2)))


@pytest.mark.parametrize("separable", [False, True])
def test_at_inference_levels_one_by_one_give_what_they_give_together(separable, monkeypatch):
    head = RPNHead(2, RPNConfig(channels=3, separable=separable)).eval()
    generator = torch.Generator().manual_seed(0)
    levels = [torch.randn(2, 2, side, side, generator=generator) for side in (8, 4, 3)]
    outputs, asked = head._outputs, []
    together = outputs(torch.cat([head.conv(x).permute(0, 2, 3, 1).flatten(1, 2) for x in levels], 1))
    monkeypatch.setattr(head, "_outputs", lambda cells: (asked.append(cells.shape[1]), outputs(cells))[1])
    for alone, both in zip(head(levels), together, strict=True):
        torch.testing.assert_close(alone, both)
    head.train()(levels)
    assert asked == [64, 16, 9, 89]


@pytest.mark.parametrize("separable", [False, True])
def test_outputs_are_those_of_a_convolution_at_each_cell(separable):
    """A separable one is a 3x3 convolution, too: the product of its two."""
    head = RPNHead(3, RPNConfig(channels=5, anchor_ratios=(1.0,), separable=separable)).eval()
    level = torch.randn(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    objectness, deltas = head([level])
    x = torch.nn.functional.leaky_relu(head.conv(level) / (1 + 1e-5) ** 0.5, 0.01)
    if separable:
        assert head.conv.groups == 3
        x = torch.einsum("oc,bcyx->boyx", head.point[0].weight, x) / (1 + 1e-5) ** 0.5
        x = torch.nn.functional.leaky_relu(x, 0.01)
    expected = torch.einsum("oc,bcyx->byxo", head.objectness.weight, x) + head.objectness.bias
    torch.testing.assert_close(objectness, expected.flatten(1))
    assert deltas.shape == (2, 42, 4)
    deltas.square().sum().add(objectness.sum()).backward()
    assert all(p.grad.any() for p in head.parameters())


def test_deltas_are_decoded_and_the_best_come_first():
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    boxes = torch.tensor([[1.0, 2, 9, 12], [20, 5, 40, 10], [41, 1, 46, 6]])
    got = propose(torch.tensor([1.0, 3, 2]), encode(boxes, anchors), anchors, bounds=None, **ALL)
    torch.testing.assert_close(got, boxes[[1, 2, 0]])


def test_bounds_limits_and_overlaps():
    anchors = torch.tensor([[-5.0, 0, 10, 10], [-5, 0, 10.5, 10], [20, 0, 30, 10], [60, 0, 70, 10]])
    scores, none = torch.tensor([1.0, 2, 3, 4]), torch.zeros(4, 4)
    clipped = propose(scores, none, anchors, bounds=(8, 40), **ALL)
    assert clipped.tolist() == [[20, 0, 30, 8], [0, 0, 10.5, 8]]  # the last is outside, the first like the second
    assert len(propose(scores, none, anchors, bounds=None, **ALL)) == 3
    assert len(propose(scores, none, anchors, bounds=None, **ALL | {"limit": 2})) == 2
    assert len(propose(scores, none, anchors, bounds=None, **ALL | {"candidates": 1})) == 1


def test_values_that_are_not_numbers_give_no_box():
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    deltas = torch.tensor([[float("nan")] * 4, [0.0] * 4])
    assert propose(torch.ones(2), deltas, anchors, bounds=(50, 50), **ALL).tolist() == [[20, 0, 30, 10]]
