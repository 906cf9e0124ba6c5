"""From proposals and masks of points to instances: AdaptIS (Sofiiuk et al., ICCV 2019, arXiv 1909.07829, Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from panoptic_eval.shapes import Bool, Float, Int

FIRST_LEVEL = 0.99


def blurred(values: Float[np.ndarray, "h w"], side: int) -> Float[np.ndarray, "h w"]:
    """Average over a square; borders are mirrored without the edge pixel."""
    reach = side // 2
    padded = np.pad(values.astype(np.float64), reach, mode="reflect")
    height, width = values.shape
    rows = np.sum([padded[k : k + height] for k in range(side)], axis=0)
    total: Float[np.ndarray, "h w"] = np.sum([rows[:, k : k + width] for k in range(side)], axis=0)
    return (total / side**2).astype(np.float32)


def candidates(
    values: Float[np.ndarray, "h w"], *, limit: float, eps: float, step: float, most: int | None = None
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
        most: number of candidates after which the rest is not looked for. None: no limit.

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
        if len(found) == most:
            break
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


def proposed(
    proposals: Float[np.ndarray, "h w"],
    thing: Float[np.ndarray, "h w"],
    *,
    thing_threshold: float,
    limit: float,
    eps: float,
    blur: int,
    step: float = 0.025,
    most: int | None = None,
) -> Int[np.ndarray, "n 2"]:
    """Return row and column of the points that are to be asked for masks, in their order.

    Args:
        proposals: how good a mask each pixel would give, 0 to 1; its square is the map of candidates.
        thing: probability of the most likely thing.
        thing_threshold: probability of a thing below which a pixel is no candidate.
        limit, eps, step, most: as for `candidates`.
        blur: side of the square over which the map is averaged.
    """
    values = np.where(thing >= thing_threshold, proposals.astype(np.float32) ** 2, 0)
    points, _ = candidates(blurred(values, blur), limit=limit, eps=eps, step=step, most=most)
    return points


@dataclass(frozen=True)
class Selected:
    """An instance that was found, as a window of the image: all of its mask, hidden or not."""

    point: tuple[int, int]
    """Row and column that gave it."""
    mask: Bool[Tensor, "_ _"]
    corner: tuple[int, int]
    """Row and column of the window's first pixel."""


def select(
    points: Iterable[tuple[int, int]],
    background: Float[Tensor, "h w"],
    mask_of: Callable[[int, int], Float[Tensor, "h w"]],
    *,
    mask_threshold: float,
    overlap: float,
    least_area: float = 10,
) -> tuple[list[Selected], Int[Tensor, "h w"]]:
    """Ask for masks, point after point, and keep those that lie mostly on free pixels.

    Args:
        points: rows and columns, in the order in which they are asked; those on a kept mask are passed over.
        background: 1 less the probabilities of all things.
        mask_of: probability of the mask of a point, given row and column. It is asked for one at a time, and no two are
            kept: those of an image would not fit.
        mask_threshold: probability above which a pixel is of a mask.
        overlap: share of a mask that is taken already from which it is dropped.
        least_area: pixels below which a mask is dropped.

    Returns:
        The instances in the order in which they were found; and which of them each pixel belongs to, -1 where the
        background is more likely.
    """
    taken = torch.zeros_like(background, dtype=torch.bool)
    best = background
    instances = torch.full_like(background, -1, dtype=torch.int32)
    kept: list[Selected] = []
    for row, column in points:
        if taken[row, column]:
            continue
        mask = mask_of(row, column)
        inside = mask > mask_threshold
        area = int(inside.sum())
        if area < max(1, least_area) or int((inside & taken).sum()) / area >= overlap:
            continue
        taken |= inside
        wins = mask > best
        best = torch.where(wins, mask, best)
        instances[wins] = len(kept)
        kept.append(Selected((row, column), *_window(inside)))
    return kept, instances


def mean_probabilities(
    mask: Bool[Tensor, "h w"], strips: Iterable[Float[Tensor, "things _ w"]]
) -> Float[Tensor, " things"]:
    """Average the probability of each thing over a mask.

    Args:
        mask: a window of an image.
        strips: probabilities of things there, some rows at a time.
    """
    total: Float[Tensor, " things"] = torch.zeros(())
    row = 0
    for probability in strips:
        inside = mask[row : row + probability.shape[1]]
        total = total.to(probability) + probability[:, inside].sum(1)
        row += probability.shape[1]
    return total / mask.sum()


def _window(mask: Bool[Tensor, "h w"]) -> tuple[Bool[Tensor, "_ _"], tuple[int, int]]:
    """Cut a mask to its pixels; return the row and column of the first one kept, too."""
    rows, columns = (mask.any(dim).nonzero()[:, 0] for dim in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1].clone(), (top, left)
