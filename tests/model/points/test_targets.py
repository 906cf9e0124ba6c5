from dataclasses import replace

import torch
from boxes_on_canvas import targets_of

from model.points.targets import draw_points, mask_labels

BOXES = [(0, 0, 10, 10), (20, 0, 24, 4), (30, 10, 50, 30), (0, 40, 3, 43)]  # areas 100, 16, 400, 9
TARGETS = targets_of(BOXES, [2, 2, 3, 3], (64, 64), ignore=[(60, 0, 64, 64)])


def draw(seed, *, targets=TARGETS, count=6, least_area=16):
    return draw_points(targets, torch.Generator().manual_seed(seed), count=count, least_area=least_area)


def owners(points, targets=TARGETS):
    return targets.instances[points.positions[:, 0], points.positions[:, 1]].tolist()


def test_points_lie_on_different_instances_that_are_large_enough():
    for seed in range(20):
        several, _ = draw(seed)
        assert owners(several) == several.instances.tolist()
        assert sorted(several.instances.tolist()) == [0, 1, 2]
    assert {tuple(draw(seed, count=2)[0].instances.tolist()) for seed in range(50)} == {
        (a, b) for a in range(3) for b in range(3) if a != b
    }
    assert sorted(draw(0, least_area=9)[0].instances.tolist()) == [0, 1, 2, 3]


def test_as_many_points_are_of_one_instance():
    for seed in range(20):
        _, alone = draw(seed)
        assert owners(alone) == alone.instances.tolist()
        assert len(alone.positions) == 6
        assert len(set(alone.instances.tolist())) == 1
    assert {int(draw(seed)[1].instances[0]) for seed in range(50)} == {0, 1, 2}


def test_every_pixel_of_an_instance_is_drawn_at_last():
    drawn = {tuple(row) for seed in range(60) for row in draw(seed, count=1)[0].positions.tolist()}
    small = replace(TARGETS, instances=torch.where(TARGETS.instances == 1, 1, -1).to(torch.int16))
    all_of_it = {tuple(row) for seed in range(60) for row in draw(seed, targets=small)[1].positions.tolist()}
    assert all_of_it == {(y, x) for y in range(4) for x in range(20, 24)}
    assert len(drawn) > 40


def test_the_generator_alone_decides():
    assert torch.equal(draw(3)[0].positions, draw(3)[0].positions)
    assert not torch.equal(draw(3)[1].positions, draw(4)[1].positions)


def test_without_an_instance_there_is_no_point():
    for targets in (targets_of([], [], (8, 8)), targets_of([(0, 0, 2, 2)], [2], (8, 8))):
        for points in draw(0, targets=targets):
            assert points.positions.shape == (0, 2)
            assert points.instances.shape == (0,)
            assert mask_labels(targets, points.instances).shape == (0, 8, 8)


def test_masks_are_unknown_where_the_ground_truth_is():
    labels = mask_labels(TARGETS, torch.tensor([2, 0]))
    assert labels.dtype == torch.int8
    assert (labels == 1).sum((1, 2)).tolist() == [400, 100]
    assert (labels == -1).sum((1, 2)).tolist() == [256, 256]
    assert torch.equal(labels[0] == 1, TARGETS.instances == 2)
