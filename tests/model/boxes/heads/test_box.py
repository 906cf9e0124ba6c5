import torch

from crop_aware.coding import encode
from model.boxes.heads.box import BoxHead, detect
from model.config import ROIConfig

CONFIG = ROIConfig(score=0.05, nms_iou=0.5, detections=10)
SIZE = (50, 100)


def logits(*probabilities):
    return torch.tensor(probabilities).clamp(min=1e-9).log()


def test_shapes():
    head = BoxHead(3, 4, ROIConfig(pool=14, box_channels=8))
    categories, deltas = head(torch.randn(5, 3, 7, 7))
    assert categories.shape == (5, 5)
    assert deltas.shape == (5, 4, 4)


def test_each_thing_has_its_own_box():
    proposal = torch.tensor([[10.0, 10, 30, 30]])
    boxes = torch.tensor([[[10.0, 10, 20, 30], [12, 10, 40, 30]]])
    deltas = encode(boxes, proposal[:, None], CONFIG.weights)
    found, scores, thing = detect(logits([0.1, 0.3, 0.6]), deltas, proposal, SIZE, CONFIG)
    torch.testing.assert_close(found, boxes[0, [1, 0]])
    torch.testing.assert_close(scores, torch.tensor([0.6, 0.3]))
    assert thing.tolist() == [1, 0]


def test_low_scores_empty_boxes_and_duplicates_are_dropped():
    proposals = torch.tensor([[0.0, 0, 20, 20], [1, 0, 21, 20], [50, 0, 70, 20], [150, 0, 170, 20]])
    probabilities = logits([0.1, 0.9, 0], [0.2, 0.8, 0], [0.96, 0.04, 0], [0.1, 0.9, 0])
    boxes, scores, thing = detect(probabilities, torch.zeros(4, 2, 4), proposals, SIZE, CONFIG)
    assert boxes.tolist() == [[0, 0, 20, 20]]
    assert thing.tolist() == [0]


def test_other_things_are_no_duplicates_and_boxes_are_clipped():
    proposals = torch.tensor([[-10.0, 0, 20, 60], [-10, 0, 20, 60]])
    boxes, _, thing = detect(logits([0, 1, 0], [0.1, 0, 0.9]), torch.zeros(2, 2, 4), proposals, SIZE, CONFIG)
    assert boxes.tolist() == [[0, 0, 20, 50]] * 2
    assert thing.tolist() == [0, 1]


def test_the_best_are_kept():
    proposals = torch.tensor([[i * 8.0, 0, i * 8 + 8, 8] for i in range(12)])
    score = torch.linspace(0.2, 0.9, 12)
    probabilities = torch.stack([1 - score, score], 1).log()
    boxes, scores, _ = detect(probabilities, torch.zeros(12, 1, 4), proposals, SIZE, CONFIG)
    torch.testing.assert_close(scores, score.flip(0)[:10])
    assert torch.equal(boxes, proposals.flip(0)[:10])


def test_no_proposals_are_no_detections():
    boxes, scores, thing = detect(torch.zeros(0, 3), torch.zeros(0, 2, 4), torch.zeros(0, 4), SIZE, CONFIG)
    assert (boxes.shape, scores.shape, thing.shape) == ((0, 4), (0,), (0,))
