"""Problem O1 against a dense search of one number."""

import numpy as np
import pytest
import torch

from crop_aware.o1 import O1, bisect, brackets, larger_root, solve_o1


def huber(z, beta):
    return np.where(np.abs(z) <= beta, z**2 / (2 * beta), np.abs(z) - beta / 2)


def objective(omega, wanted, size, beta, p, q):
    return huber(p * (omega - wanted), beta) + huber(q * np.log(omega / size), beta)


def problems(n=300):
    """ω̂, ω_P and ω₀ where the two terms pull about equally: many have several local minima."""
    rng = np.random.default_rng(0)
    size = np.exp(rng.uniform(-3, 3, n))
    return size * np.exp(rng.uniform(-1, 3, n)) - rng.uniform(0, 2, n), size, size * np.exp(rng.uniform(-4, 1, n))


@pytest.mark.parametrize("beta", [0.05, 1.0, 3.0])
@pytest.mark.parametrize(("p", "q"), [(0.5, 1.0), (5.0, 5.0), (5.0, 2.0), (0.5, 0.3)])
def test_no_size_on_a_dense_grid_is_better(beta, p, q):
    wanted, size, least = problems()
    arguments = (torch.tensor(wanted), torch.tensor(np.log(size)), torch.tensor(least))
    omega = solve_o1(*arguments, beta=beta, p=p, q=q).numpy()
    assert (omega >= least * (1 - 1e-12)).all()
    top = np.maximum(np.maximum(wanted, size), least) * 1.001
    grid = least + np.linspace(0, 1, 20_001)[:, None] ** 3 * (top - least)  # beyond both, f only rises
    best = objective(grid, wanted, size, beta, p, q).min(0)
    assert (objective(omega, wanted, size, beta, p, q) <= best + 1e-7).all()


def test_there_are_several_minima_and_the_lowest_is_chosen():
    """Else `choose` would have nothing to do in the test above."""
    wanted, size, least = (torch.tensor(v) for v in problems())
    o = O1(wanted, size.log(), size, least, 1.0, 0.5, 1.0)
    bottoms = bisect(o, *brackets(o)).exp()[0]
    root = torch.maximum(larger_root(o), least)
    of_bracket, of_root = (o.cost(omega, omega.log()) for omega in (bottoms, root))
    assert (of_bracket < of_root - 1e-3).sum() > 10
    assert (of_root < of_bracket - 1e-3).sum() > 10


def test_any_shape():
    wanted, log_size, least = torch.rand(3, 2, 4, 5, dtype=torch.float64).unbind()
    together = solve_o1(wanted, log_size, least + 0.1, beta=3.0, p=0.5, q=1.0)
    alone = solve_o1(wanted[1, 2], log_size[1, 2], least[1, 2] + 0.1, beta=3.0, p=0.5, q=1.0)
    torch.testing.assert_close(together[1, 2], alone)
