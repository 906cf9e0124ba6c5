import socket

import pytest
import torch
import torch.nn.functional as F
from torch import distributed, nn

from model.ops import abn as module
from model.ops.abn import ABN, SMALLEST_SCALE

SHAPES = [(4, 5, 6, 7), (3, 5, 1, 2), (9, 5)]


def twins(activation=True, channels=5):
    """Ours, and BatchNorm with the same parameters: scales of both signs."""
    ours, theirs = ABN(channels, activation=activation), nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor([1.0, -0.7, 0.1, 2.0, -3.0])[:channels])
        theirs.bias.copy_(torch.randn(channels, generator=generator))
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def reference(norm, x, activation):
    y = F.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training, norm.momentum, norm.eps
    )
    return F.leaky_relu(y, 0.01) if activation else y


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("activation", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_gradients_and_state_are_those_of_batch_norm(shape, activation, memory_format):
    ours, theirs = twins(activation)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        x = torch.randn(shape, generator=generator) * 3 + 1
        if x.dim() == 4:
            x = x.to(memory_format=memory_format)
        weights = torch.randn(shape, generator=generator)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        got, expected = ours(a), reference(theirs, b, activation)
        torch.testing.assert_close(got, expected)
        (got * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)
        torch.testing.assert_close(ours.running_mean, theirs.running_mean)
        torch.testing.assert_close(ours.running_var, theirs.running_var)
    assert ours.num_batches_tracked == 3
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), reference(theirs, x, activation))


def test_state_dicts_are_interchangeable():
    assert set(ABN(5).state_dict()) == set(nn.BatchNorm2d(5).state_dict())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_memory_format_is_kept(memory_format):
    x = torch.randn(2, 5, 4, 4).to(memory_format=memory_format).requires_grad_()
    y = ABN(5)(x)
    y.square().sum().backward()
    assert y.is_contiguous(memory_format=memory_format)
    assert x.grad.is_contiguous(memory_format=memory_format)


def kept_for_backward(network, x):
    """Bytes of the distinct tensors that autograd saves, those of the input and the parameters left out."""
    own = {t.untyped_storage().data_ptr() for t in [x, *network.parameters()]}
    seen = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = (storage.nbytes(), tensor)  # the tensor: its address is not used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = network(x)
    assert y.requires_grad
    return sum(size for size, _ in seen.values())


def test_only_the_output_is_kept():
    def chain(norm):
        return nn.Sequential(*[part for _ in range(4) for part in (nn.Conv2d(8, 8, 1, bias=False), *norm())])

    x = torch.randn(2, 8, 32, 32)
    ours = kept_for_backward(chain(lambda: [ABN(8)]), x)
    theirs = kept_for_backward(chain(lambda: [nn.BatchNorm2d(8), nn.LeakyReLU(0.01, inplace=True)]), x)
    assert ours < 0.52 * theirs  # one map a layer in place of two


def test_bfloat16_keeps_its_type_and_is_close():
    ours, theirs = twins()
    x = torch.randn(8, 5, 16, 16, generator=torch.Generator().manual_seed(2)).bfloat16()
    a, b = x.clone().requires_grad_(), x.float().requires_grad_()
    got, expected = ours(a), reference(theirs, b, activation=True)
    assert got.dtype == torch.bfloat16
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    (got.float() * weights).sum().backward()
    (expected * weights).sum().backward()
    assert a.grad.dtype == torch.bfloat16
    assert (a.grad.float() - b.grad).norm() < 0.02 * b.grad.norm()
    assert (ours.weight.grad - theirs.weight.grad).norm() < 0.02 * theirs.weight.grad.norm()


@pytest.mark.parametrize("scale", [0.0, -0.0, 1e-9, -1e-9])
def test_a_scale_of_zero_is_kept_away_from_zero(scale):
    norm = ABN(1)
    nn.init.constant_(norm.weight, scale)
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(4), requires_grad=True)
    y = norm(x)
    assert y.abs().max() < 4 * SMALLEST_SCALE
    (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(5))).sum().backward()
    assert x.grad.isfinite().all()
    assert norm.weight.grad.abs() > 0.1  # so that it can leave


def test_one_number_a_channel_has_no_variance_to_remember():
    norm, x = ABN(5), torch.full((1, 5), 7.0, requires_grad=True)
    norm(x).sum().backward()
    assert norm.running_mean.tolist() == pytest.approx([0.7] * 5)
    assert norm.running_var.tolist() == [1] * 5
    assert x.grad.isfinite().all()


def test_no_rows_change_nothing():
    norm = ABN(5)
    x = torch.zeros(0, 5, 3, 3, requires_grad=True)
    y = norm(x)
    assert y.shape == x.shape
    y.sum().backward()
    assert (norm.weight.grad == 0).all()
    assert (norm.running_mean == 0).all()
    assert (norm.running_var == 1).all()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def one_of_two_ranks(rank, port, rows, x, weights, out):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    ours, _ = twins()
    mine = (x.split(rows)[rank]).clone().requires_grad_()
    y = ours(mine)
    (y * weights.split(rows)[rank]).sum().backward()
    out[rank] = [
        t.detach() for t in (y, mine.grad, ours.weight.grad, ours.bias.grad, ours.running_mean, ours.running_var)
    ]
    distributed.destroy_process_group()


@pytest.mark.parametrize("rows", [(3, 3), (5, 1), (6, 0), (0, 0)])
def test_two_ranks_are_as_good_as_one(rows):
    generator = torch.Generator().manual_seed(6)
    x, weights = (torch.randn(sum(rows), 5, 4, 4, generator=generator) * 2 + 1 for _ in range(2))
    with torch.multiprocessing.Manager() as manager:
        out = manager.dict()
        torch.multiprocessing.spawn(one_of_two_ranks, (free_port(), rows, x, weights, out), nprocs=2)
        ranks = [out[0], out[1]]
    ours, _ = twins()
    whole = x.clone().requires_grad_()
    y = ours(whole)
    (y * weights).sum().backward()
    torch.testing.assert_close(torch.cat([r[0] for r in ranks]), y)
    torch.testing.assert_close(torch.cat([r[1] for r in ranks]), whole.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ranks[0][2] + ranks[1][2], ours.weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ranks[0][3] + ranks[1][3], ours.bias.grad)
    for r in ranks:
        torch.testing.assert_close(r[4], ours.running_mean)
        torch.testing.assert_close(r[5], ours.running_var)


def test_gradcheck(monkeypatch):
    monkeypatch.setattr(module, "SLOPE", 0.2)
    norm = ABN(3).double()
    x = torch.randn(3, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(7), requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, w, b: torch.func.functional_call(norm, {"weight": w, "bias": b}, x),
        (x, norm.weight * 1.5, norm.bias + 0.3),
    )
