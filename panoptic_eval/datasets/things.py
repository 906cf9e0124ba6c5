"""Which categories are things, where a ground truth cannot say it itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import json_rows
from panoptic_eval.datasets.folders import JSON
from panoptic_eval.datasets.json_rows import FLAG, STRING, column
from panoptic_eval.errors import Faults, InputError


def with_things(catalogue: Catalogue, things: Sequence[str]) -> Catalogue:
    """Return the same categories, of which those named are things and all others stuff.

    Args:
        catalogue: the categories.
        things: names (in any case) or ids; or one path of a JSON of categories with name and isthing, such as
            panopticapi's panoptic_coco_categories.json, or of a COCO JSON that has `categories`.

    Raises:
        InputError: a name or id is no category, or the JSON leaves one out.
    """
    if len(things) == 1 and things[0].endswith(JSON):
        return _as_listed(catalogue, Path(things[0]))
    names = {c.name.casefold() for c in catalogue.categories}
    ids = {str(c.id) for c in catalogue.categories}
    unknown = [thing for thing in things if thing.casefold() not in names and thing not in ids]
    if unknown:
        known = ", ".join(c.name for c in catalogue.categories[:10])
        raise InputError(f"--things {unknown[0]}: is no category; expected names or ids, such as {known}")
    wanted = {thing.casefold() for thing in things}
    by_id = {thing for thing in things if thing.casefold() not in names}
    return Catalogue(
        tuple(replace(c, isthing=c.name.casefold() in wanted or str(c.id) in by_id) for c in catalogue.categories)
    )


def _as_listed(catalogue: Catalogue, path: Path) -> Catalogue:
    content = json_rows.load(path)
    faults = Faults()
    rows = json_rows.objects(content.get("categories") if isinstance(content, dict) else content, str(path), faults)

    def place(i: int) -> str:
        return f"{path}: [{i}]"

    names = column(rows, "name", STRING, place, faults, default="").values
    flags = column(rows, "isthing", FLAG, place, faults, default=0).values
    faults.add(
        '[category has|categories have] an "isthing" that is neither 0 nor 1; expected 0 or 1',
        (f'{place(i)}: "isthing" is {flag}' for i, flag in enumerate(flags) if flag not in (0, 1)),
    )
    isthing = {name.casefold(): bool(flag) for name, flag in zip(names, flags, strict=True)}
    faults.add(
        "[category is|categories are] a thing in one entry and stuff in another; expected one of them",
        (place(i) for i, name in enumerate(names) if bool(flags[i]) != isthing[name.casefold()]),
    )
    faults.add(
        f"[category is|categories are] not in {path}; expected name and isthing of each",
        (repr(c.name) for c in catalogue.categories if c.name.casefold() not in isthing),
    )
    faults.check()
    return Catalogue(tuple(replace(c, isthing=isthing[c.name.casefold()]) for c in catalogue.categories))
