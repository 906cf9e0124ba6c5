import math

import pytest
import torch

from model.losses.rpn import image_weights, objectness_loss


def test_the_loss_is_the_mean_over_images_of_the_mean_over_samples():
    image = torch.tensor([0, 0, 0, 2])  # of three images the second has no sample
    logits, positive = torch.tensor([1.0, -2, 0.5, 3]), torch.tensor([True, False, True, False])

    def one(x, y):
        return math.log1p(math.exp(-x if y else x))

    expected = ((one(1, True) + one(-2, False) + one(0.5, True)) / 3 + one(3, False)) / 3
    assert objectness_loss(logits, positive, image_weights(image, 3)).item() == pytest.approx(expected)


def test_perfect_logits_cost_nothing():
    positive = torch.tensor([True, False])
    assert objectness_loss(torch.tensor([50.0, -50]), positive, image_weights(torch.tensor([0, 0]), 1)) < 1e-9


def test_no_samples_cost_nothing_and_still_have_a_gradient():
    logits = torch.zeros(0, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    loss = objectness_loss(logits, none.bool(), image_weights(none, 2))
    loss.backward()
    assert loss == 0
