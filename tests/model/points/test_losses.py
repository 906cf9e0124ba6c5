import math
from pathlib import Path

import pytest
import torch

from model.points.losses import mask_focal_loss, semantic_focal_loss
from tests.support import golden_baselines


@pytest.mark.parametrize("file", golden_baselines.cases("adaptis_focal"))
def test_as_the_authors_code(file: Path) -> None:
    case = {k: torch.from_numpy(v) for k, v in golden_baselines.read(file).items() if v.ndim}
    numbers = {k: float(v) for k, v in golden_baselines.read(file).items() if not v.ndim}
    for name in "sigmoid", "softmax":
        logits = case[f"{name}_logits"].clone().requires_grad_()
        label = case[f"{name}_label"]
        if name == "sigmoid":
            loss = mask_focal_loss(logits[:, 0], label[:, 0], numbers["alpha"], numbers["sigmoid_gamma"])
        else:
            loss = semantic_focal_loss(logits, label, numbers["softmax_gamma"])
        torch.testing.assert_close(loss, case[f"{name}_loss"], rtol=1e-4, atol=1e-5)
        loss.sum().backward()
        torch.testing.assert_close(logits.grad, case[f"{name}_grad"], rtol=1e-4, atol=1e-5)


def test_without_focus_half_the_mean_cross_entropy() -> None:
    logits = torch.tensor([[[1.0, -2.0], [0.0, 3.0]]])
    labels = torch.tensor([[[1, 0], [0, 1]]])
    expected = sum(math.log1p(math.exp(-x)) for x in (1, 2, 0, 3)) / 4 / 2
    assert mask_focal_loss(logits, labels, 0.5, 0).item() == pytest.approx(expected)


def test_ignored_pixels_count_only_among_all() -> None:
    logits, labels = torch.tensor([[[1.0, -2.0]]]), torch.tensor([[[1, 0]]])
    more, unknown = torch.tensor([[[1.0, -2.0, 7.0, -9.0]]]), torch.tensor([[[1, 0, -1, -1]]])
    assert mask_focal_loss(more, unknown, 0.25).item() == pytest.approx(
        2 * mask_focal_loss(logits, labels, 0.25).item()
    )


def test_semantics_by_hand() -> None:
    logits = torch.zeros(1, 2, 1, 3)
    logits[0, 0, 0, 1] = math.log(3)  # probabilities 1/2 and 3/4 of the truth; the third pixel is unknown
    labels = torch.tensor([[[0, 0, -1]]])
    expected = (0.5 * math.log(2) + 0.25 * math.log(4 / 3)) / 0.75
    assert semantic_focal_loss(logits, labels).item() == pytest.approx(expected)


@pytest.mark.parametrize("certain", [0.0, 200.0])
def test_zero_and_finite_where_nothing_is_known_or_all_is_certain(certain: float) -> None:
    labels = torch.full((1, 2, 2), -1 if certain == 0 else 0)
    logits = torch.full((1, 2, 2), -certain, requires_grad=True)
    planes = torch.stack([torch.full((2, 2), certain), torch.zeros(2, 2)])[None].requires_grad_()
    for loss, given in (mask_focal_loss(logits, labels, 0.25), logits), (semantic_focal_loss(planes, labels), planes):
        assert loss.item() == pytest.approx(0)
        loss.sum().backward()
        assert given.grad is not None
        assert given.grad.isfinite().all()
