import math

import pytest
import torch
import torch.nn.functional as F

from model.losses.semantic import semantic_loss
from model.targets import IGNORE


def confident(truth, categories=3, margin=100.0):
    return F.one_hot(truth.long().clamp(max=categories - 1), categories).permute(0, 3, 1, 2) * margin


def test_a_perfect_map_costs_nothing():
    truth = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert semantic_loss(confident(truth), truth, 0.25) < 1e-6


def test_only_the_hardest_pixels_of_each_image_count():
    truth = torch.zeros(2, 4, 4, dtype=torch.uint8)
    logits = confident(truth)
    logits[0, :, 0, :2] = 0  # two pixels of the first image know nothing
    hard = math.log(3)
    assert semantic_loss(logits, truth, 2 / 16).item() == pytest.approx(hard / 2)
    assert semantic_loss(logits, truth, 0.25).item() == pytest.approx(hard / 4)
    assert semantic_loss(logits, truth, 1).item() == pytest.approx(hard / 16)


def test_ignored_pixels_cost_nothing_however_wrong():
    truth = torch.full((1, 4, 4), IGNORE, dtype=torch.uint8)
    logits = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    loss = semantic_loss(logits, truth, 0.25)
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_logits_are_resized_to_the_truth():
    truth = torch.zeros(1, 8, 8, dtype=torch.uint8)
    truth[..., 4:] = 1
    coarse = torch.tensor([1.0, -1.0]).view(1, 1, 1, 2).expand(1, 1, 2, 2)
    logits = torch.cat([coarse, -coarse], 1)
    right, wrong = semantic_loss(logits, truth, 1), semantic_loss(-logits, truth, 1)
    assert right < math.log(2) < wrong
