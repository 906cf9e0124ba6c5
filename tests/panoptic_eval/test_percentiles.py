import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from panoptic_eval.percentiles import percentiles

areas = st.lists(st.integers(1, 2**31), min_size=1, max_size=40).map(np.array)
scores = st.lists(st.floats(-1, 1).map(lambda value: value + 0.0), min_size=1, max_size=40).map(np.array)


@given(areas | scores, st.lists(st.floats(0, 100), max_size=9).map(lambda percent: [0, 25, 97.5, 100, *percent]))
def test_they_are_those_of_numpy_to_the_last_bit(values, percent):
    assert percentiles(values, percent).tolist() == np.percentile(values, percent).tolist()
