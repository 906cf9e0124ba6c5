import math

import pytest
import torch

from model.ops import roi_align as module
from model.ops.roi_align import roi_align

STRIDES = (4, 8)


def pyramid(seed=0, channels=3, batch=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(batch, channels, 10, 12), (batch, channels, 5, 6)]
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


def some_regions():
    """Inside, across each border, outside, tiny, wider than the image, on the last cell of all."""
    boxes = [
        [3, 5, 20, 17],
        [-9, 2, 8, 30],
        [30, 20, 60, 55],
        [100, 100, 120, 110],
        [7, 7, 7.5, 7.25],
        [-20, 10, 70, 14],
        [40, 34, 50, 42],
    ]
    image, level = [0, 1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 1, 1]
    return torch.tensor(boxes, dtype=torch.float32), torch.tensor(image), torch.tensor(level)


def by_definition(levels, boxes, image, level, bins, samples):
    """One sample after the other."""

    def bilinear(features, y, x):
        height, width = features.shape[1:]
        if not (-1 <= y <= height and -1 <= x <= width):
            return torch.zeros(features.shape[0])
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        y0, x0 = math.floor(y), math.floor(x)
        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
        upper = features[:, y0, x0] * (1 - x + x0) + features[:, y0, x1] * (x - x0)
        lower = features[:, y1, x0] * (1 - x + x0) + features[:, y1, x1] * (x - x0)
        return upper * (1 - y + y0) + lower * (y - y0)

    out = torch.zeros(len(boxes), levels[0].shape[1], bins, bins)
    for r, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        features, stride = levels[level[r]][image[r]], STRIDES[level[r]]
        for i in range(bins * samples):
            for j in range(bins * samples):
                y = (y0 + (i + 0.5) / (bins * samples) * (y1 - y0)) / stride - 0.5
                x = (x0 + (j + 0.5) / (bins * samples) * (x1 - x0)) / stride - 0.5
                out[r, :, i // samples, j // samples] += bilinear(features, y, x) / samples**2
    return out


@pytest.mark.parametrize(("bins", "samples"), [(1, 1), (3, 1), (2, 2), (3, 3)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_definition(bins, samples, memory_format):
    levels, regions = pyramid(), some_regions()
    expected = by_definition(levels, *regions, bins, samples)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    expected_grads = torch.autograd.grad((expected * weights).sum(), levels)
    got = roi_align([x.to(memory_format=memory_format) for x in levels], STRIDES, *regions, bins=bins, samples=samples)
    torch.testing.assert_close(got, expected)
    for grad, expected_grad in zip(torch.autograd.grad((got * weights).sum(), levels), expected_grads, strict=True):
        torch.testing.assert_close(grad, expected_grad)


def test_a_ramp_is_read_back_at_the_centers_of_bins():
    x = (torch.arange(12.0) + 0.5) * 4  # each cell holds the pixel position of its center
    features = x.expand(1, 1, 10, 12)
    box = torch.tensor([[6.0, 6.0, 26.0, 26.0]])
    zero = torch.tensor([0])
    got = roi_align([features], [4], box, zero, zero, bins=5, samples=2)
    torch.testing.assert_close(got[0, 0], torch.tensor([8.0, 12, 16, 20, 24]).expand(5, 5))


def test_the_order_of_work_in_backward_does_not_matter(monkeypatch):
    grads = []
    for elements in (1, 1 << 20):
        monkeypatch.setattr(module, "ELEMENTS", elements)
        levels = pyramid()
        module.gathered(levels, STRIDES, *some_regions(), bins=3, samples=2).square().sum().backward()
        grads.append([x.grad for x in levels])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_no_regions_give_no_rows_and_zero_gradients():
    levels = pyramid()
    empty = torch.zeros(0, dtype=torch.int64)
    got = roi_align(levels, STRIDES, torch.zeros(0, 4), empty, empty, bins=7, samples=2)
    assert got.shape == (0, 3, 7, 7)
    got.sum().backward()
    assert all((x.grad == 0).all() for x in levels)


def test_half_precision_features_keep_their_type():
    levels = [x.detach().bfloat16().requires_grad_() for x in pyramid()]
    got = roi_align(levels, STRIDES, *some_regions(), bins=2, samples=2)
    assert got.dtype == torch.bfloat16
    got.float().sum().backward()
    assert all(x.grad.dtype == torch.bfloat16 for x in levels)


def test_agrees_with_torchvision():
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    levels = pyramid()
    assert module.compiled_ops(torch.device("cpu")) is not None
    compiled = module.roi_align(levels, STRIDES, *some_regions(), bins=3, samples=2)
    torch.testing.assert_close(module.gathered(levels, STRIDES, *some_regions(), bins=3, samples=2), compiled)
