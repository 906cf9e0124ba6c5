import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.ops.boxes import area, clip, clipped_iou, covered, intersection, iou

SIZE = (20, 30)


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32).view(-1, 4)


@st.composite
def some_boxes(draw, low=-10, high=40):
    corner = st.integers(low, high)
    side = st.integers(1, 30)
    rows = draw(st.lists(st.tuples(corner, corner, side, side), min_size=1, max_size=5))
    return boxes(*[(x, y, x + w, y + h) for x, y, w, h in rows])


def by_pixels(a, b):
    """IoU by counting the pixels of a canvas; boxes have whole corners between -10 and 70."""

    def mask(box):
        x0, y0, x1, y1 = (int(v) + 10 for v in box)
        canvas = torch.zeros(80, 80, dtype=torch.bool)
        canvas[y0:y1, x0:x1] = True
        return canvas

    return torch.tensor([[(mask(p) & mask(q)).sum() / (mask(p) | mask(q)).sum() for q in b] for p in a])


@settings(deadline=None)
@given(some_boxes(), some_boxes())
def test_iou_counts_pixels(a, b):
    torch.testing.assert_close(iou(a, b), by_pixels(a, b))


def test_a_box_inside_out_has_no_area():
    assert area(boxes((2, 0, 1, 9), (0, 2, 9, 1), (2, 2, 1, 1), (0, 0, 2, 3))).tolist() == [0, 0, 0, 6]


def test_iou_of_empty_boxes_is_zero():
    assert iou(boxes((3, 3, 3, 3)), boxes((3, 3, 3, 3), (0, 0, 5, 5))).tolist() == [[0, 0]]


@settings(deadline=None)
@given(some_boxes())
def test_clipping_leaves_what_is_inside(a):
    clipped = clip(a, SIZE)
    torch.testing.assert_close(area(clipped), intersection(a, boxes((0, 0, SIZE[1], SIZE[0])))[:, 0])
    assert (clipped >= 0).all()
    assert (clipped <= torch.tensor([30, 20, 30, 20])).all()


@settings(deadline=None)
@given(some_boxes(), st.lists(st.booleans(), min_size=4, max_size=4))
def test_clipped_iou_clips_on_open_sides_only(anchors, sides):
    visible = boxes((5, 0, 30, 12))
    expected = []
    for x0, y0, x1, y1 in anchors.tolist():
        left, top, right, bottom = sides
        clipped = (
            max(x0, 0) if left else x0,
            max(y0, 0) if top else y0,
            min(x1, 30) if right else x1,
            min(y1, 20) if bottom else y1,
        )
        outside = clipped[0] >= clipped[2] or clipped[1] >= clipped[3]
        expected.append([0.0] if outside else by_pixels([clipped], visible)[0].tolist())
    got = clipped_iou(anchors, visible, torch.tensor([sides]), SIZE)
    torch.testing.assert_close(got, torch.tensor(expected))


def test_an_anchor_as_large_as_the_full_object_matches_its_visible_part():
    visible, full = boxes((10, 5, 30, 15)), boxes((10, 5, 70, 15))
    right_is_open = torch.tensor([[False, False, True, False]])
    assert iou(full, visible).item() == pytest.approx(1 / 3)
    assert clipped_iou(full, visible, right_is_open, SIZE).item() == 1


def test_covered_counts_pixels_inside_the_image():
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[4:, 25:] = True
    got = covered(
        boxes((20, 0, 30, 8), (0, 0, 5, 5), (28, 6, 60, 10), (24, 5, 26, 7), (40, 0, 50, 10), (3, 3, 3, 3)), mask
    )
    assert got.tolist() == [0.25, 0, 1, 0.5, 0, 0]
