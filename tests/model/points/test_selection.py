import golden_baselines
import numpy as np
import pytest
import torch

from model.points.selection import blurred, candidates, mean_probabilities, proposed, select


@pytest.mark.parametrize("file", golden_baselines.cases("adaptis_maxima"))
def test_golden_candidates(file):
    given = golden_baselines.read(file)
    blur = int(given["blur"])
    found, regions = candidates(
        blurred(given["map"], blur) if blur > 1 else given["map"],
        limit=float(given["threshold"]),
        eps=float(given["eps"]),
        step=float(given["step"]),
    )
    assert found.tolist() == given["candidates"].tolist()
    half = len(found) // 2
    fewer, _ = candidates(
        blurred(given["map"], blur) if blur > 1 else given["map"],
        limit=float(given["threshold"]),
        eps=float(given["eps"]),
        step=float(given["step"]),
        most=half,
    )
    assert fewer.tolist() == found[:half].tolist()
    np.testing.assert_array_equal(regions, given["regions"])


def chosen(probability, proposals, isthing, mask_of, *, most, thing, limit, eps, blur, **thresholds):
    """The whole way from probabilities and proposals to instances, and the category of each."""
    things = torch.from_numpy(probability[isthing])
    thing_of = probability[isthing].max(0, initial=0)
    points = proposed(proposals, thing_of, thing_threshold=thing, limit=limit, eps=eps, blur=blur, most=most).tolist()
    found, owners = select(points, 1 - things.sum(0), lambda y, x: torch.from_numpy(mask_of(y, x)), **thresholds)
    categories = []
    for one in found:
        (top, left), (height, width) = one.corner, one.mask.shape
        window = things[:, top : top + height, left : left + width]
        categories.append(int(np.flatnonzero(isthing)[mean_probabilities(one.mask, window.split(7, 1)).argmax()]))
    return found, owners.numpy(), categories


@pytest.mark.parametrize("file", golden_baselines.cases("adaptis_loop"))
def test_golden_selection(file):
    given = golden_baselines.read(file)
    found, owners, categories = chosen(
        given["prob"],
        given["proposals"],
        given["isthing"],
        lambda row, column: given["mask_probability"][given["instances"][row, column]],
        most=int(given["max_iters"]),
        thing=float(given["ithresh"]),
        limit=float(given["fl_prob"]),
        eps=float(given["fl_eps"]),
        blur=int(given["fl_blur"]),
        mask_threshold=float(given["thresh1"]),
        overlap=float(given["thresh2"]),
    )
    assert len(found) == len(given["masks"])
    for one, theirs in zip(found, given["masks"], strict=True):
        (top, left), (height, width) = one.corner, one.mask.shape
        whole = np.zeros(theirs.shape, bool)
        whole[top : top + height, left : left + width] = one.mask
        np.testing.assert_array_equal(whole, theirs > float(given["thresh1"]))
        assert whole[top].any()
        assert whole[:, left].any()
    np.testing.assert_array_equal(owners + 1, given["instance_map"])
    assert categories == given["instance_category"].tolist()


ISTHING = np.array([False, False, True, True])
USUAL = {
    "thing": 0.3,
    "limit": 0.1,
    "eps": 0.003,
    "blur": 3,
    "most": 100,
    "mask_threshold": 0.5,
    "overlap": 0.5,
}


def scene(seed=0):
    """Rectangles of things on stuff: category and instance of each pixel, kinds of instances, sure probabilities."""
    rng = np.random.default_rng(seed)
    category, instances, kinds = np.zeros((48, 64), int), np.full((48, 64), -1), []
    category[:, 30:] = 1
    for y in range(1, 48, 16):
        for x in range(1, 64, 16):
            h, w = rng.integers(6, 14, 2).tolist()
            kinds.append(int(rng.integers(2, 4)))
            category[y : y + h, x : x + w], instances[y : y + h, x : x + w] = kinds[-1], len(kinds) - 1
    probability = np.where(np.arange(4)[:, None, None] == category, 0.97, 0.01)
    return category, instances, np.array(kinds), probability


