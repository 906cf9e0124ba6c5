import math

import pytest
import torch
from boxes_on_canvas import targets_of

from model.boxes.anchor_matching import SampledBoxes
from model.boxes.losses import (
    batch_consistency_loss,
    category_loss,
    image_weights,
    mask_loss,
    mask_targets,
    objectness_loss,
)
from model.losses.consistency import consistency_loss


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


def test_category_loss_weights_rows():
    logits = torch.log(torch.tensor([[0.2, 0.8], [0.5, 0.5]]))
    loss = category_loss(logits, torch.tensor([1, 0]), torch.tensor([0.25, 0.5]))
    assert loss.item() == pytest.approx(-0.25 * math.log(0.8) - 0.5 * math.log(0.5))


def draw(mask):
    return ["".join(".#"[int(v)] for v in row) for row in mask]


def test_mask_targets_read_the_pixel_that_each_sample_falls_on():
    """Two instances; the first is seen through a box that it half fills, at twice and at half its resolution."""
    target = targets_of([(2, 0, 4, 4), (4, 0, 8, 2)], [1, 2], (8, 8))
    box = torch.tensor([[0.0, 0, 8, 8]])
    masks, known = mask_targets(box, torch.tensor([0]), torch.tensor([0]), [target], 8)
    assert draw(masks[0]) == ["..##....", "..##....", "..##....", "..##....", *["........"] * 4]
    assert known.all()
    masks, _ = mask_targets(box / 2, torch.tensor([0]), torch.tensor([0]), [target], 8)
    assert draw(masks[0]) == ["....####"] * 8
    masks, _ = mask_targets(box, torch.tensor([0]), torch.tensor([1]), [target], 4)
    assert draw(masks[0]) == ["..##", "....", "....", "...."]


def test_nothing_is_known_beyond_the_crop_or_on_ignored_pixels():
    target = targets_of([(4, 0, 8, 4)], [1], (8, 8), full=[(4, 0, 20, 4)], ignore=[(0, 0, 8, 1)])
    masks, known = mask_targets(torch.tensor([[4.0, 0, 12, 4]]), torch.tensor([0]), torch.tensor([0]), [target], 4)
    assert draw(known[0]) == ["....", "##..", "##..", "##.."]
    assert draw(masks[0] & known[0]) == ["....", "##..", "##..", "##.."]


def test_mask_targets_are_those_of_the_proposals_own_image():
    empty, full = targets_of([], [], (8, 8)), targets_of([(0, 0, 8, 8)], [1], (8, 8))
    boxes = torch.tensor([[0.0, 0, 8, 8]] * 2)
    masks, _ = mask_targets(boxes, torch.tensor([1, 0]), torch.tensor([0, 0]), [empty, full], 4)
    assert masks.flatten(1).float().mean(1).tolist() == [1, 0]


def test_mask_loss_is_the_mean_over_images_of_the_mean_over_known_samples():
    logits = torch.zeros(3, 2, 2)
    logits[0, 0, 0] = 100  # known, right
    logits[1] = 2.0
    masks = torch.ones(3, 2, 2, dtype=torch.bool)
    known = torch.tensor([[[1, 0], [0, 0]], [[1, 1], [0, 0]], [[1, 1], [1, 1]]]).bool()
    image = torch.tensor([0, 0, 2])
    first = 2 * math.log1p(math.exp(-2)) / 3  # three known samples, one of which costs nothing
    third = math.log(2)
    assert mask_loss(logits, masks, known, image, 3).item() == pytest.approx((first + third) / 3)


def test_no_masks_cost_nothing_and_still_have_a_gradient():
    logits = torch.zeros(0, 2, 2, requires_grad=True)
    none = torch.zeros(0, 2, 2, dtype=torch.bool)
    loss = mask_loss(logits, none, none, torch.zeros(0, dtype=torch.int64), 2)
    loss.backward()
    assert loss == 0


ISTHING = torch.tensor([False, True, True])


def two_images():
    """Logits of 4 x 6 cells over images of 16 x 20 pixels; two proposals stand for a box in the second image."""
    generator = torch.Generator().manual_seed(0)
    semantic, masks = torch.randn(2, 3, 4, 6, generator=generator) * 3, torch.randn(2, 2, 5, 5, generator=generator) * 3
    boxes = torch.tensor([[4.0, 0, 16, 8], [2, 2, 14, 10]])
    positives = SampledBoxes(boxes, torch.tensor([1, 1]), torch.tensor([0, 1]), torch.tensor([0, 0]))
    targets = [targets_of([], [], (16, 20)), targets_of([(4, 0, 16, 8)], [2], (16, 20), ignore=[(0, 13, 4, 14)])]
    return semantic, masks, positives, targets


def test_consistency_is_the_mean_over_images_of_true_categories_on_cells_that_are_known():
    semantic, masks, positives, targets = two_images()
    first = consistency_loss(semantic[0, :, :, :5], ISTHING, masks[:0, 0], positives.boxes[:0])
    known = torch.ones(4, 5, dtype=torch.bool)
    known[3, 0] = False  # a cell of which one row of pixels is ignored
    second = consistency_loss(semantic[1, :, :, :5], ISTHING, masks[:, 1], positives.boxes / 4, known=known)
    assert first != second
    got = batch_consistency_loss(semantic, masks, positives, targets, ISTHING)
    torch.testing.assert_close(got, (first + second) / 2)


def test_consistency_does_not_depend_on_the_order_of_the_batch():
    semantic, masks, positives, targets = two_images()
    turned = SampledBoxes(positives.boxes.flip(0), 1 - positives.image, positives.index, positives.instance)
    got = batch_consistency_loss(semantic.flip(0), masks.flip(0), turned, targets[::-1], ISTHING)
    torch.testing.assert_close(got, batch_consistency_loss(semantic, masks, positives, targets, ISTHING))


def test_consistency_is_nothing_where_nothing_is_known():
    semantic, masks, positives, _ = two_images()
    semantic.requires_grad_()
    targets = [targets_of([(4, 0, 16, 8)], [2], (16, 20), ignore=[(0, 0, 20, 16)]) for _ in range(2)]
    loss = batch_consistency_loss(semantic, masks, positives, targets, ISTHING)
    assert loss == 0
    loss.backward()
    assert (semantic.grad == 0).all()
