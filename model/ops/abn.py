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
    `torch.distributed` is initialized; ranks may bring different numbers of rows, none included. Where none brings any,
    running statistics stay as they are; where there is one number a channel, the running variance does.
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
        """Normalize over all dimensions but the second; keep type and memory format."""
        if self.training:
            self.num_batches_tracked.add_(1)
            out: Tensor = _InPlaceABN.apply(x, self.weight, self.bias, self)
            return out
        y = F.batch_norm(x, self.running_mean, self.running_var, _away_from_zero(self.weight), self.bias, eps=self.eps)
        return y if self.slope == 1 else F.leaky_relu_(y, self.slope)

    def extra_repr(self) -> str:
        """Return channels and slope, for `print(network)`."""
        return f"{len(self.weight)}, slope={self.slope}"


class _InPlaceABN(torch.autograd.Function):
    """In training: gradients flow through the statistics, too, and running statistics are updated.

    One rank alone takes torch's fused operators; several exchange sums between the halves of the same computation.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, norm: ABN) -> Tensor:
        scale = _away_from_zero(weight)
        count: int | Tensor = x.numel() // len(weight)
        if count > 1 and _ranks() == 1:
            y, _, inverse_std = torch.native_batch_norm(
                x, scale, bias, norm.running_mean, norm.running_var, True, norm.momentum, norm.eps
            )
        else:
            mean, variance, count = _statistics(x)
            norm.running_mean.lerp_(mean, norm.momentum * (count > 0))
            unbiased = variance * count / _at_least_one(count - 1)
            norm.running_var.lerp_(unbiased, norm.momentum * (count > 1))  # one number has no unbiased variance
            y = F.batch_norm(x, mean, variance, scale, bias, eps=norm.eps)
            inverse_std = (variance + norm.eps).rsqrt()
        if norm.slope != 1:
            F.leaky_relu_(y, norm.slope)
        ctx.save_for_backward(y, scale, bias, inverse_std)
        ctx.count, ctx.slope = count, norm.slope
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, scale, bias, inverse_std = ctx.saved_tensors
        if ctx.slope != 1:
            grad = torch.ops.aten.leaky_relu_backward(grad, y, ctx.slope, True)  # y has the sign of what was activated
            y = F.leaky_relu(y, 1 / ctx.slope)
        if not y.numel():
            x_grad = torch.zeros_like(y)
            weight_grad, bias_grad = torch.zeros((2, len(scale)), dtype=scale.dtype, device=y.device)
        else:
            # Batch norm's own backward, given y, whose mean is the bias and whose standard deviation is the scale.
            alone = _ranks() == 1
            x_grad, weight_grad, bias_grad = torch.ops.aten.native_batch_norm_backward(
                grad, y, scale.square() * inverse_std, None, None, bias, 1 / scale, True, 0.0, [alone, True, True]
            )
        if _ranks() > 1:
            sums = torch.stack([weight_grad, bias_grad])
            distributed.all_reduce(sums)
            product_mean, grad_mean = sums / _at_least_one(ctx.count)
            # With x̂ = (y − bias) / scale:  ∂x = scale / σ * (∂y − mean(∂y) − x̂ mean(∂y x̂)) = a ∂y + b y + c.
            a = scale * inverse_std
            b = -product_mean * inverse_std
            c = -grad_mean * a - b * bias
            a, b, c = (v.view(-1, *[1] * (grad.dim() - 2)) for v in (a, b, c))
            x_grad = torch.addcmul(c, y, b).addcmul_(grad, a).to(grad.dtype)
        return x_grad, weight_grad, bias_grad, None


def _away_from_zero(weight: Tensor) -> Tensor:
    return weight.abs().clamp(min=SMALLEST_SCALE).copysign(weight)


def _at_least_one(count: int | Tensor) -> int | Tensor:
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)


def _ranks() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, int | Tensor]:
    """Return mean and biased variance of each channel, and of how many numbers: a tensor if ranks had to be asked.

    Reading that tensor as a number would make the host wait for the device.
    """
    channels = x.shape[1]
    count = x.numel() // channels
    kind = torch.promote_types(x.dtype, torch.float32)
    mean, variance = torch.zeros((2, channels), dtype=kind, device=x.device)
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
    return mean.to(kind), variance.to(kind), total.to(kind)
