import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from panoptic_eval.checkup import alike

CELLS = 256


@given(st.integers(0, 2**32 - 1), st.integers(0, alike.BANDS - 1))
def test_maps_that_differ_in_fewer_pixels_than_there_are_parts_are_always_found(seed, differing):
    rng = np.random.default_rng(seed)
    grids = rng.integers(0, 9, (6, CELLS))
    grids[4] = grids[1]
    where = rng.choice(CELLS, differing, replace=False)
    grids[4, where] = 9
    assert alike.near(grids) == [(1, 4)]


def test_maps_that_differ_in_more_are_not():
    grids = np.random.default_rng(0).integers(0, 9, (2, CELLS))
    grids[1] = grids[0]
    grids[1, : alike.BANDS] = 9
    assert alike.near(grids) == []


def test_empty_maps_and_unread_ones_are_left_out():
    few = np.zeros((2, CELLS), int)
    few[:, 0] = 1
    assert alike.near(few) == []
    unread = np.arange(CELLS)[None].repeat(2, 0)
    unread[:, 0] = -2
    assert alike.near(unread) == []
    assert alike.near(np.empty((0, CELLS), int)) == []


def test_many_equal_maps_cost_no_square():
    grids = (np.arange(CELLS) % 5)[None].repeat(3000, 0)
    assert len(alike.near(grids)) == 2999
