from dataclasses import replace

import golden_baselines
import numpy as np
import pytest
import torch
from golden_targets import targets_of

from model.centres.targets import center_targets


def drawn(text, n, ignore="?"):
    rows = [list(row) for row in text.split()]
    instances = np.array([[int(c) if c.isdigit() else -1 for c in row] for row in rows])
    given = {
        "categories": np.zeros(n, int),
        "instances": instances,
        "semantic": np.zeros(instances.shape, np.uint8),
        "ignore": np.array([[c == ignore for c in row] for row in rows]),
    }
    return targets_of(given)


USUAL = {"sigma": 2.0, "small_area": 4, "small_weight": 3.0}


@pytest.mark.parametrize("file", golden_baselines.cases("panoptic_deeplab_targets"))
def test_golden_numbers(file):
    given = golden_baselines.read(file)
    found = center_targets(
        targets_of(given),
        sigma=float(given["sigma"]),
        small_area=int(given["small_area"]),
        small_weight=float(given["small_weight"]),
    )
    np.testing.assert_allclose(found.centers, given["centres"], atol=1e-9)
    np.testing.assert_allclose(found.heat, given["heat"], atol=1e-6)
    np.testing.assert_allclose(found.offset, given["offset"], atol=1e-4)
    np.testing.assert_array_equal(found.semantic_weight, given["semantic_weight"])
    np.testing.assert_array_equal(found.heat_weight, given["centre_weight"])
    np.testing.assert_array_equal(found.offset_weight, given["offset_weight"])


def test_the_heat_is_1_at_each_center_and_nowhere_above_and_symmetric_around_one():
    found = center_targets(drawn("....... ....... ...0... ....... .......", 1), **USUAL)
    assert found.heat[2, 3] == found.heat.max() == 1
    assert torch.equal(found.heat, found.heat.flip(0))
    assert torch.equal(found.heat, found.heat.flip(1))


def test_offsets_lead_all_pixels_of_an_instance_to_one_place():
    found = center_targets(drawn("00.. 00.1 0..1", 2), **USUAL)
    grid = torch.stack(torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij"))
    ends = grid + found.offset
    solid = found.offset_weight > 0
    ends = {tuple(end) for end in ends[:, solid].T.double().round(decimals=4).tolist()}
    assert ends == {tuple(center) for center in found.centers.round(decimals=4).tolist()}
    assert (found.offset[:, ~solid] == 0).all()


def test_what_is_ignored_has_no_weight_and_small_instances_count_more():
    found = center_targets(drawn("000? 00.? 1..?", 2), **USUAL)
    assert found.heat_weight.tolist() == [[1, 1, 1, 0]] * 3
    assert found.semantic_weight.tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [3, 1, 1, 1]]


def test_an_image_without_instances_has_no_center():
    found = center_targets(drawn("... ..?", 0), **USUAL)
    assert (found.heat == 0).all()
    assert (found.offset_weight == 0).all()
    assert found.centers.shape == (0, 2)


def test_offsets_of_cut_objects_may_be_left_out_and_nothing_else_changes():
    targets = drawn("000? 00.1 2..1", 3)
    targets = replace(
        targets, open_sides=torch.tensor([[False, True, False, False], [False] * 4, [True, False, False, True]])
    )
    usual, closed = (center_targets(targets, **USUAL, open_offsets=which) for which in ("counted", "left_out"))
    assert torch.equal(usual.offset_weight, (targets.instances >= 0).float())
    assert torch.equal(closed.offset_weight, (targets.instances == 1).float())
    for name in ("centers", "heat", "offset", "semantic_weight", "heat_weight"):
        assert torch.equal(getattr(usual, name), getattr(closed, name))
