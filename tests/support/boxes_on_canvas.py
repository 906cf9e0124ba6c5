"""Targets of the network drawn from boxes, later ones in front."""

import torch

from model.targets import IGNORE, Targets


def targets_of(boxes, categories, size, *, full=None, ignore=(), background=0):
    """Each instance fills its box; `full` are boxes before the crop, which may go on past the borders of `size`.

    `ignore` are boxes of void.
    """
    height, width = size
    instances = torch.full(size, -1, dtype=torch.int16)
    semantic = torch.full(size, background, dtype=torch.uint8)
    for row, ((x0, y0, x1, y1), category) in enumerate(zip(boxes, categories, strict=True)):
        instances[y0:y1, x0:x1] = row
        semantic[y0:y1, x0:x1] = category
    ignored = torch.zeros(size, dtype=torch.bool)
    for x0, y0, x1, y1 in ignore:
        ignored[y0:y1, x0:x1] = True
        semantic[y0:y1, x0:x1] = IGNORE
    visible = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    uncut = torch.tensor(boxes if full is None else full, dtype=torch.float32).view(-1, 4)
    open_sides = torch.stack([uncut[:, 0] < 0, uncut[:, 1] < 0, uncut[:, 2] > width, uncut[:, 3] > height], 1)
    return Targets(torch.tensor(categories, dtype=torch.int64), visible, open_sides, instances, semantic, ignored)
