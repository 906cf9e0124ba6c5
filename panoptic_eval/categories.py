"""Categories of a data set: ids, names, thing or stuff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import index
from typing import Any

import numpy as np

from panoptic_eval.shapes import Bool, Int


def rgb(value: Any) -> tuple[int, int, int] | None:
    """Return red, green, blue as a file gives them; None unless they are three integers."""
    if not isinstance(value, list | tuple) or list(map(type, value)) != [int] * 3:
        return None
    red, green, blue = value
    return red, green, blue


@dataclass(frozen=True)
class Category:
    """One kind of thing (countable: cars) or stuff (sky). `id` is any non-negative integer, 0 included."""

    id: int
    name: str
    isthing: bool
    color: tuple[int, int, int] | None = None
    supercategory: str | None = field(default=None, compare=False, repr=False)
    """Group that it belongs to; no score of the category depends on it."""

    @staticmethod
    def from_coco(entry: Mapping[str, Any]) -> Category:
        """Read an entry of COCO's `categories`: id, name, isthing, perhaps color (of another form, it is left out).

        Raises:
            KeyError: one of the first three is missing.
            TypeError: the id is no integer.

        >>> Category.from_coco({"id": 3, "name": "car", "isthing": 1, "color": [0, 0, 142]})
        Category(id=3, name='car', isthing=True, color=(0, 0, 142))
        """
        return Category(index(entry["id"]), str(entry["name"]), bool(entry["isthing"]), rgb(entry.get("color")))

    def to_coco(self) -> dict[str, Any]:
        """Make an entry of COCO's `categories`, of Python's own numbers, whatever the category's are."""
        entry = {"id": int(self.id), "name": str(self.name), "isthing": int(self.isthing)}
        return entry if self.color is None else {**entry, "color": [int(value) for value in self.color]}


def supercategory(value: Any) -> str | None:
    """Return the group that a file names; of Mapillary's labels, which name groups and category, the first group.

    >>> supercategory("vehicle"), supercategory("object--vehicle--car"), supercategory(3)
    ('vehicle', 'object', None)
    """
    return value.partition("--")[0] or None if isinstance(value, str) else None


@dataclass(frozen=True)
class Catalogue:
    """All categories of a data set, in a fixed order; arrays elsewhere hold a category's index in it.

    Raises:
        ValueError: two categories share an id, or there is none.
    """

    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        ids = [c.id for c in self.categories]
        if not ids:
            raise ValueError("a catalogue needs at least one category")
        doubles = sorted({i for i in ids if ids.count(i) > 1})
        if doubles:
            raise ValueError(f"category ids must be unique; given twice: {doubles}")

    def __len__(self) -> int:
        return len(self.categories)

    @cached_property
    def ids(self) -> Int[np.ndarray, " c"]:
        """Return the category ids, in catalogue order."""
        return np.array([c.id for c in self.categories], np.int64)

    @cached_property
    def isthing(self) -> Bool[np.ndarray, " c"]:
        """Return which categories are things, in catalogue order."""
        return np.array([c.isthing for c in self.categories], bool)

    def index(self, ids: Iterable[int] | Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return the catalogue indices of category ids; -1 where an id is in no category.

        >>> Catalogue((Category(7, "road", False), Category(3, "car", True))).index([3, 7, 8]).tolist()
        [1, 0, -1]
        """
        wanted = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids), np.int64)
        order = np.argsort(self.ids)
        at = order[np.minimum(np.searchsorted(self.ids, wanted, sorter=order), len(self) - 1)]
        return np.where(self.ids[at] == wanted, at, -1)
