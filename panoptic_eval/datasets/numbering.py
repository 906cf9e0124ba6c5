"""How predictions number categories: as the ground truth, by name, by position, or in another way of the data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import FORMATS
from panoptic_eval.errors import Faults
from panoptic_eval.rules import CategoryIds

BEYOND = 2**53 + 1
"""Numbers from here on are no category's."""


@dataclass(frozen=True)
class Numbering:
    """A numbering of the ground truth's categories."""

    catalogue: Catalogue
    """The ground truth's categories in its order, with the numbers that predictions use."""
    note: str = ""
    """Addition to the name of a source, for people."""


def choose_numbering(
    catalogue: Catalogue,
    wanted: CategoryIds,
    where: Path,
    declared: Sequence[Category],
    observed: Iterable[set[int]],
    faults: Faults,
) -> Numbering:
    """Say how a prediction numbers the ground truth's categories.

    Args:
        catalogue: the ground truth's.
        wanted: what the user says.
        where: the prediction, for messages.
        declared: the prediction's own categories, if it has any.
        observed: category numbers that occur; looked at only as far as needed.
        faults: gets a choice that does not exist or cannot be made.
    """
    of_format = {name: c for f in FORMATS for name, c in f.renumber(catalogue).items()}
    all_ = {**_of_any(catalogue), **of_format}
    if wanted != "auto":
        if wanted not in all_:
            faults.add(f"{where}: category-ids is {wanted}; expected {' or '.join(all_)} for this ground truth")
        return Numbering(all_.get(wanted, catalogue), f", categories by {wanted}")
    by_name = _by_name(catalogue, declared, observed) if declared else None
    if by_name is not None:
        numbered = by_name.ids < BEYOND
        if (by_name.ids == catalogue.ids)[numbered].all():
            return Numbering(catalogue)
        name = next((name for name, c in all_.items() if c == by_name), None)
        if name not in of_format:
            faults.warn(f"{where}: its categories have other numbers than the ground truth's; read by their names")
        return Numbering(by_name, f", categories by {name or 'name'}")
    if not of_format:
        return Numbering(catalogue)
    choice = _best_by_name(of_format, declared) or _best_by_number(of_format, observed, catalogue)
    if choice is None:
        names = " or ".join(of_format)
        faults.add(f"{where}: its categories may be numbered by {names}; expected --category-ids to say which")
    return Numbering(of_format.get(choice or "", catalogue), f", categories by {choice or 'id'}")


def point_out(
    catalogue: Catalogue, where: Path, declared: Sequence[Category], numbers: set[int], faults: Faults
) -> None:
    """Say what may be meant otherwise: numbers that look like positions (a fault), other names for the same numbers.

    Args:
        catalogue: the ground truth's, with the numbers of the prediction.
        where: the prediction, for messages.
        declared: the prediction's own categories, if it has any.
        numbers: of the categories that occur.
        faults: gets what is found.
    """
    ids = set(catalogue.ids.tolist())
    if numbers - ids and numbers <= set(range(len(catalogue))):
        faults.add(
            f"{where}: its categories are numbered from 0 to {len(catalogue) - 1}, as positions in the list of "
            f"{len(catalogue)} categories are; if they are, give --category-ids position",
            likely_cause=True,
        )
    theirs = {c.id: c.name for c in declared}
    pairs = [(c.id, theirs[c.id], c.name) for c in catalogue.categories if c.id in theirs]
    other = [(id_, a, b) for id_, a, b in pairs if a.casefold() != b.casefold()]
    if other:
        id_, a, b = other[0]
        faults.warn(
            f"{where}: {len(other)} of {len(pairs)} categories have other names than in the ground truth "
            f"(category {id_} is {a!r} here, {b!r} there)"
        )


def _of_any(catalogue: Catalogue) -> dict[str, Catalogue]:
    """Return the numberings that any data set may have, by name."""
    by = {"id": catalogue, "position": _numbered(catalogue, range(len(catalogue)))}
    if catalogue.ids.min() > 0:
        by["label"] = _numbered(catalogue, (catalogue.ids - 1).tolist())
    return by


def _by_name(catalogue: Catalogue, declared: Sequence[Category], observed: Iterable[set[int]]) -> Catalogue | None:
    """Return the catalogue with the numbers that a prediction gives its names.

    Categories whose names it does not give get numbers that nothing has. None unless each name has one meaning and all
    numbers that occur have a name of the ground truth.
    """
    names = [c.name.casefold() for c in catalogue.categories]
    listed = [c for c in declared if c.name.casefold() in names]
    number = {c.name.casefold(): c.id for c in listed}
    if len(set(names)) < len(names) or len(number) < len(listed) or not number:
        return None
    if len(number) < len(names) and not set().union(*observed) <= set(number.values()):
        return None
    return _numbered(catalogue, [number.get(name, BEYOND + k) for k, name in enumerate(names)])


def _best_by_name(numberings: Mapping[str, Catalogue], declared: Sequence[Category]) -> str | None:
    """Return the numbering that agrees with most of the declared names; None if no other does less."""
    named = {(c.id, c.name.casefold()) for c in declared}
    agreeing = {name: len(named & {(k.id, k.name.casefold()) for k in c.categories}) for name, c in numberings.items()}
    return _only_largest(agreeing)


def _best_by_number(numberings: Mapping[str, Catalogue], observed: Iterable[set[int]], own: Catalogue) -> str | None:
    """Return the numbering that has more of the numbers that occur, looked at until one does; None if all have as many.

    Without any number it is the ground truth's own.
    """
    seen: set[int] = set()
    for numbers in observed:
        seen |= numbers
        having = {name: len(seen & set(c.ids.tolist())) for name, c in numberings.items()}
        if (choice := _only_largest(having)) is not None:
            return choice
    return None if seen else next(name for name, c in numberings.items() if c == own)


def _only_largest(counts: Mapping[str, int]) -> str | None:
    largest = max(counts.values(), default=0)
    names = [name for name, count in counts.items() if count == largest]
    return names[0] if len(names) == 1 else None


def _numbered(catalogue: Catalogue, ids: Iterable[int]) -> Catalogue:
    return Catalogue(tuple(replace(c, id=id_) for c, id_ in zip(catalogue.categories, ids, strict=True)))
