"""torchvision's compiled operators, where they are installed and work; nothing needs them."""

from __future__ import annotations

import functools
from types import ModuleType

import torch


def compiled_ops(device: torch.device) -> ModuleType | None:
    """Return `torchvision.ops`, or None where it is missing or does not run on this kind of device."""
    return _probe(device.type)


@functools.cache
def _probe(kind: str) -> ModuleType | None:
    """Try both operators once: a torchvision built for another torch imports, or half imports, and then fails."""
    try:
        import torchvision.ops

        box = torch.tensor([[0.0, 0.0, 2.0, 2.0]], device=kind)
        torchvision.ops.nms(box, box[:, 0], 0.5)
        torchvision.ops.roi_align(torch.ones(1, 1, 4, 4, device=kind), [box], 2, 1.0, 1, True)
    except Exception:
        return None
    ops: ModuleType = torchvision.ops
    return ops
