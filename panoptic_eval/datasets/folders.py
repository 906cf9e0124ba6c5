"""Folders of data sets: splits by any of their names, and files of one kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from panoptic_eval.errors import InputError

SPLITS = (("validation", "val"), ("training", "train"), ("testing", "test"))
"""Both words for each split, the one to take by default first."""


def spellings(split: str) -> tuple[str, ...]:
    """List a split's names in different data sets.

    >>> spellings("val")
    ('validation', 'val')
    """
    return next((names for names in SPLITS if split in names), (split,))


def choose_split(folder: Path, split: str | None) -> Path:
    """Return the folder of a split; of the validation split, or else the only one there is, if none is asked for.

    Raises:
        InputError: it is not there.
    """
    there = [entry.name for entry in files(folder, "*") if entry.is_dir()]
    wanted = spellings(split or "validation")
    splits = [name for name in there if name in wanted]
    known = [name for name in there if any(name in names for names in SPLITS)]
    if not splits and split is None and len(known) == 1:
        splits = known
    if not splits:
        choice = ", ".join(there) or "none"
        raise InputError(f"{folder}: has no split {' or '.join(wanted)}; expected one of the folders there: {choice}")
    return folder / splits[0]


def only(paths: Sequence[Path], what: str) -> Path | None:
    """Return the one path there is, or None.

    Raises:
        InputError: there are several.
    """
    if len(paths) > 1:
        names = ", ".join(str(path) for path in paths)
        raise InputError(f"several {what} ({names}); expected the path of one of them")
    return paths[0] if paths else None


def files(folder: Path, pattern: str) -> list[Path]:
    """List, sorted, files and folders that fit a pattern, but none with a dot in front (._NAME, .ipynb_checkpoints).

    Args:
        pattern: as `Path.glob` takes it; case counts, but .png and .jpg stand for .PNG and .JPG, too.
    """
    any_case = re.sub(r"\.(png|jpg)$", lambda end: "." + "".join(f"[{c}{c.upper()}]" for c in end[1]), pattern)
    return sorted(
        path
        for path in folder.glob(any_case)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


JSON = (".json", ".json.gz")
"""Endings of a JSON's name."""


def json_stem(json: Path) -> str:
    """Return the name of a JSON without its ending.

    >>> json_stem(Path("val.panoptic.json.gz"))
    'val.panoptic'
    """
    return json.name.removesuffix(".gz").removesuffix(".json")


def png_folders(json: Path) -> list[Path]:
    """Say where the PNGs of a panoptic JSON usually are: in the folder named like it, beside it or `annotations`."""
    places = [json.parent, *([json.parent.parent] if json.parent.name == "annotations" else [])]
    return [place / json_stem(json) for place in places]


def gt_fine_of(folder: Path) -> Path:
    """Say where the annotations of a data set in Cityscapes' layout are; the folder may be gtFine/ itself."""
    return folder if folder.name == "gtFine" else folder / "gtFine"


def images_below(folder: Path) -> dict[str, Path]:
    """List the photographs two levels deep, by <folder>/<stem>; empty if there is no such folder."""
    paths = [*files(folder, "*/*.png"), *files(folder, "*/*.jpg")]
    return {f"{path.parent.name}/{path.stem}": path for path in paths}
