"""What a network of this family says about an image, before pixels are grouped."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """Semantics, centers and offsets of one image: a cell for 4x4 pixels, the last ones perhaps beyond the image."""

    semantic_logits: Float[Tensor, "categories h w"]
    heat: Float[Tensor, "h w"]
    """1 at centers, falling to 0."""
    offset: Float[Tensor, "2 h w"]
    """Rows and columns from a cell to the center of its instance, in pixels."""
