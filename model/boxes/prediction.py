"""What a network of this family says about an image, before fusion."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Detections:
    """Instances of one image, best first."""

    boxes: Float[Tensor, "n 4"]
    """x0, y0, x1, y1, pixels of the image that the network saw."""
    scores: Float[Tensor, " n"]
    categories: Int[Tensor, " n"]
    """int64 catalogue index, of a thing."""
    mask_logits: Float[Tensor, "n s s"]
    """Logits on s x s cells of the box; positive is inside."""


@dataclass(frozen=True)
class Prediction:
    """Detections and semantics of one image."""

    detections: Detections
    semantic_logits: Float[Tensor, "categories _ _"]
    """Logits, a cell for 4x4 pixels, the last ones perhaps beyond the image: finer ones would not fit."""
