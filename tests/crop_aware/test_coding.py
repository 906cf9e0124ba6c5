import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crop_aware.coding import MAX_LOG_SIZE, UNIT_WEIGHTS, decode, encode
from model.config import Weights

ROI_HEAD = Weights(centre=10, size=5)


def boxes(low: float = -500, high: float = 1500) -> st.SearchStrategy[list[float]]:
    corner, side = st.floats(low, high), st.floats(1, 1000)
    return st.builds(lambda x, y, w, h: [x, y, x + w, y + h], corner, corner, side, side)


@pytest.mark.parametrize("weights", [UNIT_WEIGHTS, ROI_HEAD])
@given(box=boxes(), proposal=boxes())
def test_decode_undoes_encode(weights, box, proposal):
    box, proposal = torch.tensor([box, proposal], dtype=torch.float64).split(1)
    assert decode(encode(box, proposal, weights), proposal, weights) == pytest.approx(box, abs=1e-9)


def test_a_drawn_box():
    proposal, box = torch.tensor([[10.0, 20, 30, 60]]), torch.tensor([[20.0, 20, 60, 40]])
    dx, dy, dw, dh = (40 - 20) / 20, (30 - 40) / 40, math.log(40 / 20), math.log(20 / 40)
    assert encode(box, proposal).tolist() == [pytest.approx([dx, dy, dw, dh])]
    assert encode(box, proposal, ROI_HEAD).tolist() == [pytest.approx([10 * dx, 10 * dy, 5 * dw, 5 * dh])]


def test_zero_deltas_are_the_proposal():
    proposal = torch.tensor([[1.0, 2, 30, 40]])
    assert torch.equal(decode(torch.zeros(1, 4), proposal), proposal)


def test_half_precision_is_upcast_and_double_kept():
    proposal = torch.tensor([[1000.0, 1000, 1001, 1001]])  # pixels of 1000 cannot be told apart in bfloat16
    deltas = encode(proposal + 1, proposal)
    assert decode(deltas.bfloat16(), proposal).tolist() == [[1001, 1001, 1002, 1002]]
    assert decode(deltas.half(), proposal).dtype == torch.float32
    assert decode(deltas.double(), proposal.double()).dtype == torch.float64


def test_wild_predictions_decode_to_finite_boxes():
    wild = torch.tensor([[0, 0, 500.0, -500]], requires_grad=True)
    box = decode(wild, torch.tensor([[0.0, 0, 100, 100]]))
    box.sum().backward()
    assert box.isfinite().all()
    assert wild.grad.isfinite().all()
    assert (box[0, 2] - box[0, 0]).item() == pytest.approx(100 * math.exp(MAX_LOG_SIZE))
