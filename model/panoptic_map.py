"""What every family of networks ends with: a panoptic map, instances one at a time, and the category of each pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

VOID = 0
STRIP = 64
"""Rows of a map that are resized at a time."""
TOGETHER = 1 << 15
"""Pixels whose logits are interpolated at a time."""


@dataclass(frozen=True)
class Segment:
    """One region of a panoptic map."""

    id: int
    """Value in the map; from 1, without gaps."""
    category: int
    """Catalogue index."""
    score: float | None
    """Score of an instance; None for stuff."""
    area: int
    """Pixels, at least 1."""


@dataclass(frozen=True)
class PanopticMap:
    """A segment for every pixel, or void."""

    ids: Int[Tensor, "h w"]
    """int32, on the CPU; VOID where the network sees nothing."""
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Instance:
    """One detection, before any other hides a part of it."""

    category: int
    """Catalogue index, of a thing."""
    score: float
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1, pixels of the map."""
    mask: Bool[Tensor, "_ _"]
    """Pixels of a window of the map."""
    corner: tuple[int, int]
    """Row, column of the window's first pixel."""


@dataclass(frozen=True)
class Fused:
    """Panoptic map, instances and categories of a network's prediction, at the size of the image."""

    panoptic: PanopticMap
    instances: Iterator[Instance]
    """Best first, made one at a time: the masks of a large image never lie in memory together."""
    semantic: UInt8[Tensor, "h w"]
    """Catalogue index of each pixel."""


def semantic_map(
    logits: Float[Tensor, "categories _ _"], frame: tuple[int, int], size: tuple[int, int], stride: int = 4
) -> UInt8[Tensor, "h w"]:
    """Find the most likely category of each pixel: logits are interpolated between cell centers.

    Args:
        logits: a cell for `stride` x `stride` pixels of the image that the network saw.
        frame: height, width of that image.
        size: height, width of the map.
    """
    return largest(logits, frame, size, stride)[1]


def largest(
    logits: Float[Tensor, "c _ _"], frame: tuple[int, int], size: tuple[int, int], stride: int = 4
) -> tuple[Float[Tensor, "h w"], UInt8[Tensor, "h w"]]:
    """Find the largest of the interpolated logits of each pixel, and which one it is.

    The one that is largest in all four cells around a pixel is so at the pixel, as what lies between is a mean of them.
    So the other logits need to be known of few pixels.

    Args:
        logits, frame, size, stride: as for `semantic_map`.
    """
    values, index = logits.max(0)  # argmax takes over 3 times as long
    index = index.to(torch.uint8)
    beside, below = index[:, 1:] != index[:, :-1], index[1:] != index[:-1]
    border = torch.zeros_like(index, dtype=torch.bool)  # between this cell and the next row's and column's
    border[:, :-1] |= beside
    border[:-1] |= below
    border[:-1, :-1] |= beside[1:]
    (top, _, _), (left, _, _) = (
        neighbors(at, cells) for at, cells in zip(_positions(logits, frame, size, stride), index.shape, strict=True)
    )
    largest_values = resized(values[None], frame, size, (slice(None), slice(None)), stride)[0]
    which, mixed = (cells[top][:, left] for cells in (index, border))
    for rows, columns, own in logits_at(logits, frame, size, mixed, stride):
        found = own.max(1)
        largest_values[rows, columns] = found.values
        which[rows, columns] = found.indices.to(torch.uint8)
    return largest_values, which


