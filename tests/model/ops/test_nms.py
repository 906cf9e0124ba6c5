import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.ops import nms as module
from model.ops.boxes import iou
from model.ops.nms import nms


def greedy(boxes, scores, groups, iou_above):
    """The definition: take the best box left, drop what it overlaps, go on."""
    left = sorted(range(len(boxes)), key=lambda i: (-scores[i].item(), i))
    overlap = iou(boxes, boxes)
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if groups[i] != groups[best] or overlap[best, i] <= iou_above]
    return kept


def crowded(n, seed, spread=40.0):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator) * spread
    return torch.cat([corner, corner + 5 + torch.rand(n, 2, generator=generator) * 20], 1)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 0.7]), st.integers(1, 3))
def test_is_the_greedy_algorithm(n, seed, iou_above, groups):
    boxes = crowded(n, seed)
    scores = torch.randint(0, 10, (n,), generator=torch.Generator().manual_seed(seed)) / 10  # with ties
    group = torch.arange(n) % groups
    assert nms(boxes, scores, group, iou_above=iou_above).tolist() == greedy(boxes, scores, group, iou_above)


def test_a_chain_of_overlaps_keeps_every_other_box():
    start = torch.arange(9.0) * 4
    boxes = torch.stack([start, start * 0, start + 10, start * 0 + 10], 1)  # each overlaps the next by 6/14, no other
    kept = nms(boxes, -start, iou_above=0.4)
    assert kept.tolist() == [0, 2, 4, 6, 8]


def test_blocks_and_limits_do_not_change_the_result(monkeypatch):
    boxes, scores = crowded(300, 3, spread=200), torch.rand(300, generator=torch.Generator().manual_seed(1))
    whole = nms(boxes, scores, iou_above=0.5)
    monkeypatch.setattr(module, "BLOCK", 7)
    assert torch.equal(nms(boxes, scores, iou_above=0.5), whole)
    for limit in (0, 1, 20, 1000):
        assert torch.equal(nms(boxes, scores, iou_above=0.5, limit=limit), whole[:limit])


def test_agrees_with_torchvision(monkeypatch):
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    boxes, scores = crowded(500, 5, spread=200), torch.rand(500, generator=torch.Generator().manual_seed(2))
    groups = torch.arange(500) % 3
    compiled = nms(boxes, scores, groups, iou_above=0.5)
    monkeypatch.setattr(module, "compiled_ops", lambda device: None)
    assert torch.equal(nms(boxes, scores, groups, iou_above=0.5), compiled)
