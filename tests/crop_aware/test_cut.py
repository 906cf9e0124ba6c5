import pytest
import torch

from crop_aware import crop_aware_loss, crop_aware_loss_from_full, cut_boxes
from crop_aware.standard import box_loss

CROP = (100.0, 50.0, 200.0, 130.0)
"""100 wide, 80 high."""


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_boxes_are_cut_and_moved_to_the_frame_of_the_crop():
    full = boxes([90, 60, 150, 100], [120, 60, 260, 200], [100, 50, 200, 130], [0, 0, 300, 300])
    visible, open_sides = cut_boxes(full, CROP)
    assert visible.tolist() == [[0, 10, 50, 50], [20, 10, 100, 80], [0, 0, 100, 80], [0, 0, 100, 80]]
    assert open_sides.int().tolist() == [[1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]


def test_a_box_that_the_crop_does_not_show_has_no_area():
    visible, _ = cut_boxes(boxes([0, 60, 90, 70], [210, 60, 220, 70], [110, 0, 120, 40]), CROP)
    size = visible[:, 2:] - visible[:, :2]
    assert (size.min(1).values <= 0).all()
    assert (visible >= 0).all()
    assert (visible <= torch.tensor([100, 80, 100, 80])).all()


def test_the_loss_from_full_boxes_is_that_of_the_cut_ones():
    full, proposals = boxes([90, 60, 150, 100], [120, 60, 260, 200]), boxes([0, 8, 48, 52], [18, 12, 99, 79])
    deltas = torch.tensor([[0.1, 0, 0.2, 0], [0, 0.3, 0.1, -0.2]], dtype=torch.float64)
    found = crop_aware_loss_from_full(deltas, proposals, full, CROP, beta=1.0, weights=(10, 10, 5, 5))
    visible, open_sides = cut_boxes(full, CROP)
    expected = crop_aware_loss(deltas, proposals, visible, open_sides, (80.0, 100.0), beta=1.0, weights=(10, 10, 5, 5))
    assert found.tolist() == expected.tolist()
    inside = boxes([120, 60, 150, 100])
    standard = box_loss(deltas[:1], proposals[:1], inside - boxes([100, 50, 100, 50]), beta=1.0)
    assert crop_aware_loss_from_full(deltas[:1], proposals[:1], inside, CROP, beta=1.0).tolist() == standard.tolist()


def test_what_cannot_be_is_refused():
    one = boxes([0, 0, 10, 10])
    with pytest.raises(ValueError, match=r"shows nothing of the boxes in rows \[0\]"):
        crop_aware_loss_from_full(one * 0, one, one, CROP, beta=1.0)
    with pytest.raises(ValueError, match="expected x0, y0, x1, y1 with x1 above x0"):
        cut_boxes(one, (10, 10, 10, 20))
