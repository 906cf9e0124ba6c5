import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask

from panoptic_eval import core, rle
from panoptic_eval.rle import pixels


@given(
    st.lists(
        arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 1))
    )
)
def test_runs_add_up_to_the_image(masks):
    counts = [mask.encode(np.asfortranarray(m))["counts"] for m in masks]
    assert pixels(counts).tolist() == [m.size for m in masks]


def test_long_runs():
    assert pixels([mask.encode(np.zeros((3000, 5000), np.uint8, order="F"))["counts"]]).tolist() == [15_000_000]


@given(arrays.arrays(np.uint8, (9, 7), elements=st.integers(0, 1)), st.integers(1, 5))
def test_what_is_cut_short_does_not_add_up(image, cut):
    counts = mask.encode(np.asfortranarray(image))["counts"]
    assert pixels([counts[:-cut], b"13"]).tolist()[0] != image.size
    assert pixels([counts[:-cut], b"13"]).tolist()[1] == 4  # nor does it disturb the next one


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"P", id="ends within a number"),
        pytest.param(b"5 ", id="not one of the 64 characters, below"),
        pytest.param(b"5p", id="not one of the 64 characters, above"),
        pytest.param("5é".encode(), id="not ASCII"),
        pytest.param(b"PPPPPPP1", id="more than 32 bits"),
        pytest.param(b"5O", id="a negative run"),
        pytest.param(b"1d01\x00", id="an end of text, as C has it"),
    ],
)
def test_malformed_text(text):
    assert pixels([b"13", text, b"13"]).tolist() == [4, -1, 4]


@given(st.lists(st.binary(max_size=20) | st.text("0123456789PQRopqno", max_size=20).map(str.encode), max_size=5))
def test_the_core_and_python_agree_on_any_text(counts):
    assert core.library() is not None
    assert pixels(counts).tolist() == [rle._pixels(text) for text in counts]
