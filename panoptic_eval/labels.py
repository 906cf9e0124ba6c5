"""One side of an evaluation: a label PNG an image, and what the ids in it mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from panoptic_eval.categories import Catalogue

ImageId = int | str
"""As the files give it: COCO's are integers, the others' strings; 7 and "7" are two images."""


@dataclass(frozen=True)
class LabelMap:
    """Where one image's ids are."""

    image_id: ImageId
    png: Path
    size: tuple[int, int] | None = None
    """Height, width as declared beside the PNG (JSON); None where nothing declares it."""
    photograph: Path | None = None
    """The image itself, for training and pictures; None where it is not known. Not checked to exist."""


@dataclass(frozen=True)
class Listed:
    """Segments that a JSON lists, in its order (which decides ties between equal scores)."""

    image: Int[np.ndarray, " n"]
    """Index into the maps, ascending."""
    id: Int[np.ndarray, " n"]
    """As in the PNG; unique within an image, never 0."""
    category: Int[np.ndarray, " n"]
    """Index into the catalogue."""
    crowd: Bool[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    """0 to 1; NaN where none is given."""
    area: Int[np.ndarray, " n"]
    """As stated, for comparison with what the PNG holds; -1 where not stated."""


@dataclass(frozen=True)
class Encoded:
    """Ids that carry their category: `id // divisor` and, below the divisor if `bare`, the id itself; or two channels."""

    layout: Literal["divided", "two_channel"]
    """divided: category * divisor + instance; two_channel: red is the category, green the instance, blue 0."""
    divisor: int
    """256 for Mapillary Vistas, 1000 for Cityscapes and IDD; unused by two_channel."""
    bare: bool
    """An id below the divisor is a category without instance number (Cityscapes, IDD, predictions), not category 0."""
    category: Int[np.ndarray, " k"]
    """Catalogue index of each encoded category 0..k-1; -1 void, -2 not to be found here. Beyond k: not to be found."""
    crowd_groups: bool
    """A thing category without instance number is a crowd (Cityscapes and IDD ground truth)."""


@dataclass(frozen=True)
class LabelMaps:
    """All images of one side, in the order of their file, and what ids mean in them."""

    source: str
    """What was recognised, for people: "Mapillary Vistas v1.2, validation, panoptic_2018.json"."""
    catalogue: Catalogue
    maps: tuple[LabelMap, ...]
    meaning: Listed | Encoded


@dataclass(frozen=True)
class Meaning:
    """What ids mean, one row an id: the arrays run along the ids that were asked for."""

    segment: Int[np.ndarray, " n"]
    """int64; rows of one image with the same value are one segment (encoded stuff is merged); -1 void."""
    category: Int[np.ndarray, " n"]
    """int32 index into the catalogue; -1 void."""
    crowd: Bool[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    """NaN where none is given."""
    stated_area: Int[np.ndarray, " n"]
    """-1 where not stated."""
    rank: Int[np.ndarray, " n"]
    """Position of the segment in its image: that of the JSON, else ascending id."""


def resolve(
    maps: LabelMaps, image: Int[np.ndarray, " n"], ids: Int[np.ndarray, " n"]
) -> tuple[Meaning, tuple[str, ...]]:
    """What the ids that were counted in the PNGs mean, and what is wrong with them.

    Args:
        maps: the side.
        image: index into `maps.maps` of each id, ascending.
        ids: as stored in the PNG, each once an image; every id of these images that has a pixel.

    Returns:
        The meaning, and the faults: an id without JSON entry, a JSON entry without pixels (of an image that `image`
        names), an encoded category that does not exist; each names the file, the image and the id.
    """
    raise NotImplementedError
