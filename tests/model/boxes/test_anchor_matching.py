import pytest
import torch
from boxes_on_canvas import targets_of

from model.boxes.anchor_matching import (
    LEFT_OUT,
    NEGATIVE,
    count_levels,
    draw,
    match_anchors,
    match_proposals,
    overlaps,
    sample_anchors,
    sample_proposals,
    share_ignored,
)
from model.config import ROIConfig, RPNConfig

THRESHOLDS = {"positive_iou": 0.7, "negative_iou": 0.3, "ignore_overlap": 0.7}
SIZE = (20, 40)


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def generators(n, seed=0):
    return [torch.Generator().manual_seed(seed + i) for i in range(n)]


def test_anchors_on_a_drawing():
    """One object of 10x10 at x 10..20, and anchors that slide away from it."""
    overlap = overlaps(
        boxes((10, 0, 20, 10), (11, 0, 21, 10), (14, 0, 24, 10), (18, 0, 28, 10), (30, 0, 40, 10)),
        targets_of([(10, 0, 20, 10)], [1], SIZE),
        "visible",
    )
    assert match_anchors(overlap, torch.zeros(5), **THRESHOLDS).tolist() == [0, 0, LEFT_OUT, NEGATIVE, NEGATIVE]


def test_every_instance_has_its_best_anchor():
    target = targets_of([(0, 0, 4, 4), (10, 0, 20, 10), (30, 0, 34, 4)], [1, 1, 1], SIZE)
    anchors = boxes((10, 0, 20, 10), (0, 0, 8, 8), (25, 5, 40, 20))  # the third instance touches none
    match = match_anchors(overlaps(anchors, target, "visible"), torch.zeros(3), **THRESHOLDS)
    assert match.tolist() == [1, 0, NEGATIVE]


def test_of_two_instances_with_one_best_anchor_the_later_gets_it():
    overlap = torch.tensor([[0.5, 0.4], [0.1, 0.0]])
    assert match_anchors(overlap, torch.zeros(2), **THRESHOLDS).tolist() == [1, NEGATIVE]


def test_anchors_on_ignored_pixels_are_left_out_and_stand_for_nobody():
    target = targets_of([(10, 0, 20, 10)], [1], SIZE, ignore=[(0, 0, 10, 20), (13, 0, 20, 10)])
    anchors = boxes((10, 0, 20, 10), (0, 0, 10, 10), (6, 0, 16, 10), (30, 0, 40, 10))
    ignored = share_ignored(anchors, target)
    torch.testing.assert_close(ignored, torch.tensor([0.7, 1, 0.7, 0]))
    overlap = overlaps(anchors, target, "visible")
    assert match_anchors(overlap, ignored - 0.01, **THRESHOLDS).tolist() == [0, LEFT_OUT, LEFT_OUT, NEGATIVE]
    assert match_anchors(overlap, ignored + 0.01, **THRESHOLDS).tolist() == [LEFT_OUT, LEFT_OUT, LEFT_OUT, NEGATIVE]


def test_without_instances_all_is_negative():
    none = torch.zeros(3, 0)
    assert match_anchors(none, torch.zeros(3), **THRESHOLDS).tolist() == [NEGATIVE] * 3
    assert match_proposals(none, torch.zeros(3), positive_iou=0.5, ignore_overlap=0.7).tolist() == [NEGATIVE] * 3


def test_proposals_on_a_drawing():
    target = targets_of([(0, 0, 10, 10), (20, 0, 30, 10)], [1, 2], SIZE, ignore=[(32, 0, 40, 20)])
    proposals = boxes((20, 0, 30, 20), (21, 0, 31, 10), (0, 0, 4, 10), (32, 0, 40, 10))
    match = match_proposals(
        overlaps(proposals, target, "visible"), share_ignored(proposals, target), positive_iou=0.5, ignore_overlap=0.7
    )
    assert match.tolist() == [1, 1, NEGATIVE, LEFT_OUT]


