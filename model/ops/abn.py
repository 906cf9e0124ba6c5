"""Activated batch norm that keeps only its output.

Rota Bulò, Porzi, Kontschieder, "In-place activated batchnorm for memory-optimized training of DNNs", CVPR 2018: batch
norm and a leaky ReLU can both be undone, so the backward pass needs neither the input nor what lies between the two.
The paper uses it, synchronised over ranks, throughout the network (Sec. 4.1).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, distributed, nn

SLOPE = 0.01
SMALLEST_SCALE = 1e-3
"""Scales nearer to 0 act as ± this: a product with 0 cannot be undone. (InPlace-ABN uses |scale| + ε, which would turn
round the negative scales of ImageNet weights.)"""


class ABN(nn.Module):
    """BatchNorm2d and, if `activation`, a leaky ReLU of slope 0.01; state dicts are those of BatchNorm2d.

    Values and gradients are those of `leaky_relu(batch_norm(x))`. Statistics are those of all ranks together where
    `torch.distributed` is initialised; ranks may bring different numbers of rows, none included. Where none brings any,
    running statistics stay as they are.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, *, activation: bool = True, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.slope = SLOPE if activation else 1.0
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Float[Tensor, "n c *rest"]) -> Float[Tensor, "n c *rest"]:
        """Normalises over all dimensions but the second; keeps type and memory format."""
        if not self.training:
            return _forward(x, self.weight, self.bias, self.running_mean, self.running_var, self.eps, self.slope)
        with torch.no_grad():
            mean, variance, count = _statistics(x)
            self.num_batches_tracked += 1
            momentum = self.momentum * (count > 0)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / _at_least_one(count - 1), momentum)  # unbiased, as BatchNorm2d
        out: Tensor = _InPlaceABN.apply(x, self.weight, self.bias, mean, variance, count, self.eps, self.slope)
        return out

    def extra_repr(self) -> str:
        """Channels and slope, for `print(network)`."""
        return f"{len(self.weight)}, slope={self.slope}"


class _InPlaceABN(torch.autograd.Function):
    """Training: gradients flow through the statistics, too."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        count: int | Tensor,
        eps: float,
        slope: float,
    ) -> Tensor:
        y = _forward(x, weight, bias, mean, variance, eps, slope)
        ctx.save_for_backward(y, weight, bias, variance)
        ctx.constants = count, eps, slope
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, weight, bias, variance = ctx.saved_tensors
        count, eps, slope = ctx.constants
        scale = _away_from_zero(weight)
        if slope != 1:
            grad = torch.ops.aten.leaky_relu_backward(
                grad, y, slope, True
            )  # the sign of the output is that of the input
            y = F.leaky_relu(y, 1 / slope)
        weight_grad, bias_grad = _sums(grad, y, scale, bias)
        totals = _sum_over_ranks(torch.stack([weight_grad, bias_grad])) / _at_least_one(count)

        # With x̂ = (y − bias) / scale:  ∂x = scale / σ * (∂y − mean(∂y) − x̂ mean(∂y x̂)) = a ∂y + b y + c.
        inverse_std = (variance + eps).rsqrt()
        a = scale * inverse_std
        b = -totals[0] * inverse_std
        c = -totals[1] * a - b * bias
        a, b, c = (v.view(-1, *[1] * (grad.dim() - 2)) for v in (a, b, c))
        return torch.addcmul(c, y, b).addcmul_(grad, a).to(grad.dtype), weight_grad, bias_grad, *[None] * 5


def _forward(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float, slope: float
) -> Tensor:
    y = F.batch_norm(x, mean, variance, _away_from_zero(weight), bias, eps=eps)
    return y if slope == 1 else F.leaky_relu_(y, slope)


def _away_from_zero(weight: Tensor) -> Tensor:
    return weight.abs().clamp(min=SMALLEST_SCALE).copysign(weight)


def _at_least_one(count: int | Tensor) -> int | Tensor:
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)


def _ranks() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, int | Tensor]:
    """Mean and biased variance of each channel, and of how many numbers: a tensor if ranks had to be asked.

    Reading that tensor as a number would make the host wait for the device.
    """
    channels = x.shape[1]
    count = x.numel() // channels
    mean, variance = torch.zeros((2, channels), dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
    if count:  # the two running averages are only there for their type, which the result takes
        mean, variance = torch.batch_norm_update_stats(x, mean, variance, 0.0)
    if _ranks() == 1:
        return mean, variance, count
    mine = torch.cat([mean.new_tensor([count]), mean, variance]).double()
    everybody = [torch.empty_like(mine) for _ in range(_ranks())]
    distributed.all_gather(everybody, mine)
    counts, means, variances = torch.stack(everybody).split([1, channels, channels], 1)
    total = counts.sum()
    shares = counts / _at_least_one(total)
    mean = (shares * means).sum(0)
    variance = (shares * (variances + (means - mean).square())).sum(0)
    return mean.float(), variance.float(), total.float()


def _sums(grad: Tensor, y: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Σ ∂y x̂ and Σ ∂y of each channel, with x̂ = (y − bias) / scale: the parameters' gradients."""
    if not grad.numel():
        return torch.zeros_like(scale), torch.zeros_like(scale)
    needed = [False, True, True]
    _, product, plain = torch.ops.aten.native_batch_norm_backward(
        grad, y, scale, None, None, bias, 1 / scale, True, 0.0, needed
    )
    return product, plain


def _sum_over_ranks(sums: Tensor) -> Tensor:
    if _ranks() > 1:
        distributed.all_reduce(sums)
    return sums
