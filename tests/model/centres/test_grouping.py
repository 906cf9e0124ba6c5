import golden_baselines
import numpy as np
import pytest
import torch
from golden_targets import targets_of

from model.centres.grouping import VOID, find_centers, group, nearest_center
from model.centres.targets import center_targets

ISTHING = torch.tensor([False, False, True, True])


@pytest.mark.parametrize("file", golden_baselines.cases("panoptic_deeplab_grouping"))
def test_golden_numbers(file):
    given = golden_baselines.read(file)
    found = group(
        torch.from_numpy(given["semantic"]),
        torch.from_numpy(given["heat"]),
        torch.from_numpy(given["offset"]),
        torch.from_numpy(given["isthing"]),
        threshold=float(given["threshold"]),
        window=int(given["nms"]),
        most=int(given["top"]),
        stuff_area=int(given["stuff_area"]),
    )
    centers = found.centers.tolist()
    order = sorted(range(len(centers)), key=lambda k: centers[k])  # theirs go row by row
    assert [centers[k] for k in order] == given["centres"].tolist()
    number = np.zeros(len(centers) + 1, int)
    number[order] = 1 + np.arange(len(centers))
    instances = number[found.instances.numpy()]  # the last entry serves -1
    np.testing.assert_array_equal(instances, given["instances"])
    panoptic = found.semantic.numpy() * 1000
    count = {}
    for k in order:
        pixels = found.instances.numpy() == k
        if pixels.any():
            category = int(found.category[k])
            count[category] = count.get(category, 0) + 1
            panoptic[pixels] = category * 1000 + count[category]
    np.testing.assert_array_equal(panoptic, given["panoptic"])


def scene(seed):
    """Rectangles whose centers lie at least 8 pixels apart, on two stuff categories."""
    rng = np.random.default_rng(seed)
    semantic, instances, categories = np.zeros((40, 60), np.uint8), np.full((40, 60), -1), []
    semantic[:, 30:] = 1
    for y in range(0, 40, 13):
        for x in range(0, 60, 15):
            if rng.random() < 0.8:
                h, w = rng.integers(2, 12, 2).tolist()
                category = int(rng.integers(2, 4))
                window = slice(y, y + h), slice(x, x + w)
                semantic[window], instances[window] = category, len(categories)
                categories.append(category)
    ignore = np.zeros(semantic.shape, bool)
    given = {"categories": np.array(categories), "instances": instances, "semantic": semantic, "ignore": ignore}
    return given, center_targets(targets_of(given), sigma=2.0, small_area=0, small_weight=1.0)


USUAL = {"threshold": 0.1, "window": 7, "most": 200, "stuff_area": 0}


@pytest.mark.parametrize("seed", range(6))
def test_perfect_heads_give_back_the_truth_and_small_errors_of_offsets_change_nothing(seed):
    given, drawn = scene(seed)
    semantic = torch.from_numpy(given["semantic"])
    shift = 2 * torch.rand(drawn.offset.shape, generator=torch.Generator().manual_seed(seed)) - 1
    for offset in (drawn.offset, drawn.offset + shift):
        found = group(semantic, drawn.heat, offset, ISTHING, **USUAL)
        assert found.semantic.tolist() == semantic.tolist()
        pairs = set(zip(found.instances.flatten().tolist(), given["instances"].flatten().tolist(), strict=True))
        assert len(pairs) == len(given["categories"]) + (given["instances"] == -1).any()  # one to one
        assert found.category.tolist() == [
            given["categories"][truth] for _, truth in sorted(p for p in pairs if p[0] >= 0)
        ]


def test_things_without_a_center_and_small_stuff_are_void():
    semantic = torch.tensor([[0, 0, 1], [2, 2, 0]])
    nothing = torch.zeros(2, 3)
    found = group(semantic, nothing, torch.zeros(2, 2, 3), ISTHING, **{**USUAL, "stuff_area": 3})
    assert found.semantic.tolist() == [[0, 0, VOID], [VOID, VOID, 0]]
    assert (found.instances == -1).all()


def test_centers_are_the_highest_of_their_window_best_first_and_equal_ones_by_position():
    heat = torch.zeros(9, 9)
    heat[1, 1], heat[1, 3], heat[7, 7], heat[7, 1], heat[4, 8] = 0.5, 0.4, 0.9, 0.5, 0.25
    found = find_centers(heat, threshold=0.25, window=5, most=200)
    assert found.tolist() == [[7, 7], [1, 1], [7, 1]]
    assert find_centers(heat, threshold=0.25, window=5, most=2).tolist() == [[7, 7], [1, 1]]


def test_strips_do_not_change_the_nearest_center():
    generator = torch.Generator().manual_seed(0)
    points = 50 * torch.rand(500, 2, generator=generator)
    centers = torch.randint(0, 50, (17, 2), generator=generator)
    assert torch.equal(nearest_center(points, centers), nearest_center(points, centers, together=40))
    assert nearest_center(torch.tensor([[0.0, 1.0]]), torch.tensor([[0, 2], [0, 0]])).tolist() == [0]
    assert nearest_center(torch.zeros(0, 2), centers).tolist() == []