@pytest.mark.parametrize(("matching", "instance"), [("visible", NEGATIVE), ("clipped", 0)])
def test_a_large_anchor_finds_a_large_cut_object_only_if_clipped(matching, instance):
    """A bus of 80 pixels of which the crop shows 20, an anchor of its full extent, and a small one that fits better."""
    bus = targets_of([(20, 0, 40, 20)], [1], SIZE, full=[(20, 0, 100, 20)])
    anchors = boxes((20, 0, 100, 20), (20, 0, 40, 20))
    match = match_anchors(overlaps(anchors, bus, matching), torch.zeros(2), **THRESHOLDS)
    assert match.tolist() == [instance, 0]


def test_a_sample_holds_at_most_its_share_of_positives():
    match = torch.tensor([0] * 10 + [NEGATIVE] * 100 + [LEFT_OUT] * 50)
    chosen = draw(match, count=16, positive_fraction=0.25, generator=torch.Generator())
    assert len(chosen) == len(set(chosen.tolist())) == 16
    assert match[chosen].tolist() == [0] * 4 + [NEGATIVE] * 12


def test_negatives_fill_up_and_nothing_left_out_is_drawn():
    match = torch.tensor([3, LEFT_OUT, NEGATIVE, NEGATIVE])
    chosen = draw(match, count=16, positive_fraction=0.5, generator=torch.Generator())
    assert match[chosen].tolist() == [3, NEGATIVE, NEGATIVE]


def test_every_candidate_is_as_likely():
    generator = torch.Generator().manual_seed(0)
    match = torch.full((20,), NEGATIVE)
    drawn = torch.cat([draw(match, count=5, positive_fraction=0.5, generator=generator) for _ in range(2000)])
    counts = torch.bincount(drawn, minlength=20).float()
    assert ((counts - 500).abs() < 5 * 500**0.5).all()


def test_a_batch_is_drawn_image_by_image():
    """What is drawn for an image depends on its own generator, not on its neighbors."""
    first = targets_of([(0, 0, 10, 10)], [1], SIZE)
    second = targets_of([(20, 5, 30, 15), (5, 5, 12, 12)], [2, 1], SIZE)
    anchors = torch.cat([first.visible, second.visible, boxes(*[(i, i, i + 8, i + 8) for i in range(30)])])
    config = RPNConfig(samples=8)
    both = sample_anchors(anchors, [first, second], generators(2), config, "visible")
    alone = sample_anchors(anchors, [second], generators(1, seed=1), config, "visible")
    assert both.image.tolist() == [0] * 8 + [1] * 8
    for name in ("boxes", "index", "instance"):
        assert torch.equal(getattr(both, name)[8:], getattr(alone, name))
    assert torch.equal(both.boxes, anchors[both.index])
    assert set(both.instance[8:].tolist()) == {NEGATIVE, 0, 1}
    assert torch.equal(both.positive, both.instance >= 0)


def test_visible_boxes_are_proposals_too():
    target = targets_of([(0, 0, 10, 10)], [1], SIZE)
    found = sample_proposals([boxes((20, 0, 30, 10))], [target], generators(1), ROIConfig(samples=8), "visible")
    assert found.boxes.tolist() == [[0, 0, 10, 10], [20, 0, 30, 10]]
    assert found.instance.tolist() == [0, NEGATIVE]


def test_a_crop_without_instances_or_proposals_has_no_rows():
    target = targets_of([], [], SIZE)
    found = sample_proposals([torch.zeros(0, 4)], [target], generators(1), ROIConfig(), "clipped")
    assert found.boxes.shape == (0, 4)


def test_levels_are_counted():
    level, chosen = torch.tensor([0, 0, 1, 3]), torch.tensor([True, False, True, True])
    assert count_levels(level, chosen, 5).tolist() == [1, 1, 0, 1, 0]
