import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from panoptic_eval.errors import PngError
from panoptic_eval.png.label_runs import read_runs


def png(ids: np.ndarray, mode: str) -> bytes:
    buffer = io.BytesIO()
    if mode == "RGB":
        image = Image.fromarray(np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8))
    elif mode == "P":
        image = Image.fromarray(ids.astype(np.uint8), "L").convert("P")
        image.putpalette([0, 0, 0] * 256)
    else:
        image = Image.fromarray(ids.astype(np.uint16 if mode == "I;16" else np.uint8))
    image.save(buffer, "PNG")
    return buffer.getvalue()


LARGEST = {"RGB": 2**24 - 1, "I;16": 2**16 - 1, "L": 255, "P": 255}


@st.composite
def label_images(draw):
    """Few ids, so that there are runs; more rows than are inflated at a time, now and then."""
    mode = draw(st.sampled_from(list(LARGEST)))
    height, width = draw(st.sampled_from([(1, 1), (3, 7), (20, 5), (300, 3)]))
    few = st.sampled_from([0, 1, 2, 200, LARGEST[mode]])
    return draw(arrays(np.uint32, (height, width), elements=few)), mode


@given(label_images(), st.randoms(use_true_random=False))
def test_samples_what_the_pixels_are(image, random):
    ids, mode = image
    runs = read_runs(png(ids, mode))
    y = np.sort([random.randrange(ids.shape[0]) for _ in range(9)])
    x = np.sort([random.randrange(ids.shape[1]) for _ in range(9)])
    assert (runs.ids_at(y, x) == ids[np.ix_(y, x)]).all()
    assert (runs.ids_at(np.arange(ids.shape[0]), np.arange(ids.shape[1])) == ids).all()


@given(label_images(), st.floats(0, 1, exclude_max=True))
def test_picks_every_pixel_of_an_id_as_often(image, share):
    ids, mode = image
    runs = read_runs(png(ids, mode))
    wanted = int(ids[-1, -1])
    of_id = np.argwhere(ids == wanted)
    assert runs.pixel(wanted, share) == tuple(of_id[int(share * len(of_id))])


def test_an_id_without_pixels():
    with pytest.raises(ValueError, match="no pixel of id 7"):
        read_runs(png(np.zeros((2, 2), np.uint32), "L")).pixel(7, 0.5)


def test_a_damaged_file():
    with pytest.raises(PngError):
        read_runs(png(np.arange(100, dtype=np.uint32).reshape(10, 10), "RGB")[:-20])
