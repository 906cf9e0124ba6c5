import golden_baselines
import numpy as np
import pytest
import torch

from model.boxes.adaptive_fusion import Candidate, adaptive_fusion, best_stuff, fuse_adaptively, fused_logit
from model.boxes.fusion import best_first
from model.boxes.prediction import Detections, Prediction
from model.config import AdaptiveFusionConfig
from model.panoptic_map import resized


def candidates(semantic_logits, mask_logits, boxes, categories, scores):
    """Detections by falling score, of planes that are cut to the pixels whose centers lie in the boxes."""
    for i in best_first(scores, -torch.inf):
        x0, y0, x1, y1 = np.ceil(np.asarray(boxes[i]) - 0.5).astype(int).clip(0)
        window = slice(y0, y1), slice(x0, x1)
        category = int(categories[i])
        yield Candidate(category, mask_logits[i][window], semantic_logits[category][window], (int(y0), int(x0)))


def decide(semantic_logits, mask_logits, boxes, categories, scores, isthing, **options):
    found = candidates(semantic_logits, mask_logits, boxes, categories, scores)
    stuff = semantic_logits[~isthing].max(0).values
    return adaptive_fusion(semantic_logits.argmax(0), stuff, found, isthing, **options)


@pytest.mark.parametrize("file", golden_baselines.cases("efficientps_fusion"))
def test_golden_numbers(file):
    given = golden_baselines.read(file)
    tensors = {k: torch.from_numpy(v) for k, v in given.items() if v.ndim}
    category, instance, kept = decide(
        *(tensors[k] for k in ("semantic_logits", "mask_logits", "boxes", "categories", "scores", "isthing")),
        overlap=float(given["overlap"]),
        mask_threshold=float(given["mask_threshold"]),
        stuff_area=int(given["stuff_area"]),
        gain=float(given["mask_gain"]),
    )
    assert len(kept) > instance.max()
    assert category.tolist() == given["category"].tolist()
    assert instance.tolist() == given["instance"].tolist()


