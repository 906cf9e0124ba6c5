import math

import golden_baselines
import pytest
import torch
from golden_targets import targets_of

from model.centres.losses import hardest_pixels_loss, heat_loss, offset_loss
from model.centres.targets import center_targets


@pytest.mark.parametrize("file", golden_baselines.cases("panoptic_deeplab_losses"))
def test_golden_numbers(file):
    given = golden_baselines.read(file)
    targets = targets_of(given)
    sizes = {"sigma": float(given["sigma"]), "small_area": int(given["small_area"])}
    wanted = center_targets(targets, **sizes, small_weight=float(given["small_weight"]))
    logits, heat, offset = (torch.from_numpy(given[name])[0].requires_grad_() for name in ("logits", "heat", "offset"))
    losses = {
        "semantic_loss": hardest_pixels_loss(
            logits, targets.semantic, wanted.semantic_weight, hardest=float(given["hardest"])
        ),
        "centre_loss": 200 * heat_loss(heat[0], wanted.heat, wanted.heat_weight),
        "offset_loss": 0.01 * offset_loss(offset, wanted.offset, wanted.offset_weight),
    }
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(float(given[name]), rel=1e-5, abs=1e-7)
    sum(losses.values()).backward()
    for name, tensor in (("logits", logits), ("heat", heat), ("offset", offset)):
        torch.testing.assert_close(tensor.grad, torch.from_numpy(given[f"{name}_grad"])[0], rtol=1e-4, atol=1e-7)


def test_two_by_two_by_hand():
    logits = torch.zeros(2, 2, 2)
    logits[0] = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    semantic = torch.tensor([[0, 1], [0, 255]])
    weight = torch.tensor([[1.0, 1.0], [3.0, 1.0]])
    hard = 2 + math.log(1 + math.exp(-2))
    assert hardest_pixels_loss(logits, semantic, weight, hardest=0.5).item() == pytest.approx(
        (hard + 3 * math.log(2)) / 2, rel=1e-6
    )
    heat, wanted = torch.tensor([[0.5, 1.0], [0.0, 9.0]]), torch.tensor([[1.0, 1.0], [0.5, 0.0]])
    known = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    assert heat_loss(heat, wanted, known).item() == pytest.approx(0.5 / 3)
    offset = torch.stack([heat, 2 * heat])
    assert offset_loss(offset, 0 * offset, known).item() == pytest.approx((1.5 + 3) / 6)


def test_where_nothing_is_known_losses_are_0_and_so_are_their_gradients():
    logits, heat, offset = (torch.randn(n, 3, 3, requires_grad=True) for n in (2, 1, 2))
    none = torch.zeros(3, 3)
    total = (
        hardest_pixels_loss(logits, torch.full((3, 3), 255), none + 1, hardest=0.2)
        + heat_loss(heat[0], none, none)
        + offset_loss(offset, torch.zeros(2, 3, 3), none)
    )
    assert total.item() == 0
    total.backward()
    assert all((t.grad == 0).all() for t in (logits, heat, offset))


def test_gradients_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    logits, heat, offset = (
        torch.randn(*size, generator=generator, dtype=torch.float64).requires_grad_()
        for size in ((3, 4, 5), (4, 5), (2, 4, 5))
    )
    semantic = torch.randint(0, 3, (4, 5), generator=generator)
    weight = torch.rand(4, 5, generator=generator, dtype=torch.float64)
    wanted = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda t: hardest_pixels_loss(t, semantic, weight, hardest=0.3), (logits,))
    assert torch.autograd.gradcheck(lambda t: heat_loss(t, wanted[0], weight), (heat,))
    assert torch.autograd.gradcheck(lambda t: offset_loss(t, wanted, weight), (offset,))
