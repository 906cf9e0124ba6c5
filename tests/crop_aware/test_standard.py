import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crop_aware.coding import encode
from crop_aware.standard import box_loss
from model.config import Weights

PROPOSAL = torch.tensor([[0.0, 0, 10, 10]])


def test_quadratic_and_linear_by_hand():
    """Eq. 1: z²/(2 β) up to β, then |z| − β/2. Off by 0.5 in x and by 2 in log width, weights 1, β = 1."""
    box = torch.tensor([[0.0, 0, 10, 10]])
    deltas = torch.tensor([[0.5, 0, 2.0, 0]])
    assert box_loss(deltas, PROPOSAL, box, beta=1.0).tolist() == [pytest.approx(0.125 + 1.5)]
    assert box_loss(deltas, PROPOSAL, box, beta=0.1).tolist() == [pytest.approx(0.45 + 1.95)]


def test_weights_multiply_what_is_compared():
    box = torch.tensor([[5.0, 0, 15, 10]])  # half a proposal to the right
    assert box_loss(torch.zeros(1, 4), PROPOSAL, box, beta=1.0, weights=Weights(10, 5)).tolist() == [4.5]
    assert box_loss(torch.zeros(1, 4), PROPOSAL, box, beta=1.0, weights=(4, 10, 5, 5)).tolist() == [1.5]


@given(st.lists(st.floats(-2, 2), min_size=4, max_size=4))
def test_is_zero_at_the_box_and_positive_elsewhere(off):
    box = torch.tensor([[3.0, 4, 40, 60]])
    deltas = encode(box, PROPOSAL).double()
    assert box_loss(deltas, PROPOSAL, box, beta=1.0).item() == pytest.approx(0, abs=1e-6)
    loss = box_loss(deltas + torch.tensor([off], dtype=torch.float64), PROPOSAL, box, beta=1.0).item()
    assert (loss > 1e-8) == any(abs(z) > 2e-3 for z in off) or loss < 1e-5


def test_half_precision_is_upcast():
    deltas = torch.zeros(1, 4, dtype=torch.bfloat16)
    assert box_loss(deltas, PROPOSAL, PROPOSAL + 1, beta=1.0).dtype == torch.float32
