from dataclasses import replace

import numpy as np
import pytest
import torch
from pycocotools.mask import decode
from tiny_training import CATALOGUE

from model.centres.fusion import fuse, nearest
from model.centres.network import CentreNetwork
from model.centres.prediction import Prediction
from model.config import GroupingConfig
from model.panoptic_map import VOID
from model.predict import coco_result
from panoptic_eval.prediction_writer import PredictionWriter

GROUND, SKY, BOX, POLE = range(4)
ISTHING = torch.tensor([False, False, True, True])
CONFIG = GroupingConfig(stuff_area=0)
FRAME = (48, 64)
BOXES = {0: (8, 8, 32, 24), 1: (24, 40, 40, 60)}
"""Top, left, bottom, right."""


def drawn(sure=20.0):
    """A box and a pole on the ground below the sky, as perfect heads would say them, cell by cell."""
    height, width = FRAME[0] // 4, FRAME[1] // 4
    semantic = torch.full((height, width), GROUND)
    semantic[:2] = SKY
    centers = []
    for kind, (top, left, bottom, right) in BOXES.items():
        semantic[top // 4 : bottom // 4, left // 4 : right // 4] = BOX + kind
        centers.append(((top + bottom - 1) / 2, (left + right - 1) / 2))
    cells = torch.stack(torch.meshgrid(4 * torch.arange(height) + 1.5, 4 * torch.arange(width) + 1.5, indexing="ij"))
    ways = torch.tensor(centers)[:, :, None, None] - cells
    distance = ways.square().sum(1)
    offset = ways[distance.argmin(0), :, torch.arange(height)[:, None], torch.arange(width)].permute(2, 0, 1)
    heat = torch.exp(-distance / (2 * 4.0**2)).amax(0)
    logits = sure * torch.nn.functional.one_hot(semantic, 4).permute(2, 0, 1).float()
    return Prediction(logits, heat, offset)


def truth(size):
    """Pixels of the two instances in a map of another size."""
    y, x = (np.arange(a) // (a // b) for a, b in zip(size, FRAME, strict=True))
    return [
        np.outer((y >= top) & (y < bottom), (x >= left) & (x < right)) for top, left, bottom, right in BOXES.values()
    ]


@pytest.mark.parametrize("size", [FRAME, (96, 192)])
def test_perfect_heads_give_back_the_drawing(size):
    """But for corners, which interpolation rounds."""
    found = fuse(drawn(), ISTHING, FRAME, size, CONFIG)
    segments = {s.category: s for s in found.panoptic.segments}
    assert sorted(segments) == [GROUND, SKY, BOX, POLE]
    for kind, own in enumerate(truth(size)):
        mask = (found.panoptic.ids == segments[BOX + kind].id).numpy()
        assert (mask & own).sum() / (mask | own).sum() > 0.95
    assert found.semantic.shape == found.panoptic.ids.shape == size
    assert (found.panoptic.ids != VOID).all()


def test_the_score_is_the_heat_at_the_center_times_the_mean_probability():
    prediction = drawn(sure=1.0)
    found = fuse(prediction, ISTHING, FRAME, FRAME, CONFIG).panoptic
    heat = CentreNetwork.at_pixels(prediction.heat[None, None], FRAME)[0, 0]
    probability = CentreNetwork.at_pixels(prediction.semantic_logits[None], FRAME)[0].softmax(0)
    for segment in found.segments[:2]:
        mask = found.ids == segment.id
        expected = heat[mask].max() * probability[segment.category][mask].mean()
        assert segment.score == pytest.approx(float(expected), rel=1e-5)
        assert 0.3 < segment.score < 0.6
    assert [s.score for s in found.segments[2:]] == [None, None]


def test_without_centers_things_are_void_and_there_is_no_instance():
    prediction = replace(drawn(), heat=torch.zeros(12, 16))
    found = fuse(prediction, ISTHING, FRAME, FRAME, CONFIG)
    assert {s.category for s in found.panoptic.segments} == {GROUND, SKY}
    assert list(found.instances) == []
    void = (found.panoptic.ids == VOID).numpy()
    assert (void == np.isin(found.semantic.numpy(), [BOX, POLE])).all()


def test_small_stuff_is_void():
    sky = next(s for s in fuse(drawn(), ISTHING, FRAME, FRAME, CONFIG).panoptic.segments if s.category == SKY)
    for limit, there in ((sky.area, True), (sky.area + 1, False)):
        found = fuse(drawn(), ISTHING, FRAME, (96, 128), replace(CONFIG, stuff_area=limit))
        assert (SKY in {s.category for s in found.panoptic.segments}) == there


def random(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(4, 12, 16, generator=generator)
    return Prediction(logits, torch.rand(12, 16, generator=generator), 20 * torch.randn(2, 12, 16, generator=generator))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [(46, 61), (23, 100), (7, 5)])
def test_every_map_is_whole(seed, size, tmp_path):
    """The frame is not all that the cells cover; instances may vanish where the map is smaller."""
    found, again = (fuse(random(seed), ISTHING, (46, 61), size, CONFIG) for _ in range(2))
    ids, segments = found.panoptic.ids, found.panoptic.segments
    assert [s.id for s in segments] == list(range(1, len(segments) + 1))
    assert [int((ids == s.id).sum()) for s in segments] == [s.area for s in segments]
    assert all(s.area for s in segments)
    assert int(ids.max()) == len(segments)
    assert all((s.score is not None) == bool(ISTHING[s.category]) for s in segments)
    scores = [s.score for s in segments if s.score is not None]
    assert scores == sorted(scores, reverse=True)
    assert torch.equal(ids, again.panoptic.ids)
    assert segments == again.panoptic.segments

    masks = [coco_result(instance, CATALOGUE, size) for instance in found.instances]
    assert len(masks) == len(scores)
    for segment, result in zip(segments, masks, strict=False):
        np.testing.assert_array_equal(decode(result["segmentation"]), (ids == segment.id).numpy())
        y, x = (ids == segment.id).nonzero().T
        assert result["bbox"] == [x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min()]
    with PredictionWriter(tmp_path, CATALOGUE) as writer:
        listed = [
            {"id": s.id, "category_id": int(CATALOGUE.ids[s.category])}
            | ({} if s.score is None else {"score": s.score})
            for s in segments
        ]
        writer.write("a", ids.numpy(), listed, instances=masks)


@pytest.mark.parametrize(("original", "wanted"), [(5, 5), (5, 15), (12, 5), (3, 7)])
def test_the_nearest_pixel_is_the_one_that_a_center_falls_into(original, wanted):
    expected = [int((k + 0.5) * original / wanted) for k in range(wanted)]
    assert nearest(original, wanted, torch.device("cpu")).tolist() == expected
