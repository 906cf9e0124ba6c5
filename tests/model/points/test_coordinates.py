from pathlib import Path

import pytest
import torch

from model.points.coordinates import relative_coordinates
from tests.support import golden_baselines


@pytest.mark.parametrize("file", golden_baselines.cases("adaptis_coordinates"))
def test_as_the_authors_code(file: Path) -> None:
    case = golden_baselines.read(file)
    features, scale = torch.from_numpy(case["features"]), float(case["scale"])
    # Their points are pixels of the image, ours are cells.
    points = torch.from_numpy(case["points"]) * scale
    found = relative_coordinates(points, tuple(features.shape[-2:]), float(case["radius"]) * scale)
    torch.testing.assert_close(found, features, rtol=1e-5, atol=1e-5)


def test_zero_at_the_point_odd_around_it_and_cut() -> None:
    found = relative_coordinates(torch.tensor([[3.0, 4.0]]), (7, 9), 2)[0]
    assert (found[:, 3, 4] == 0).all()
    assert torch.equal(found[:2], -found[:2].flip(1, 2))
    assert torch.equal(found[2], found[2].flip(0, 1))
    assert found[:, 4, 4].tolist() == [0.5, 0, 0.5]
    assert found[:, 6, 0].tolist() == [1, -1, 1]


def test_no_points() -> None:
    assert relative_coordinates(torch.zeros(0, 2), (5, 6), 3).shape == (0, 3, 5, 6)
