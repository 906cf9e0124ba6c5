from unittest import mock

import numpy as np
import png
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask

from panoptic_eval import core
from panoptic_eval.png.ids import ids_of
from panoptic_eval.png.rle import compressed, encode_segments, encode_window, pixels


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
    by_core = pixels(counts)
    with mock.patch.object(core, "library", return_value=None):
        assert pixels(counts).tolist() == by_core.tolist()


def test_run_lengths_of_a_drawing():
    window = np.array([[0, 1], [1, 1]], bool)
    whole = np.zeros((2, 4), bool)
    whole[:, 1:3] = window
    # Column by column: . . | . # | # # | . .
    assert mask.decode(encode_window(window, (0, 1), (2, 4))).astype(bool).tolist() == whole.tolist()
    assert encode_window(window, (0, 1), (2, 4)) == mask.encode(np.asfortranarray(whole, np.uint8))


@given(st.data())
def test_run_lengths_are_those_of_the_whole_image(data):
    height, width = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    top, left = data.draw(st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)))
    rows, columns = data.draw(st.tuples(st.integers(0, height - top), st.integers(0, width - left)))
    bits = data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    window = np.array(bits, bool).reshape(rows, columns)
    whole = np.zeros((height, width), np.uint8)
    whole[top : top + rows, left : left + columns] = window
    assert encode_window(window, (top, left), (height, width)) == mask.encode(np.asfortranarray(whole))


@given(st.lists(st.integers(0, 2**20), max_size=9))
def test_text_is_that_of_pycocotools(runs):
    size = [1, sum(runs)]
    if sum(runs):
        assert compressed(np.array(runs), tuple(size)) == mask.frPyObjects({"size": size, "counts": runs}, *size)


@given(st.lists(st.integers(0, 2**28), max_size=9))
def test_long_runs_are_written_whole(runs):
    """Four runs of 2**24 and more make pycocotools write beyond its memory."""
    assert pixels([compressed(np.array(runs, np.int64), (1, 1))["counts"]]).tolist() == [sum(runs)]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("with_core", [True, False])
def test_segments_are_encoded_as_pycocotools_does(monkeypatch, seed, with_core):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, tuple(rng.integers(1, 9, 2))).astype(np.uint32)
    labels[rng.integers(0, len(labels)) :, rng.integers(0, labels.shape[1]) :] = 9
    ids, _, _ = ids_of(labels)
    if not with_core:
        monkeypatch.setattr(core, "library", lambda: None)
    file = png.write(png.samples(labels, png.RGB), filters=(4, 2))
    expected = [mask.encode(np.asfortranarray(labels == i, np.uint8)) for i in ids.id.tolist()]
    assert encode_segments(file, ids, labels.shape) == [{**e, "size": list(e["size"])} for e in expected]
