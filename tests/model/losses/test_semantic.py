import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from boxes_on_canvas import targets_of

from model.config import MiniDLConfig
from model.losses.semantic import batch_semantic_loss, semantic_loss
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


def padded(image, below, right):
    """An image's logits and truth, and what the loss of a batch sees of it once it is padded."""
    logits, truth = image
    semantic = F.pad(truth, (0, right, 0, below), value=IGNORE)
    return logits, replace(targets_of([], [], semantic.shape), semantic=semantic, padding=torch.tensor([below, right]))


@pytest.mark.parametrize("hardest", [1.0, 0.25])
def test_left_out_padding_changes_nothing(hardest):
    """An image of 8 x 8 in a batch of 16 x 12: its loss is that of the image alone; counted, the padding dilutes it."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (8, 8), generator=generator, dtype=torch.uint8)
    logits = torch.randn(1, 3, 1, 1, generator=generator).expand(1, 3, 4, 3)  # constant: resizing mixes nothing in
    left_out, counted = (MiniDLConfig(hardest=hardest, padding=padding) for padding in ("left_out", "counted"))
    alone = batch_semantic_loss(logits[..., :2, :2], [padded((logits, truth), 0, 0)[1]], left_out)
    _, targets = padded((logits, truth), 8, 4)
    torch.testing.assert_close(batch_semantic_loss(logits, [targets], left_out), alone)
    assert batch_semantic_loss(logits, [targets], counted) < alone
    whole = padded((logits, torch.zeros(16, 12, dtype=torch.uint8)), 0, 0)[1]
    other = batch_semantic_loss(logits, [whole], left_out)
    both = batch_semantic_loss(logits.expand(2, -1, -1, -1), [targets, whole], left_out)
    torch.testing.assert_close(both, (alone + other) / 2)
