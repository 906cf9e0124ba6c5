"""What the program knows of a data set format, as one value a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from panoptic_eval.categories import Catalogue
from panoptic_eval.labels import LabelMaps


def no_numberings(_: Catalogue) -> Mapping[str, Catalogue]:
    """Return none: categories have one numbering, that of the ground truth."""
    return {}


def no_catalogue(_: str) -> None:
    """Return none: files of this format list their categories."""


@dataclass(frozen=True)
class Format:
    """A data set format: how to recognize its folder, read it, and read what is written about it."""

    name: str
    """Name for the command line: "mvd"."""
    folders: tuple[str, ...]
    """Usual names of its folder, in small letters and digits only."""
    sign: str
    """Files that it is recognized by, for people."""
    recognized: Callable[[Path], bool]
    """Predicate of a folder: true if it is such a data set."""
    read: Callable[[Path, str | None, str | None], LabelMaps]
    """Ground truth of a folder, a split and a version; the last two may be None. Raises InputError."""
    versions: tuple[str, ...] = ()
    """Versions to choose from; empty where there is one."""
    renumber: Callable[[Catalogue], Mapping[str, Catalogue]] = no_numberings
    """Other numberings of the same categories in the same order, by name; empty for other data sets' categories."""
    image_name: Callable[[str], str] = str
    """Image id in the name of a file, without what says the kind of file."""
    default_catalogue: Callable[[str], Catalogue | None] = no_catalogue
    """Categories of a panoptic JSON of this name that lists none."""
