from collections import Counter

import boundary_reference
import numpy as np
import png
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from panoptic_eval.errors import PngError
from panoptic_eval.pairs.reference import count_labels, count_pair, near_boundary


@st.composite
def two_maps(draw):
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    ids = st.sampled_from([0, 1, 2, 255, 256, 65536, 2**24 - 1])
    return draw(arrays(np.uint32, shape, elements=ids)), draw(arrays(np.uint32, shape, elements=ids))


@given(two_maps())
def test_counts_are_those_of_a_dictionary_of_pixels(maps):
    gt, pred = maps
    height, width = gt.shape
    pairs = Counter(zip(gt.ravel().tolist(), pred.ravel().tolist(), strict=True))
    counts = count_labels(gt, pred)
    assert (counts.height, counts.width) == (height, width)
    found = zip(counts.gt.id[counts.pairs.gt].tolist(), counts.pred.id[counts.pairs.pred].tolist(), strict=True)
    assert dict(zip(found, counts.pairs.pixels.tolist(), strict=True)) == dict(pairs)
    order = list(zip(counts.pairs.gt.tolist(), counts.pairs.pred.tolist(), strict=True))
    assert order == sorted(set(order))
    for side, labels in ((counts.gt, gt), (counts.pred, pred)):
        assert side.id.tolist() == sorted(set(labels.ravel().tolist()))
        for one, area, box in zip(side.id.tolist(), side.area.tolist(), side.box.tolist(), strict=True):
            ys, xs = [y for y in range(height) if one in labels[y]], [x for x in range(width) if one in labels[:, x]]
            assert area == sum(row.count(one) for row in labels.tolist())
            assert box == [min(xs), min(ys), max(xs) + 1, max(ys) + 1]


def test_types_are_those_that_are_promised():
    counts = count_labels(np.array([[1, 2]]), np.array([[0, 0]]))
    assert [a.dtype for a in (counts.gt.area, counts.gt.box)] == [np.int64, np.int32]
    assert [a.dtype for a in (counts.pairs.gt, counts.pairs.pred, counts.pairs.pixels)] == [
        np.int32,
        np.int32,
        np.int64,
    ]


def test_errors_say_which_side_is_damaged():
    whole = png.write(np.zeros((40, 40, 3), int) + np.arange(40)[:, None, None])
    cut = whole[:-30]
    with pytest.raises(PngError, match=r"^gt: .*truncated"):
        count_pair(cut, whole)
    with pytest.raises(PngError, match=r"^pred: .*truncated"):
        count_pair(whole, cut)
    with pytest.raises(PngError, match=r"^pred: has 3 x 2 pixels; expected 40 x 40"):
        count_pair(whole, png.write(np.zeros((2, 3, 3), int)))


@given(two_maps(), st.floats(0.001, 1))
def test_pixels_near_a_boundary_are_those_that_erosions_take_from_each_segment(maps, ratio):
    gt, pred = maps
    counts = count_labels(gt, pred, ratio)
    for k, (g, p) in enumerate(zip(counts.pairs.gt, counts.pairs.pred, strict=True)):
        shared = (gt == counts.gt.id[g]) & (pred == counts.pred.id[p])
        near_gt = boundary_reference.boundary(gt == counts.gt.id[g], ratio) & shared
        near_pred = boundary_reference.boundary(pred == counts.pred.id[p], ratio) & shared
        assert counts.near[k].tolist() == [near_gt.sum(), near_pred.sum(), (near_gt & near_pred).sum()]


def test_near_a_boundary_is_what_a_window_around_shows_of_another_segment_or_of_nothing():
    drawn = np.array([[c == "#" for c in row] for row in ("######", "######", "######", "######", "#####.")])
    near = near_boundary(drawn.astype(np.uint32), 1)
    assert ["".join("x" if v else " " for v in row) for row in near] == [
        "xxxxxx",
        "x    x",
        "x    x",
        "x   xx",
        "xxxxxx",
    ]