def logits_at(
    logits: Float[Tensor, "c _ _"],
    frame: tuple[int, int],
    size: tuple[int, int],
    wanted: Bool[Tensor, "h w"],
    stride: int = 4,
) -> Iterator[tuple[Int[Tensor, " n"], Int[Tensor, " n"], Float[Tensor, "n c"]]]:
    """Interpolate logits between cell centers at some pixels of the map: rows, columns and logits, some at a time.

    Args:
        logits, frame, size, stride: as for `semantic_map`.
        wanted: the pixels.
    """
    cells = logits.permute(1, 2, 0).contiguous()  # as they lie in memory already where a network made them
    (top, bottom, down), (left, right, across) = (
        neighbors(at, count) for at, count in zip(_positions(logits, frame, size, stride), cells.shape[:2], strict=True)
    )
    for strip in strips(size[0]):
        found = torch.nonzero(wanted[strip], as_tuple=True)
        for row, column in zip(*(at.split(TOGETHER) for at in found), strict=True):
            row = row + strip.start
            before, after = (
                torch.lerp(cells[top[row], at], cells[bottom[row], at], down[row, None])
                for at in (left[column], right[column])
            )
            yield row, column, torch.lerp(before, after, across[column, None])


def strips(rows: int) -> Iterator[slice]:
    """Yield the rows of a map, some at a time: logits of a whole image at its own resolution would not fit."""
    return (slice(start, start + STRIP) for start in range(0, rows, STRIP))


def resized(
    logits: Float[Tensor, "c _ _"],
    frame: tuple[int, int],
    size: tuple[int, int],
    window: tuple[slice, slice],
    stride: int = 4,
) -> Float[Tensor, "c _ _"]:
    """Interpolate logits between cell centers, at the pixels of a window of rows and columns of the map.

    Args:
        logits, frame, size, stride: as for `semantic_map`.
        window: the rows and the columns.
    """
    rows, columns = (at[window[k]] for k, at in enumerate(_positions(logits, frame, size, stride)))
    return _lerp(_lerp(logits, rows, 1), columns, 2)


def add_stuff(
    ids: Int[Tensor, "h w"],
    segments: list[Segment],
    semantic: UInt8[Tensor, "h w"],
    isthing: Bool[Tensor, " categories"],
    least_area: float,
) -> None:
    """Fill what is free of a map with segments of stuff, in place; what is left of things, or is too small, stays void.

    Args:
        ids: those of instances; else VOID.
        segments: that there are so far; those of stuff are added.
        semantic: category of each pixel.
        isthing: whether each category is a thing.
        least_area: area from which stuff is a segment, pixels.
    """
    free = ids == VOID
    areas = torch.bincount(semantic[free], minlength=len(isthing)).tolist()
    segment_of_category = torch.zeros(len(isthing), dtype=torch.int32, device=ids.device)
    for category, area in enumerate(areas):
        if not isthing[category] and area >= max(1, least_area):
            segments.append(Segment(len(segments) + 1, category, None, area))
            segment_of_category[category] = segments[-1].id
    ids[free] = segment_of_category[semantic[free].long()]


def neighbors(at: Float[Tensor, " n"], cells: int) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Float[Tensor, " n"]]:
    """Return the cells on either side of positions on a line of cell centers, and the share of the second."""
    at = at.clamp(0, cells - 1)
    lower = at.floor().long()
    return lower, (lower + 1).clamp(max=cells - 1), at - lower


def _positions(
    logits: Tensor, frame: tuple[int, int], size: tuple[int, int], stride: int
) -> tuple[Float[Tensor, " h"], Float[Tensor, " w"]]:
    """Return where the rows and the columns of the map lie between the centers of cells."""
    rows, columns = (
        (torch.arange(size[k], device=logits.device) + 0.5) * (frame[k] / size[k]) / stride - 0.5 for k in (0, 1)
    )
    return rows, columns


def _lerp(x: Tensor, at: Tensor, dim: int) -> Tensor:
    lower, upper, share = neighbors(at, x.shape[dim])
    before: tuple[slice | Tensor, ...] = (slice(None),) * dim
    # Not index_select, which along the last dimension takes five times as long.
    share = share.view([-1 if d == dim else 1 for d in range(x.dim())])
    return torch.lerp(x[(*before, lower)], x[(*before, upper)], share)
