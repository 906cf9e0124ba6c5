"""Laws of the crop-aware box loss, and agreement with a brute-force search."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from box_oracle import lowest_loss
from hypothesis import given, settings
from hypothesis import strategies as st

from crop_aware.cabb import crop_aware_loss, crop_aware_targets, feasible, impossible, reduce_o2
from crop_aware.coding import decode, encode
from crop_aware.standard import box_loss
from model.config import Weights

CROP = (384, 512)
UNIT_WEIGHTS, ROI_HEAD = Weights(), Weights(10, 5)
LEFT, TOP, RIGHT, BOTTOM = torch.eye(4, dtype=torch.bool).unbind()
NONE = torch.zeros(4, dtype=torch.bool)


def rows(seed: int, n: int = 64, *, weights: Weights = UNIT_WEIGHTS, dtype=torch.float32):
    """Random predictions around and far from random proposals; visible boxes and open sides fit each other."""
    rng = np.random.default_rng(seed)
    width_height = np.array(CROP[::-1])
    side = np.exp(rng.uniform(np.log(0.5), np.log(2000), (n, 2)))
    corner = rng.uniform(-0.5, 1.3, (n, 2)) * width_height - side / 2
    sides_open = rng.random((n, 2, 2)) < 0.5
    edges = np.sort(rng.uniform(0, width_height[:, None] - 1, (n, 2, 2)), -1) + np.array([0, 1])  # a pixel at least
    edges = np.where(sides_open, np.stack([0 * width_height, width_height], -1), edges)
    offset = rng.normal(size=(n, 2)) * np.exp(rng.uniform(-4, 4, (n, 2)))
    log_size = rng.uniform(-6, 6, (n, 2))
    arrays = (
        np.concatenate([weights.centre * offset, weights.size * log_size], -1),
        np.concatenate([corner, corner + side], -1),
        edges.transpose(0, 2, 1).reshape(n, 4),
    )
    return *(torch.tensor(a, dtype=dtype) for a in arrays), torch.tensor(sides_open.transpose(0, 2, 1).reshape(n, 4))


def cropped(boxes, crop_size=CROP):
    height, width = crop_size
    return torch.minimum(boxes.clamp(min=0), torch.tensor([width, height, width, height]))


laws = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
betas = st.sampled_from([0.02, 1 / 9, 0.5, 1.0, 3.0])
heads = st.sampled_from([UNIT_WEIGHTS, ROI_HEAD, Weights(10, 2), Weights(1, 0.3)])


# The oracle


@pytest.mark.parametrize("beta", [0.02, 1 / 9, 1.0, 3.0])
@pytest.mark.parametrize("weights", [UNIT_WEIGHTS, ROI_HEAD, Weights(10, 2)], ids=str)
def test_is_the_lowest_loss_that_a_dense_search_finds(beta, weights):
    case = rows(0, 400, weights=weights)
    expected = lowest_loss(*case, CROP, beta=beta, center_weight=weights.centre, size_weight=weights.size)
    assert crop_aware_loss(*case, CROP, beta=beta, weights=weights).numpy() == pytest.approx(
        expected, rel=1e-6, abs=1e-6
    )


@pytest.mark.parametrize("beta", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("weights", [UNIT_WEIGHTS, Weights(10, 2), Weights(3, 1)], ids=str)
def test_is_the_lowest_of_several_local_minima(beta, weights):
    """Where the pull towards the predicted center and the pull towards the predicted size are about as strong."""
    rng = np.random.default_rng(0)
    n, crop = 400, (1024, CROP[1])
    turning = 2 * weights.size / weights.centre  # where two lines of equal slope meet: q/p
    predicted = turning * np.exp(rng.uniform(-2.5, 1, n))
    wanted = predicted * np.exp(rng.uniform(0, 3, n)) + rng.uniform(0, 2, n) * beta / weights.centre
    least = predicted * np.exp(rng.uniform(-3, 1, n))
    proposals = np.tile([0.0, 100, 64, 164], (n, 1))
    visible = np.stack([np.zeros(n), crop[0] - 64 * least, np.full(n, 64.0), np.full(n, crop[0])], -1)
    below = (visible[:, 1] - 132) / 64
    deltas = np.stack(
        [0 * below, weights.centre * (below + wanted / 2), 0 * below, weights.size * np.log(predicted)], -1
    )
    case = *(torch.tensor(a) for a in (deltas, proposals, visible)), BOTTOM.expand(n, 4)
    expected = lowest_loss(*case, crop, beta=beta, center_weight=weights.centre, size_weight=weights.size)
    assert crop_aware_loss(*case, crop, beta=beta, weights=weights).numpy() == pytest.approx(expected, abs=1e-9)


# Laws from the definition


@given(seed=seeds, beta=betas, weights=heads)
@laws
def test_no_box_that_looks_the_same_in_the_crop_is_a_better_target(seed, beta, weights):
    deltas, proposals, visible, open_sides = case = rows(seed, weights=weights, dtype=torch.float64)
    loss = crop_aware_loss(*case, CROP, beta=beta, weights=weights)
    predicted = decode(deltas, proposals, weights)
    generator = torch.Generator().manual_seed(seed % 2**31)
    beyond = 300 * torch.rand(200, 1, 4, generator=generator, dtype=torch.float64) ** 4
    outwards = torch.tensor([-1, -1, 1, 1])
    around = predicted + outwards * (beyond - 50)  # near the prediction, where it goes beyond the crop
    edges = torch.where(torch.rand(200, 1, 4, generator=generator) < 0.5, visible + outwards * beyond, around)
    edges = outwards * torch.maximum(outwards * edges, outwards * visible)
    boxes = torch.where(open_sides, edges, visible)
    torch.testing.assert_close(cropped(boxes), visible.expand_as(boxes))
    others = F.smooth_l1_loss(
        encode(boxes, proposals.expand_as(boxes), weights), deltas.expand_as(boxes), reduction="none", beta=beta
    ).sum(-1)
    assert (loss <= others * (1 + 1e-9) + 1e-9).all()


@given(seed=seeds, beta=betas, weights=heads)
@laws
def test_the_target_looks_like_the_visible_box_in_the_crop(seed, beta, weights):
    deltas, proposals, visible, open_sides = case = rows(seed, weights=weights, dtype=torch.float64)
    box = decode(crop_aware_targets(*case, CROP, beta=beta, weights=weights), proposals, weights)
    torch.testing.assert_close(cropped(box), visible, rtol=0, atol=1e-6)
    fixed = ~open_sides
    torch.testing.assert_close(box[fixed], visible[fixed], rtol=0, atol=1e-6)


@given(seed=seeds, beta=betas, weights=heads)
@laws
def test_the_loss_is_the_standard_loss_towards_the_target(seed, beta, weights):
    deltas, proposals, visible, open_sides = case = rows(seed, weights=weights, dtype=torch.float64)
    target = crop_aware_targets(*case, CROP, beta=beta, weights=weights)
    towards_target = F.smooth_l1_loss(target, deltas, reduction="none", beta=beta).sum(-1)
    loss = crop_aware_loss(*case, CROP, beta=beta, weights=weights)
    torch.testing.assert_close(loss, towards_target)
    assert (loss >= 0).all()
    assert (loss <= box_loss(deltas, proposals, visible, beta=beta, weights=weights) + 1e-9).all()


@given(seed=seeds, beta=betas, weights=heads)
@laws
def test_without_open_sides_it_is_the_standard_loss(seed, beta, weights):
    deltas, proposals, visible, open_sides = rows(seed, weights=weights, dtype=torch.float64)
    loss = crop_aware_loss(deltas, proposals, visible, NONE.expand(64, 4), CROP, beta=beta, weights=weights)
    torch.testing.assert_close(loss, box_loss(deltas, proposals, visible, beta=beta, weights=weights))


@pytest.mark.parametrize(
    ("sides", "visible", "predicted"),
    [
        (NONE, [100, 50, 200, 150], [100, 50, 200, 150]),
        (RIGHT, [400, 50, 512, 150], [400, 50, 900, 150]),
        (LEFT | TOP, [0, 0, 200, 150], [-700, -3, 200, 150]),
        (LEFT | RIGHT | BOTTOM, [0, 50, 512, 384], [-10, 50, 512, 1000]),
        (LEFT | TOP | RIGHT | BOTTOM, [0, 0, 512, 384], [-10, -20, 530, 400]),
    ],
)
@pytest.mark.parametrize("weights", [UNIT_WEIGHTS, ROI_HEAD], ids=str)
def test_a_prediction_that_looks_like_the_visible_box_costs_nothing(sides, visible, predicted, weights):
    proposal = torch.tensor([[120.0, 60, 300, 200]])
    deltas = encode(torch.tensor([predicted]), proposal, weights)
    loss = crop_aware_loss(
        deltas, proposal, torch.tensor([visible]).float(), sides[None], CROP, beta=0.1, weights=weights
    )
    assert loss.item() == pytest.approx(0, abs=1e-9)


def test_one_open_side_by_hand():
    # A proposal of 100 x 100 at 300..400; the object is seen from 350 to the right border at 512 and goes on.
    # Predicted: center 450, width 150, from 375 to 525. With the left edge at 350, ω̂ = 2 (450 − 350)/100 = 2,
    # ω_P = 1.5, ω₀ = 1.62. For a large beta both terms are quadratic: f' ∝ (ω − 2)/4 + log(ω/1.5)/ω = 0.
    root = 1.65
    for _ in range(50):
        slope = (root - 2) / 4 + math.log(root / 1.5) / root
        root -= slope / (1 / 4 + (1 - math.log(root / 1.5)) / root**2)
    assert root > 1.62
    proposal, visible = torch.tensor([[300.0, 100, 400, 200]]), torch.tensor([[350.0, 100, 512, 200]])
    deltas = encode(torch.tensor([[375.0, 100, 525, 200]]), proposal)
    target = crop_aware_targets(deltas, proposal, visible, RIGHT[None], CROP, beta=5.0)
    assert decode(target, proposal).tolist() == [pytest.approx([350, 100, 350 + 100 * root, 200], abs=1e-4)]


@given(seed=seeds)
@laws
def test_a_box_is_feasible_exactly_if_it_equals_the_visible_one_once_cropped(seed):
    """The intervals of `feasible` against their definition, on boxes whose sides move inwards or outwards or stay."""
    _, proposals, visible, open_sides = rows(seed, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed % 2**31)
    outwards = torch.tensor([-1, -1, 1, 1])
    boxes = visible + 0.4 * outwards * torch.randint(-1, 2, (50, 64, 4), generator=generator)
    # A fixed side at the border may not move outwards, though it would look the same: there the object ends.
    boxes = torch.where(open_sides, boxes, torch.minimum(boxes.clamp(min=0), torch.tensor([*CROP[::-1]] * 2)))
    a, b = (side.T for side in feasible(proposals, visible, open_sides, CROP))
    center, size = (proposals[:, :2] + proposals[:, 2:]) / 2, proposals[:, 2:] - proposals[:, :2]
    beyond = torch.cat([a - (boxes[..., :2] - center) / size, (boxes[..., 2:] - center) / size - b], -1)
    is_feasible = torch.where(open_sides, beyond > -1e-9, beyond.abs() < 1e-9)
    looks_the_same = (cropped(boxes) - visible).abs() < 1e-6
    assert torch.equal(is_feasible, looks_the_same)


def test_o2_by_hand():
    """Both sides open, [a, b] = [-1, 2]: covered; not covered, nearer to the upper border; nearer to the lower one."""
    center, size = torch.tensor([[0.5, 1.0, 0.0]] * 2), torch.tensor([[3.0, 3.9, 3.9]] * 2)
    a, b = torch.full((2, 3), -1.0), torch.full((2, 3), 2.0)
    covers, glued_below = reduce_o2(center.double(), size.double().log() + 1e-12, a.double(), b.double())
    assert covers.tolist() == [[True, False, False]] * 2
    assert glued_below.tolist()[0][1:] == [True, False]


@pytest.mark.parametrize("weights", [(10, 10, 5, 5), (8, 3, 5, 2)])
def test_weights_are_also_taken_as_four(weights):
    """As detectron2 and torchvision write them: of dx, dy, log dw, log dh. The two dimensions do not see each other."""
    dx, dy, dw, dh = weights
    deltas, proposals, visible, open_sides = rows(11, weights=Weights(5, 3), dtype=torch.float64)
    loss, target = (
        f(deltas, proposals, visible, open_sides, CROP, beta=1.0, weights=weights)
        for f in (crop_aware_loss, crop_aware_targets)
    )
    horizontal, vertical = (
        crop_aware_targets(deltas, proposals, visible, open_sides, CROP, beta=1.0, weights=pair)
        for pair in (Weights(dx, dw), Weights(dy, dh))
    )
    expected = torch.stack([horizontal[:, 0], vertical[:, 1], horizontal[:, 2], vertical[:, 3]], -1)
    torch.testing.assert_close(target, expected)
    torch.testing.assert_close(loss, F.smooth_l1_loss(deltas, expected, reduction="none", beta=1.0).sum(-1))
    torch.testing.assert_close(encode(decode(deltas, proposals, weights), proposals, weights), deltas)


# Symmetries


@given(seed=seeds, beta=betas, weights=heads, scale=st.floats(0.01, 100))
@laws
def test_invariant_to_a_common_scale(seed, beta, weights, scale):
    deltas, proposals, visible, open_sides = case = rows(seed, weights=weights, dtype=torch.float64)
    scaled_crop = (scale * CROP[0], scale * CROP[1])
    scaled = crop_aware_loss(
        deltas, scale * proposals, scale * visible, open_sides, scaled_crop, beta=beta, weights=weights
    )
    torch.testing.assert_close(scaled, crop_aware_loss(*case, CROP, beta=beta, weights=weights), rtol=1e-6, atol=1e-7)


@given(seed=seeds, beta=betas, weights=heads)
@laws
def test_invariant_to_a_reflection_and_to_swapping_x_and_y(seed, beta, weights):
    deltas, proposals, visible, open_sides = case = rows(seed, weights=weights, dtype=torch.float64)
    expected = crop_aware_loss(*case, CROP, beta=beta, weights=weights)

    def mirrored(boxes):
        x0, y0, x1, y1 = boxes.unbind(-1)
        return torch.stack([CROP[1] - x1, y0, CROP[1] - x0, y1], -1)

    mirror = deltas * torch.tensor([-1, 1, 1, 1])
    loss = crop_aware_loss(
        mirror, mirrored(proposals), mirrored(visible), open_sides[:, [2, 1, 0, 3]], CROP, beta=beta, weights=weights
    )
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-7)
    swapped = (t[:, [1, 0, 3, 2]] for t in case)
    torch.testing.assert_close(crop_aware_loss(*swapped, CROP[::-1], beta=beta, weights=weights), expected)


@given(seed=seeds, shift=st.floats(0, 1000))
@laws
def test_invariant_to_a_translation(seed, shift):
    tall = (CROP[0] + 1000, CROP[1])
    deltas, proposals, visible, open_sides = rows(seed, dtype=torch.float64)
    open_sides = open_sides & (LEFT | RIGHT)  # the crop's own origin is fixed: translate along y, where nothing is cut
    moved = torch.tensor([0, shift, 0, shift], dtype=torch.float64)
    torch.testing.assert_close(
        crop_aware_loss(deltas, proposals + moved, visible + moved, open_sides, tall, beta=0.3),
        crop_aware_loss(deltas, proposals, visible, open_sides, tall, beta=0.3),
    )


# Gradients and precision


@pytest.mark.parametrize("beta", [1 / 9, 1.0])
@pytest.mark.parametrize("weights", [UNIT_WEIGHTS, ROI_HEAD], ids=str)
def test_gradient(beta, weights):
    deltas, *others = rows(3, 40, weights=weights, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda d: crop_aware_loss(d, *others, CROP, beta=beta, weights=weights), deltas.requires_grad_()
    )


def test_the_target_carries_no_gradient():
    deltas, *others = rows(4)
    assert not crop_aware_targets(deltas.requires_grad_(), *others, CROP, beta=1.0).requires_grad


WILD = [-1e30, -1e4, -50.0, 0.0, 50.0, 1e4, 1e30]


@pytest.mark.parametrize("beta", [0.02, 3.0])
@pytest.mark.parametrize(
    ("proposal", "visible"),
    [
        ([0, 0, 1, 1], [0, 0, 512, 384]),  # a box hundreds of times the proposal
        ([-9e3, -9e3, -8e3, -8e3], [0, 0, 1, 1]),  # far outside
        ([0, 0, 1e5, 1e5], [511, 383, 512, 384]),
    ],
)
def test_extreme_inputs_stay_finite(proposal, visible, beta):
    offsets, log_sizes, sides = torch.tensor(WILD), torch.tensor(WILD), torch.arange(16.0)
    offset, log_size, side = torch.cartesian_prod(offsets, log_sizes, sides).unbind(-1)
    deltas = torch.stack([offset, -offset, log_size, -log_size], -1).requires_grad_()
    touches = torch.tensor(visible) == torch.tensor([0, 0, *CROP[::-1]])
    open_sides = torch.stack([side.int() >> bit & 1 == 1 for bit in range(4)], -1) & touches
    fixed = [torch.tensor([box], dtype=torch.float32).expand(len(deltas), 4) for box in (proposal, visible)]
    loss = crop_aware_loss(deltas, *fixed, open_sides, CROP, beta=beta, weights=ROI_HEAD)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert deltas.grad.abs().max() <= 1 + 1e-6  # a Huber loss pulls with 1 at most


@pytest.mark.parametrize("log_size", [200.0, 1e4, 1e30])
def test_a_wild_size_has_the_target_of_a_large_one(log_size):
    """Far from the visible box the loss is linear: how far makes no difference to the best target."""
    _, proposals, visible, open_sides = rows(9)
    offset, zeros = torch.zeros(64), torch.zeros(64)
    wild, large = (torch.stack([offset, zeros, zeros + s, zeros + s], -1) for s in (log_size, 40.0))
    one_side = open_sides & (LEFT | BOTTOM)
    torch.testing.assert_close(
        crop_aware_targets(wild, proposals, visible, one_side, CROP, beta=1.0),
        crop_aware_targets(large, proposals, visible, one_side, CROP, beta=1.0),
    )


def test_a_thousand_times_the_proposal_in_float32():
    """Where target and prediction are both about 5,000, float32 would lose their difference."""
    proposal, visible = torch.tensor([[0.0, 100, 0.5, 101]]), torch.tensor([[0.0, 100, 512, 101]])
    deltas = encode(torch.tensor([[-1.0, 100, 515, 101]]), proposal, ROI_HEAD)
    expected = lowest_loss(deltas, proposal, visible, LEFT[None], CROP, beta=0.02, center_weight=10, size_weight=5)
    loss = crop_aware_loss(deltas, proposal, visible, LEFT[None], CROP, beta=0.02, weights=ROI_HEAD)
    assert expected > 0.001
    assert loss.numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_predictions_are_upcast(dtype):
    deltas, *others = rows(5)
    deltas = deltas.clamp(-100, 100).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = crop_aware_loss(deltas, *others, CROP, beta=1.0)
        target = crop_aware_targets(deltas, *others, CROP, beta=1.0)
    assert loss.dtype == target.dtype == torch.float32
    torch.testing.assert_close(loss, crop_aware_loss(deltas.float(), *others, CROP, beta=1.0), rtol=0, atol=0)


def test_precision_of_the_result_is_that_of_the_predictions():
    deltas, *others = rows(6, dtype=torch.float64)
    assert crop_aware_loss(deltas, *others, CROP, beta=1.0).dtype == torch.float64
    assert crop_aware_loss(deltas.float(), *others, CROP, beta=1.0).dtype == torch.float32


def test_no_rows():
    deltas, proposals, visible, open_sides = (t[:0] for t in rows(0))
    loss = crop_aware_loss(deltas.requires_grad_(), proposals, visible, open_sides, CROP, beta=1.0)
    loss.sum().backward()
    assert loss.shape == (0,)


# What is no visible box


@pytest.mark.parametrize("sides", [NONE, RIGHT, LEFT | TOP | RIGHT | BOTTOM])
@pytest.mark.parametrize("call", [crop_aware_loss, crop_aware_targets])
def test_full_boxes_are_refused(call, sides):
    deltas, proposals, visible, _ = rows(0, 5)
    visible[:] = torch.tensor([0.0, 0, CROP[1], CROP[0]])
    visible[[1, 3], 2] = torch.tensor([CROP[1] + 40.0, CROP[1] + 1.0])
    with pytest.raises(ValueError, match=r"reaches beyond the crop in rows 1, 3 \(2 rows\); expected the part"):
        call(deltas, proposals, visible, sides.expand(5, 4), CROP, beta=1.0)


@pytest.mark.parametrize("side", range(4))
def test_an_open_side_touches_its_border(side):
    deltas, proposals, visible, open_sides = rows(0, 3)
    open_sides[:] = torch.eye(4)[side].bool()
    border = torch.tensor([0.0, 0, CROP[1], CROP[0]])
    visible[:] = border + 10 * torch.tensor([1.0, 1, -1, -1])
    visible[:2, side] = border[side]
    with pytest.raises(ValueError, match=r"ends before a border that is open in rows 2 \(1 rows\)"):
        crop_aware_loss(deltas, proposals, visible, open_sides, CROP, beta=1.0)
    assert (
        crop_aware_loss(deltas, proposals, visible, open_sides & torch.tensor([[1], [1], [0]]).bool(), CROP, beta=1.0)
        .isfinite()
        .all()
    )


@given(seed=seeds, size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)))
@laws
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_a_crop_shows_is_never_refused(seed, size, dtype):
    """Boxes rescaled, cropped and mirrored, with the rounding of each step."""
    generator = torch.Generator().manual_seed(seed % 2**31)
    border = torch.tensor([size[1], size[0]] * 2)
    corner = (torch.rand(64, 2, generator=generator) * 3 - 1.5).repeat(1, 2) * border
    full = corner + torch.rand(64, 2, generator=generator).repeat(1, 2) * torch.tensor([0, 0, 2, 2]) * border
    third = (full / 3).to(dtype) * 3
    visible = torch.minimum(third.clamp(min=0), border.to(dtype))
    mirrored = (border - visible)[:, [2, 1, 0, 3]].to(dtype)
    mirrored[:, [1, 3]] = visible[:, [1, 3]]
    for boxes in (visible, mirrored):
        touches = torch.cat([boxes[:, :2] <= 0, boxes[:, 2:] >= border[2:].to(dtype)], 1)
        assert not impossible(boxes, touches, size).any()


def test_where_nothing_may_wait_a_full_box_is_nan():
    compiled = torch.compile(crop_aware_loss, fullgraph=True, backend="aot_eager")
    deltas, proposals, visible, open_sides = rows(7)
    visible[5, 3] = CROP[0] + 100
    loss = compiled(deltas, proposals, visible, open_sides, CROP, beta=1.0)
    assert loss.isnan().nonzero().tolist() == [[5]]


# Where it runs


def test_shapes_and_flow_do_not_depend_on_values():
    """Tensors without values suffice: nothing waits for the device, nothing is selected by value."""
    case = [t.to("meta") for t in rows(0)]
    assert crop_aware_loss(*case, CROP, beta=3.0).shape == (64,)


@pytest.mark.parametrize("beta", [1 / 9, 3.0])
def test_compiles_to_one_graph(beta):
    compiled = torch.compile(crop_aware_loss, fullgraph=True, backend="aot_eager")
    deltas, *others = rows(7)
    expected, loss = (f(deltas.clone().requires_grad_(), *others, CROP, beta=beta) for f in (crop_aware_loss, compiled))
    torch.testing.assert_close(loss, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_and_never_waits_for_the_device():
    case = rows(8, 1024)
    on_device = [t.cuda() for t in case]
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss = crop_aware_loss(*on_device, CROP, beta=1.0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(loss.cpu(), crop_aware_loss(*case, CROP, beta=1.0), rtol=1e-6, atol=1e-6)