def scene(seed=0, size=(24, 32)):
    """A truth of stuff 0 and 1 and things of category 2, drawn as rectangles; and logits of ±20 that say so."""
    rng = np.random.default_rng(seed)
    category = np.zeros(size, int)
    category[:, size[1] // 2 :] = 1
    instance = np.full(size, -1)
    boxes = []
    for k, (y, x) in enumerate([(2, 2), (3, 18), (14, 8)]):
        h, w = rng.integers(4, 9, 2).tolist()
        category[y : y + h, x : x + w], instance[y : y + h, x : x + w] = 2, k
        boxes.append((x, y, x + w, y + h))
    semantic = torch.from_numpy(np.where(np.arange(3)[:, None, None] == category, 20.0, -20.0))
    planes = torch.from_numpy(np.where(np.arange(3)[:, None, None] == instance, 20.0, -20.0))
    return category, instance, semantic, planes, boxes


THING = torch.tensor([False, False, True])
USUAL = {"overlap": 0.5, "stuff_area": 0}


def fuse(semantic, planes, boxes):
    n = len(boxes)
    return decide(semantic, planes, boxes, [2] * n, torch.linspace(0.9, 0.5, n), THING, **USUAL)


@pytest.mark.parametrize("seed", range(4))
def test_heads_that_agree_give_back_the_truth(seed):
    category, instance, semantic, planes, boxes = scene(seed)
    found = fuse(semantic, planes, boxes)
    assert found[0].tolist() == category.tolist()
    assert found[1].tolist() == instance.tolist()


def test_a_detection_that_is_there_twice_changes_nothing():
    _, _, semantic, planes, boxes = scene()
    once = fuse(semantic, planes[:1], boxes[:1])
    twice = fuse(semantic, planes[[0, 0]], [boxes[0]] * 2)
    assert torch.equal(once[0], twice[0])
    assert torch.equal(once[1], twice[1])


def test_without_detections_things_are_void_and_small_stuff_too():
    category, _, semantic, _, _ = scene()
    found, instance, _ = fuse(semantic, [], [])
    assert found.tolist() == np.where(category == 2, 255, category).tolist()
    assert (instance == -1).all()
    free = int((category == 1).sum())
    small, _, _ = decide(semantic, [], [], [], torch.zeros(0), THING, overlap=0.5, stuff_area=free + 1)
    assert set(small[category == 1].tolist()) == {255}


def test_the_fused_logit_is_symmetric_and_has_the_sign_of_the_sum():
    a, b = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4
    assert torch.equal(fused_logit(a, b), fused_logit(b, a))
    assert torch.equal(fused_logit(a, b).sign(), (a + b).sign())
    rising = (a + b) > 0
    assert (fused_logit(a + 1e-3, b) > fused_logit(a, b))[rising].all()


def test_an_instance_stays_in_its_box_even_where_all_stuff_logits_are_negative():
    semantic = torch.full((3, 6, 8), -5.0)
    category, instance, _ = fuse(semantic, torch.full((1, 6, 8), 9.0), [(1, 1, 3, 3)])
    assert (instance >= 0).sum() == 4
    assert (category == 2).sum() == 4


SKY, CAR = 0, 2
FRAME = (8, 16)


def map_of(rows, semantic=None, size=FRAME, **options):
    """Boxes x0, y0, x1, y1 with a score and a mask logit on sky, or on other semantic logits at stride 4."""
    table = torch.tensor(rows, dtype=torch.float32).view(-1, 6)
    masks = table[:, 5, None, None].expand(-1, 4, 4)
    found = Detections(table[:, :4], table[:, 4], torch.full((len(rows),), CAR), masks)
    if semantic is None:
        semantic = torch.tensor([5.0, 0, 0])[:, None, None].expand(3, 2, 4)
    config = AdaptiveFusionConfig(**{"stuff_area": 1} | options)
    return fuse_adaptively(Prediction(found, semantic), THING, FRAME, size, config)


def test_instances_and_stuff_become_segments_without_gaps():
    result = map_of([(4, 2, 8, 6, 0.9, 9), (0, 0, 2, 2, 0.8, 9), (12, 0, 16, 4, 0.4, 9), (10, 0, 12, 2, 0.7, 1)])
    panoptic = result.panoptic  # the last but one scores too little, and the last is less sure of itself than sky is
    assert panoptic.ids.dtype == torch.int32
    rows = ["".join(map(str, row)) for row in panoptic.ids.tolist()]
    assert rows == ["22" + "3" * 14] * 2 + ["3333" + "1111" + "3" * 8] * 4 + ["3" * 16] * 2
    assert [(s.id, s.category, s.area) for s in panoptic.segments] == [(1, CAR, 16), (2, CAR, 4), (3, SKY, 108)]
    assert [s.score for s in panoptic.segments] == [pytest.approx(0.9), pytest.approx(0.8), None]
    assert len(list(result.instances)) == 4  # all detections, before fusion
    assert (result.semantic == SKY).all()


def test_the_semantic_head_has_a_say_in_a_box():
    """On the left it says car, so that a weak mask wins there; on the right it speaks against it."""
    semantic = torch.stack(
        [torch.tensor([[1.0, 1, 1, 1]] * 2), torch.zeros(2, 4), torch.tensor([[4.0, 4, -4, -4]] * 2)]
    )
    ids = map_of([(0, 0, 16, 8, 0.9, 1)], semantic).panoptic.ids
    assert (ids[:, :6] == 1).all()
    assert (ids[:, 10:] == 2).all()
    weighted = map_of([(0, 0, 16, 8, 0.9, 1)], semantic, gain=9).panoptic
    assert (weighted.ids == 1).all()


def test_a_map_of_another_size_shows_the_same_segments_and_counts_stuff_as_the_network_saw_it():
    rows = (4, 2, 8, 6, 0.9, 9), (0, 0, 2, 2, 0.8, 9)
    for least, stuff in ((108, 1), (109, 0)):
        small, large = (map_of(rows, size=size, stuff_area=least).panoptic for size in (FRAME, (24, 48)))
        assert torch.equal(large.ids, small.ids.repeat_interleave(3, 0).repeat_interleave(3, 1))
        assert len(small.segments) == len(large.segments) == 2 + stuff


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [FRAME, (5, 7), (150, 33)])
def test_laws_of_every_map(seed, size):
    generator = torch.Generator().manual_seed(seed)
    count = seed % 8
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([14.0, 6.0]) - 1
    boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * 8 + 0.1], 1)
    scores, masks = torch.rand(count, generator=generator), torch.randn(count, 6, 6, generator=generator) * 3
    prediction = Prediction(
        Detections(boxes, scores, torch.full((count,), CAR), masks), torch.randn(3, 2, 4, generator=generator)
    )
    config = AdaptiveFusionConfig(stuff_area=3, score=0.3)
    result, again = (fuse_adaptively(prediction, THING, FRAME, size, config).panoptic for _ in range(2))
    assert torch.equal(result.ids, again.ids)
    assert [s.id for s in result.segments] == list(range(1, len(result.segments) + 1))
    areas = torch.bincount(result.ids.flatten(), minlength=len(result.segments) + 1)[1:]
    assert areas.tolist() == [s.area for s in result.segments]
    assert (areas > 0).all()
    stuff = [s.category for s in result.segments if s.score is None]
    assert len(stuff) == len(set(stuff))
    assert not any(THING[c] for c in stuff)
    # In strips or not, it is the same as all logits of the map at once.
    whole = resized(prediction.semantic_logits, FRAME, size, (slice(None), slice(None)))
    assert torch.equal(
        fuse_adaptively(prediction, THING, FRAME, size, config).semantic, whole.argmax(0).to(torch.uint8)
    )
    torch.testing.assert_close(
        best_stuff(prediction.semantic_logits, THING, FRAME, size), whole[~THING].amax(0), rtol=0, atol=1e-6
    )
