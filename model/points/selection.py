"""From proposals and masks of points to instances: AdaptIS (Sofiiuk et al., ICCV 2019, arXiv 1909.07829, Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from panoptic_eval.shapes import Bool, Float, Int

FIRST_LEVEL = 0.99
VOID = 255


def blurred(values: Float[np.ndarray, "h w"], side: int) -> Float[np.ndarray, "h w"]:
    """Average over a square; borders are mirrored without the edge pixel."""
    reach = side // 2
    padded = np.pad(values.astype(np.float64), reach, mode="reflect")
    height, width = values.shape
    rows = np.sum([padded[k : k + height] for k in range(side)], axis=0)
    total: Float[np.ndarray, "h w"] = np.sum([rows[:, k : k + width] for k in range(side)], axis=0)
    return (total / side**2).astype(np.float32)


def candidates(
    values: Float[np.ndarray, "h w"], *, limit: float, eps: float, step: float
) -> tuple[Int[np.ndarray, "n 2"], Int[np.ndarray, "h w"]]:
    """Find the points that are asked for masks, in the order in which they are asked.

    Level by level, from 0.99 down to above the limit, and row by row: a pixel that is not marked yet, at least at the
    level, with no higher one and none below the limit among its 8 neighbors. It marks all that a flood from it reaches
    over 8 neighbors where each step rises by less than `eps`.

    Args:
        values: map of proposals, blurred.
        limit: least value of a candidate's neighbors, and end of the levels.
        eps: rise that stops a flood.
        step: between levels.

    Returns:
        Row and column of each candidate, and the candidate whose flood marked each pixel, -1 for none.
    """
    height, width = values.shape
    levels = np.arange(FIRST_LEVEL, limit, -step)
    outside = np.pad(values, 1, constant_values=np.nan)
    around = [
        outside[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if (dy, dx) != (0, 0)
    ]
    peak = np.ones(values.shape, bool)
    for neighbor in around:
        peak &= ~(neighbor > values) & ~(neighbor < limit)  # beyond the image there is no neighbor
    peak &= values >= levels[-1] if len(levels) else False
    rows, columns = np.nonzero(peak)
    # The first level that a pixel reaches; levels fall.
    level = np.searchsorted(-levels, -values[rows, columns].astype(np.float64), side="left")
    order = np.argsort(level, kind="stable")
    mark = np.full(height * width, -1, np.int32)
    found: list[tuple[int, int]] = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if mark[row * width + column] < 0:
            _flood(values, mark, row * width + column, len(found), eps)
            found.append((row, column))
    return np.array(found, np.int64).reshape(-1, 2), mark.reshape(height, width)


def _flood(values: Float[np.ndarray, "h w"], mark: Int[np.ndarray, " p"], start: int, name: int, eps: float) -> None:
    """Mark what is not marked yet and can be reached without a rise of `eps` or more, ring by ring."""
    height, width = values.shape
    flat = values.reshape(-1)
    front = np.array([start])
    mark[start] = name
    while len(front):
        y, x = np.divmod(front, width)
        reached = []
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                inside = (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
                there = front[inside] + dy * width + dx
                free = (mark[there] < 0) & (flat[there] - flat[front[inside]] < eps)
                mark[there[free]] = name
                reached.append(there[free])
        front = np.unique(np.concatenate(reached))


@dataclass(frozen=True)
class Selected:
    """Instances of an image, in the order in which they were found."""

    masks: list[Float[np.ndarray, "h w"]]
    """Probability of each instance."""
    points: Int[np.ndarray, "n 2"]
    """Row and column of the point that was asked for each."""
    instances: Int[np.ndarray, "h w"]
    """Instance of each pixel; -1 where the background is more likely."""
    category: Int[np.ndarray, " n"]
    """That of each instance."""
    semantic: Int[np.ndarray, "h w"]
    """Category of each pixel: that of its instance, else the most likely one; VOID where this is a thing."""


def select(
    probability: Float[np.ndarray, "c h w"],
    proposals: Float[np.ndarray, "h w"],
    isthing: Bool[np.ndarray, " c"],
    mask_of: Callable[[int, int], Float[np.ndarray, "h w"]],
    *,
    mask_threshold: float,
    overlap: float,
    thing_threshold: float,
    limit: float,
    eps: float,
    blur: int,
    most: int,
    step: float = 0.025,
    least_area: int = 10,
) -> Selected:
    """Ask for masks, point after point, and keep those that lie mostly on free pixels.

    Args:
        probability: of each category.
        proposals: how good a mask each pixel would give, 0 to 1; its square is the map of candidates.
        isthing: whether each category is a thing.
        mask_of: probability of the mask of a point, given row and column. It is asked for one at a time.
        mask_threshold: probability above which a pixel is of a mask.
        overlap: share of a mask that is taken already from which it is dropped.
        thing_threshold: probability of the most likely thing below which a pixel is no candidate.
        limit, eps, step: as for `candidates`.
        blur: side of the square over which the map is averaged.
        most: number of candidates that are looked at.
        least_area: pixels below which a mask is dropped.
    """
    values = np.where(probability[isthing].max(0, initial=0) >= thing_threshold, proposals.astype(np.float32) ** 2, 0)
    points, _ = candidates(blurred(values, blur), limit=limit, eps=eps, step=step)
    taken = np.zeros(proposals.shape, bool)
    masks: list[Float[np.ndarray, "h w"]] = []
    kept = []
    for row, column in points[:most].tolist():
        if taken[row, column]:
            continue
        mask = mask_of(row, column)
        inside = mask > mask_threshold
        area = int(inside.sum())
        if area < least_area or (inside & taken).sum() / area >= overlap:
            continue
        taken |= inside
        masks.append(mask)
        kept.append((row, column))
    best = 1 - probability[isthing].sum(0)
    instances = np.full(proposals.shape, -1)
    category = np.zeros(len(masks), np.int64)
    things = np.flatnonzero(isthing)
    for k, mask in enumerate(masks):
        wins = mask > best
        best, instances = np.where(wins, mask, best), np.where(wins, k, instances)
        category[k] = things[probability[isthing][:, mask > mask_threshold].mean(1).argmax()]
    likely = probability.argmax(0)
    semantic = np.where(isthing[likely], VOID, likely)
    semantic = np.where(instances >= 0, np.append(category, VOID)[instances], semantic)
    return Selected(masks, np.array(kept, np.int64).reshape(-1, 2), instances, category, semantic)
