"""The crop-aware box loss by brute force, from its definition (Porzi et al., CVPR 2021, Eq. 2), in float64 NumPy.

Per dimension a box is a size and a center. For each size, the boxes that look right inside the crop have their center
in an interval; the best of them is the predicted center clamped to it. So one dense search, over the size, is enough.
"""

import numpy as np

DENSE = 4000


def huber(z, beta):
    return np.where(np.abs(z) <= beta, z**2 / (2 * beta), np.abs(z) - beta / 2)


def lowest_loss(deltas, proposals, visible, open_sides, crop_size, *, beta, center_weight=1.0, size_weight=1.0):
    """Lowest loss of each row; arguments as of `crop_aware.cabb.crop_aware_loss`, arrays."""
    deltas, proposals, visible = (np.asarray(a, np.float64) for a in (deltas, proposals, visible))
    losses = np.zeros(len(deltas))
    for axis, extent in enumerate(reversed(crop_size)):
        reference = (proposals[:, axis] + proposals[:, 2 + axis]) / 2, proposals[:, 2 + axis] - proposals[:, axis]
        losses += _one_dimension(
            deltas[:, axis] / center_weight * reference[1] + reference[0],
            np.exp(deltas[:, 2 + axis] / size_weight) * reference[1],
            np.where(open_sides[:, axis], 0.0, visible[:, axis]),
            np.where(open_sides[:, 2 + axis], extent, visible[:, 2 + axis]),
            open_sides[:, axis],
            open_sides[:, 2 + axis],
            reference[1],
            (beta, center_weight, size_weight),
        )
    return losses


def _one_dimension(center, size, low, high, low_open, high_open, reference, constants):
    """All in pixels: the predicted center and size, the interval to be covered, the size of the proposal."""
    beta, center_weight, size_weight = constants

    def loss(sizes):  # n sizes of each of r boxes: r, n
        # A fixed side is where it is seen; an open one anywhere from the border of the crop outwards.
        reaches_low, reaches_high = low[:, None] + sizes / 2, high[:, None] - sizes / 2
        least = np.where(low_open[:, None], reaches_high, reaches_low)
        most = np.where(high_open[:, None], reaches_low, reaches_high)
        best = np.clip(center[:, None], least, most)
        offset = center_weight * (center[:, None] - best) / reference[:, None]
        return huber(offset, beta) + huber(size_weight * np.log(size[:, None] / sizes), beta)

    smallest = high - low
    knots = np.stack([smallest, size, 2 * (center - low), 2 * (high - center)], -1)
    largest = knots.max(-1) * 1.001  # beyond the prediction, both terms only grow
    spread = np.linspace(0, 1, DENSE)
    sizes = np.concatenate(
        [
            knots,
            smallest[:, None] * (largest / smallest)[:, None] ** spread,
            smallest[:, None] + (largest - smallest)[:, None] * spread,
        ],
        -1,
    )
    sizes = np.sort(np.maximum(sizes, smallest[:, None]), -1)
    return np.where(low_open | high_open, _polish(loss, sizes), loss(smallest[:, None])[:, 0])


def _polish(loss, sizes, *, basins=6, steps=70):
    """Lowest value of `loss`, by golden section around the best few points of the dense search."""
    values = loss(sizes)
    rows = np.arange(len(sizes))[:, None]
    padded = np.pad(values, ((0, 0), (1, 1)), constant_values=np.inf)
    is_low = (values <= padded[:, :-2]) & (values <= padded[:, 2:])
    at = np.argsort(np.where(is_low, values, np.inf), -1, kind="stable")[:, :basins]
    low, high = sizes[rows, np.maximum(at - 1, 0)], sizes[rows, np.minimum(at + 1, sizes.shape[1] - 1)]
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(steps):
        left, right = high - golden * (high - low), low + golden * (high - low)
        go_left = loss(left) < loss(right)
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
    return np.minimum(values.min(-1), loss((low + high) / 2).min(-1))
