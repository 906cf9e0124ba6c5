"""Categories in groups: those of the data set, or of a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from panoptic_eval.categories import Catalogue
from panoptic_eval.errors import Faults, InputError
from panoptic_eval.files import read_regular

OWN = "supercategory"
"""Name of the grouping that the data set itself has."""
LIMIT = 1 << 26
"""Bytes of the largest file that is read."""

Groups = Mapping[str, tuple[int, ...]]
"""Indices into the catalogue of each group's categories, by the group's name."""


def category_groups(catalogue: Catalogue, grouping: str | Path) -> Groups:
    """Find the groups of categories.

    Args:
        catalogue: the categories.
        grouping: "supercategory", for what the ground truth's files say; or the path of a CSV file with the columns
            `category` (name in any case, or id) and `group`. A category may be in several groups, or in none.

    Raises:
        InputError: the data set has no groups; or the file cannot be read, has other columns, or names a category that
            there is not.
    """
    if str(grouping) == OWN:
        pairs = [(c.supercategory, k) for k, c in enumerate(catalogue.categories) if c.supercategory is not None]
        if not pairs:
            raise InputError("the ground truth says no supercategories; expected a CSV file with category and group")
    else:
        pairs = _read(catalogue, Path(grouping))
    groups: dict[str, list[int]] = {}
    for name, k in pairs:
        groups.setdefault(str(name), []).append(k)
    return {name: tuple(dict.fromkeys(members)) for name, members in groups.items()}


def _read(catalogue: Catalogue, path: Path) -> list[tuple[str, int]]:
    index = {str(c.id): k for k, c in enumerate(catalogue.categories)}
    index |= {c.name.casefold(): k for k, c in enumerate(catalogue.categories)}
    faults = Faults()
    rows = read_rows(path, ("category", "group"))
    known = [(row["group"], index.get(row["category"].strip().casefold(), -1)) for row in rows]
    faults.add(
        f"[category is|categories are] not in the ground truth; expected names or ids, such as "
        f"{', '.join(c.name for c in catalogue.categories[:5])}",
        (f"{path}: {row['category']}" for row, (_, k) in zip(rows, known, strict=True) if k < 0),
    )
    faults.check()
    return known


def read_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a CSV file; missing values are empty.

    Raises:
        InputError: it cannot be read, is not UTF-8, or lacks one of the columns.
    """
    try:
        text = read_regular(path, LIMIT).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); expected a CSV file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 ({error.reason}); expected a CSV file") from error
    try:
        reader = csv.DictReader(io.StringIO(text), restval="", restkey="", strict=True)
        rows = [{str(key): str(value or "") for key, value in row.items()} for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: is no CSV file ({error}); expected columns {', '.join(columns)}") from error
    names = reader.fieldnames or ()
    if missing := [name for name in columns if name not in names]:
        given = ", ".join(names) or "none"
        raise InputError(f"{path}: has no column {', '.join(missing)}; expected {', '.join(columns)}, not {given}")
    return rows
