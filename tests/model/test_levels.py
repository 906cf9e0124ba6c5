import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.config import Levels
from model.levels import box_levels


@given(
    width=st.floats(0.5, 5000),
    height=st.floats(0.5, 5000),
    count=st.integers(1, 5),
    canonical=st.sampled_from([28, 224]),
)
def test_is_the_formula_of_the_feature_pyramid(width, height, count, canonical):
    exact = 2 + math.log2(math.sqrt(width * height) / canonical)
    if abs(exact - round(exact)) < 1e-9:
        return  # the formula's own rounding decides; the next test is about these
    box = torch.tensor([3, 4, 3 + width, 4 + height], dtype=torch.float64)
    assert box_levels(box, Levels(count, canonical)) == min(max(math.floor(exact), 0), count - 1)


@pytest.mark.parametrize(("size", "level"), [(0, 0), (111.99, 0), (112, 1), (223.9, 1), (224, 2), (448, 3), (1e5, 3)])
def test_levels_switch_at_octaves_of_the_canonical_size(size, level):
    assert box_levels(torch.tensor([[0, 0, size, size]]), Levels()).tolist() == [level]


@pytest.mark.parametrize("level", range(4))
def test_every_size_of_a_levels_octave_is_on_it(level):
    low, high = Levels(4, 30).octave(level)
    assert high == 2 * low
    for size in (low, (low + high) / 2, math.nextafter(high, 0)):
        assert box_levels(torch.tensor([0, 0, size, size], dtype=torch.float64), Levels(4, 30)) == level