def proposals_of(instances, rows):
    """A hill in the middle of each of some instances."""
    y, x = np.ogrid[: instances.shape[0], : instances.shape[1]]
    hills = np.zeros(instances.shape)
    for k in rows:
        ys, xs = np.nonzero(instances == k)
        hill = 1 - 0.02 * ((y - ys.mean()) ** 2 + (x - xs.mean()) ** 2)
        hills = np.where(instances == k, np.maximum(hill, 0.4), hills)
    return hills


@pytest.mark.parametrize("seed", range(4))
def test_true_masks_and_a_candidate_in_each_instance_give_the_truth(seed):
    _, instances, kinds, probability = scene(seed)
    masks = np.where(np.arange(len(kinds))[:, None, None] == instances, 0.99, 0.0)
    hills = proposals_of(instances, range(len(kinds)))
    found, owners, categories = chosen(probability, hills, ISTHING, lambda y, x: masks[instances[y, x]], **USUAL)
    assert ((owners >= 0) == (instances >= 0)).all()
    pairs = sorted(set(zip(owners.flatten().tolist(), instances.flatten().tolist(), strict=True)))
    assert len(pairs) == len(kinds) + 1
    assert [kinds[truth] for _, truth in pairs if truth >= 0] == categories
    assert [int(instances[one.point]) for one in found] == [truth for _, truth in pairs if truth >= 0]


def test_instances_without_a_candidate_are_not_found():
    _, instances, kinds, probability = scene()
    masks = np.where(np.arange(len(kinds))[:, None, None] == instances, 0.99, 0.0)
    hills = proposals_of(instances, [2, 5])
    found, owners, _ = chosen(probability, hills, ISTHING, lambda y, x: masks[instances[y, x]], **USUAL)
    assert ((owners >= 0) == np.isin(instances, [2, 5])).all()
    assert len(found) == 2


def test_masks_that_are_small_or_taken_are_dropped_and_no_more_points_are_asked_than_allowed():
    _, instances, kinds, probability = scene()
    asked = []

    def whole(y, x):
        asked.append((y, x))
        return np.where(instances >= 0, 0.9, 0.1)

    def kept(*given, **changed):
        return len(chosen(probability, *given, **USUAL | changed)[0])

    hills = proposals_of(instances, range(len(kinds)))
    assert kept(hills, ISTHING, whole) == 1
    assert len(asked) == 1  # all other points are taken
    # The second one's point is free, but half of its mask is not.
    first, second = instances == 0, np.isin(instances, [0, 1])
    wanted = {0: first, 1: second}
    share = first.sum() / int(second.sum())
    pair = proposals_of(instances, [0]) + 0.9 * proposals_of(instances, [1])
    for limit, count in ((share, 1), (share + 0.01, 2)):
        assert kept(pair, ISTHING, lambda y, x: 0.9 * wanted[instances[y, x]], overlap=limit) == count
    nine = np.eye(48, 64) * (np.arange(64) < 9)
    assert kept(hills, ISTHING, lambda y, x: nine) == 0
    assert kept(hills, ISTHING, lambda y, x: nine, least_area=9) > 0
    assert kept(hills, ISTHING, lambda y, x: 0 * nine, least_area=0) == 0
    assert kept(hills, ISTHING, whole, most=0) == 0
    assert len(chosen(probability[:2] * 0.5, hills, ISTHING[:2], whole, **USUAL)[0]) == 0


def test_equal_candidates_go_by_rows_and_a_plateau_is_one():
    values = np.full((9, 12), 0.2)
    for y, x in ((2, 9), (2, 2), (6, 5)):
        values[y - 1 : y + 2, x - 1 : x + 2] = 0.5
        values[y, x : x + 1] = 0.8
    found, regions = candidates(values.astype(np.float32), limit=0.1, eps=0.003, step=0.025)
    assert found.tolist() == [[2, 2], [2, 9], [6, 5]]
    assert regions[2, 2] == 0
    assert regions[2, 9] == 1
    flat, marked = candidates(np.full((4, 5), 0.5, np.float32), limit=0.1, eps=0.003, step=0.025)
    assert flat.tolist() == [[0, 0]]
    assert (marked == 0).all()
    none, _ = candidates(np.full((4, 5), 0.05, np.float32), limit=0.1, eps=0.003, step=0.025)
    assert none.shape == (0, 2)
