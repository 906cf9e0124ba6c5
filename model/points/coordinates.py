"""Where each cell lies, as seen from a point: Sofiiuk et al., "AdaptIS", ICCV 2019 (arXiv 1909.07829), Sec. 3.2."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def relative_coordinates(
    points: Float[Tensor, "n 2"], size: tuple[int, int], radius: float
) -> Float[Tensor, "n 3 h w"]:
    """Return rows, columns and distances of all cells from each point, in radii, cut to at most 1 in absolute value.

    `points` are rows and columns in cells of a plane of `size` (height, width), `radius` is a length in cells. The
    distance is taken before rows and columns are cut.
    """
    height, width = size
    rows = torch.arange(height, dtype=points.dtype, device=points.device)
    columns = torch.arange(width, dtype=points.dtype, device=points.device)
    down = ((rows - points[:, :1]) / radius)[:, :, None].expand(-1, height, width)
    right = ((columns - points[:, 1:]) / radius)[:, None, :].expand(-1, height, width)
    return torch.stack([down, right, torch.hypot(down, right)], 1).clamp(-1, 1)
