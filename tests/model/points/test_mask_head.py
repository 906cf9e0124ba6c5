import pytest
import torch
import torch.nn.functional as F

from model.points.coordinates import relative_coordinates
from model.points.mask_head import Controller, MaskHead, adaptive_instance_norm

INPUTS, CHANNELS, RADIUS = 6, 8, 5.0


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def head():
    torch.manual_seed(0)
    return MaskHead(INPUTS, (CHANNELS, 4, 2), RADIUS).eval()


def masks(head, features, image, points):
    return head(features, head.share(features), torch.tensor(image), torch.tensor(points))


def test_scale_1_and_shift_0_are_instance_norm():
    x = 3 * drawn(2, 4, 5, 6) + 1
    ones, zeros = torch.ones(2, 4), torch.zeros(2, 4)
    torch.testing.assert_close(adaptive_instance_norm(x, ones, zeros), F.instance_norm(x), rtol=1e-5, atol=1e-5)
    scale, shift = drawn(2, 4, seed=1), drawn(2, 4, seed=2)
    expected = F.instance_norm(x) * scale[..., None, None] + shift[..., None, None]
    torch.testing.assert_close(adaptive_instance_norm(x, scale, shift), expected, rtol=1e-5, atol=1e-5)


def test_a_controller_without_weights_has_scale_1_and_shift_0():
    controller = Controller(INPUTS, CHANNELS).eval()
    for linear in (controller.scale, controller.shift):
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    scale, shift = controller(drawn(3, INPUTS))
    assert scale.tolist() == [[1] * CHANNELS] * 3
    assert shift.tolist() == [[0] * CHANNELS] * 3


def test_what_is_shared_is_one_convolution_of_coordinates_and_features(head):
    features, points = drawn(1, INPUTS, 7, 9), torch.tensor([[2.0, 3.0], [5.0, 8.0]])
    together = torch.cat([relative_coordinates(points, (7, 9), RADIUS), features.expand(2, -1, -1, -1)], 1)
    weight = torch.cat([head.coordinates.weight, head.features.weight], 1)
    seen = []
    head.before.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    head(features, head.share(features), torch.tensor([0, 0]), points)
    torch.testing.assert_close(seen[0], F.conv2d(together, weight, padding=1), rtol=1e-5, atol=1e-5)


def test_points_are_of_their_image_and_do_not_see_each_other(head):
    features = drawn(2, INPUTS, 7, 9)
    image, points = [1, 0, 1], [[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]
    together = masks(head, features, image, points)
    assert together.shape == (3, 7, 9)
    for mask, row, point in zip(together, image, points, strict=True):
        torch.testing.assert_close(mask, masks(head, features[row : row + 1], [0], [point])[0])
    assert not torch.allclose(together[0], together[2])


def test_the_controller_sees_the_nearest_cell(head):
    """A pixel of a cell is at most 3/8 of a cell from its center, also beyond the last centers."""
    features, seen = drawn(1, INPUTS, 7, 9), []
    head.controller.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    masks(head, features, [0] * 3, [[-0.375, 4.375], [6.375, 7.625], [2.0, 8.375]])
    assert torch.equal(seen[0], torch.stack([features[0, :, 0, 4], features[0, :, 6, 8], features[0, :, 2, 8]]))


def test_no_points_are_no_masks_and_every_parameter_still_gets_a_gradient(head):
    head.train()
    found = head(*[features := drawn(1, INPUTS, 7, 9), head.share(features)], torch.zeros(0).long(), torch.zeros(0, 2))
    assert found.shape == (0, 7, 9)
    found.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())
