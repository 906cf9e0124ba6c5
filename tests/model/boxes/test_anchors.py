import pytest
import torch

from model.boxes.anchors import anchors, level_anchors


def test_a_drawing():
    """Two levels of a 16x8 image: 2 x 1 cells of stride 8, one of stride 16."""
    fine, coarse = anchors([(1, 2), (1, 1)], [8, 16], scale=1, ratios=[1, 4])
    assert fine.tolist() == [[0, 0, 8, 8], [2, -4, 6, 12], [8, 0, 16, 8], [10, -4, 14, 12]]
    assert coarse.tolist() == [[0, 0, 16, 16], [4, -8, 12, 24]]


@pytest.mark.parametrize("ratio", [0.2, 0.5, 1, 2, 5])
def test_ratios_are_height_over_width_and_keep_the_area(ratio):
    ((x0, y0, x1, y1),) = anchors([(1, 1)], [16], scale=2.5, ratios=[ratio])[0].double().tolist()
    assert (y1 - y0) / (x1 - x0) == pytest.approx(ratio)
    assert (y1 - y0) * (x1 - x0) == pytest.approx(40**2)


def test_rows_run_over_ratios_then_columns_then_rows():
    (level,) = anchors([(3, 4)], [8], scale=1, ratios=[1, 2])
    centers = ((level[:, :2] + level[:, 2:]) / 2).view(3, 4, 2, 2)
    assert (centers[..., 0] == torch.tensor([4.0, 12, 20, 28])[None, :, None]).all()
    assert (centers[..., 1] == torch.tensor([4.0, 12, 20])[:, None, None]).all()


def test_anchors_of_all_levels_are_made_once_and_serve_training_after_prediction():
    """What is made in inference mode could not be saved for a backward pass."""
    level_anchors.cache_clear()
    sizes, device = ((2, 3), (1, 2)), torch.device("cpu")

    def asked():
        return level_anchors(sizes, (4, 8), scale=2.0, ratios=(0.5, 2.0), device=device)

    with torch.inference_mode():
        boxes, level = asked()
    assert asked()[0] is boxes
    assert not boxes.is_inference()
    assert torch.equal(boxes, torch.cat(anchors(sizes, (4, 8), scale=2.0, ratios=(0.5, 2.0))))
    assert level.tolist() == [0] * 12 + [1] * 4
