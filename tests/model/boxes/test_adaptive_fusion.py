import golden_baselines
import numpy as np
import pytest
import torch

from model.boxes.adaptive_fusion import adaptive_fusion, fused_logit


def windows(mask_logits, boxes):
    """Cut planes to the pixels whose centers lie in the boxes."""
    found = []
    for plane, box in zip(mask_logits, boxes, strict=True):
        x0, y0, x1, y1 = np.ceil(np.asarray(box) - 0.5).astype(int).clip(0)
        found.append((plane[y0:y1, x0:x1], (int(y0), int(x0))))
    return found


@pytest.mark.parametrize("file", golden_baselines.cases("efficientps_fusion"))
def test_golden_numbers(file):
    given = golden_baselines.read(file)
    tensors = {k: torch.from_numpy(v) for k, v in given.items() if v.ndim}
    category, instance = adaptive_fusion(
        tensors["semantic_logits"],
        windows(tensors["mask_logits"], given["boxes"]),
        tensors["scores"],
        tensors["categories"].long(),
        tensors["isthing"],
        overlap=float(given["overlap"]),
        mask_threshold=float(given["mask_threshold"]),
        stuff_area=int(given["stuff_area"]),
        gain=float(given["mask_gain"]),
    )
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


def fuse(semantic, masks, n, scores=None):
    scores = torch.linspace(0.9, 0.5, n) if scores is None else scores
    return adaptive_fusion(semantic, masks, scores, torch.full((n,), 2), THING, **USUAL)


@pytest.mark.parametrize("seed", range(4))
def test_heads_that_agree_give_back_the_truth(seed):
    category, instance, semantic, planes, boxes = scene(seed)
    found = fuse(semantic, windows(planes, boxes), 3)
    assert found[0].tolist() == category.tolist()
    assert found[1].tolist() == instance.tolist()


def test_a_detection_that_is_there_twice_changes_nothing():
    _, _, semantic, planes, boxes = scene()
    once = fuse(semantic, windows(planes[:1], boxes[:1]), 1)
    twice = fuse(semantic, windows(planes[[0, 0]], [boxes[0]] * 2), 2)
    assert torch.equal(once[0], twice[0])
    assert torch.equal(once[1], twice[1])


def test_without_detections_things_are_void_and_small_stuff_too():
    category, _, semantic, _, _ = scene()
    found, instance = fuse(semantic, [], 0)
    assert found.tolist() == np.where(category == 2, 255, category).tolist()
    assert (instance == -1).all()
    free = int((category == 1).sum())
    empty = torch.zeros(0)
    usual = {"overlap": 0.5, "stuff_area": free + 1}
    small, _ = adaptive_fusion(semantic, [], empty, empty.long(), THING, **usual)
    assert set(small[category == 1].tolist()) == {255}


def test_the_fused_logit_is_symmetric_and_has_the_sign_of_the_sum():
    a, b = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4
    assert torch.equal(fused_logit(a, b), fused_logit(b, a))
    assert torch.equal(fused_logit(a, b).sign(), (a + b).sign())
    rising = (a + b) > 0
    assert (fused_logit(a + 1e-3, b) > fused_logit(a, b))[rising].all()


def test_an_instance_stays_in_its_box_even_where_all_stuff_logits_are_negative():
    semantic = torch.full((3, 6, 8), -5.0)
    category, instance = fuse(semantic, [(torch.full((2, 2), 9.0), (1, 1))], 1)
    assert (instance >= 0).sum() == 4
    assert (category == 2).sum() == 4
