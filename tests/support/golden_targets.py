"""Targets of an image from arrays as golden files of networks of centers hold them."""

import numpy as np
import torch

from model.targets import Targets


def targets_of(given):
    instances = torch.from_numpy(given["instances"].astype(np.int16))
    n = len(given["categories"])
    return Targets(
        categories=torch.from_numpy(given["categories"]).long(),
        visible=torch.zeros(n, 4),
        open_sides=torch.zeros(n, 4, dtype=torch.bool),
        instances=instances,
        semantic=torch.from_numpy(given["semantic"]),
        ignore=torch.from_numpy(given["ignore"]),
    )
