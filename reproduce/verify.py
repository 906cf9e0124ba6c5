"""Checks that the committed results follow from the committed checkpoints:  python -m reproduce.verify

Compares the hashes of the checkpoints with those that each result names, and computes the tables again from the stored
pair tables. Exits with 1 and lists what differs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import tyro

from model.checkpoint_files import WEIGHTS, fingerprint
from reproduce.bootstrap import bootstrap
from reproduce.claims import image_claims
from reproduce.fig5 import ap_by_size, differences_by_size
from reproduce.learning import LEARNING, last_doublings
from reproduce.size_curves import SIZE_CURVES, drawn, size_rows
from reproduce.systems import CHECKPOINTS, PAIRS, TABLE, System, first_images, shipped_tables
from reproduce.table1 import difference_rows, our_rows

TOLERANCE = 1e-6
"""Largest difference of a score: they are stored with six digits."""
SUFFIXES = ("", "_full")
"""Endings of the names of results: on the first images and seeds, and on all of them."""


@dataclass(frozen=True)
class Options:
    """Check committed results."""

    results: Path = TABLE.parent
    """Folder of the results."""
    checkpoints: Path = CHECKPOINTS
    """Folder of the networks."""


def faults(results: Path, checkpoints: Path) -> list[str]:
    """List what does not follow from the checkpoints; empty if all does."""
    hashes = {
        p.parent.relative_to(checkpoints).as_posix(): fingerprint(p.parent) for p in checkpoints.glob(f"**/{WEIGHTS}")
    }
    table = pd.read_csv(results / TABLE.name)
    labels = table["variant"] + "/seed" + table["seed"].astype(str)
    trained = dict(zip(labels, table["weights_sha256"], strict=True))
    compared = shipped_tables(results)
    if not compared:
        return [f"{results / PAIRS.name}: holds no pair table; expected one for each checkpoint"]
    tables_alone = {s.label: trained[s.label] for s in compared if s.label not in hashes and s.label in trained}
    hashes |= tables_alone
    differing = differing_hashes(hashes, trained, results / TABLE.name)
    for suffix in SUFFIXES:
        pages = [results / f"{name}{suffix}.json" for name in ("table1", "fig5", "claims")]
        records = {path.stem: json.loads(path.read_text()) for path in pages if path.is_file()}
        for name, record in records.items():
            named = record.get("provenance", record)["checkpoints"]
            differing += differing_hashes(hashes, named, results / f"{name}.json")
        if records:
            differing += differing_scores(results, suffix, records, compared)
    if (results / SIZE_CURVES).is_file():
        differing += differing_rows(results / SIZE_CURVES, size_rows(drawn(compared)))
    return differing


def differing_scores(results: Path, suffix: str, records: Mapping[str, Any], compared: Sequence[System]) -> list[str]:
    """List the results with a suffix that the pair tables do not give.

    Args:
        results: folder of the results.
        suffix: of their names.
        records: their JSON files, by name; these name the images and the checkpoints.
        compared: the systems whose pair tables are shipped.
    """
    about = [record.get("provenance", record) for record in records.values()]
    images, labels = about[0]["data"]["images"], set(about[0]["checkpoints"])
    used = [replace(s, tables=first_images(s.tables, images)) for s in compared if s.label in labels]
    if missing := sorted(labels - {s.label for s in used}):
        return [
            f"{results / PAIRS.name}: holds no pair table of {', '.join(missing)}; expected one for each checkpoint"
        ]
    scores, found = bootstrap(used, wide=None), []
    for name, rows in (("table1", pd.DataFrame(our_rows(scores))), ("fig5", ap_by_size(scores))):
        if f"{name}{suffix}" in records:
            found += differing_rows(results / f"{name}{suffix}.csv", rows)
    if f"fig5{suffix}" in records:
        found += differing_rows(results / f"fig5{suffix}_differences.csv", differences_by_size(scores))
    differences = difference_rows(scores)
    if differences and f"table1{suffix}" in records:
        found += differing_rows(results / f"table1{suffix}_differences.csv", pd.DataFrame(differences))
    if f"claims{suffix}" in records:
        committed = {claim["number"]: claim["verdict"] for claim in records[f"claims{suffix}"]["claims"]}
        found += [
            f"{results}/claims{suffix}.json: claim {c.number} is {committed.get(c.number)}; expected {c.verdict}"
            for c in image_claims(scores, last_doublings(results / LEARNING))
            if committed.get(c.number) != c.verdict
        ]
    return found


def differing_hashes(ours: Mapping[str, str], named: Mapping[str, str], where: Path) -> list[str]:
    """List the checkpoints that a result names and that have changed, or are gone."""
    return [
        f"{where}: names checkpoint {label} with SHA-256 {sha256}; expected {ours.get(label, 'one that is shipped')}"
        for label, sha256 in named.items()
        if ours.get(label) != sha256
    ]


def differing_rows(path: Path, ours: pd.DataFrame) -> list[str]:
    """Compare the rows of a CSV file with others; empty if they are equal."""
    try:
        pd.testing.assert_frame_equal(pd.read_csv(path), ours, check_dtype=False, rtol=0, atol=TOLERANCE)
    except AssertionError as error:
        return [f"{path}: differs from what the pair tables give: {' '.join(str(error).split())}"]
    return []


def main() -> None:
    """Check, and print what differs."""
    options = tyro.cli(Options, description=__doc__)
    found = faults(options.results, options.checkpoints)
    if found:
        sys.exit("\n- ".join(["these results do not follow from the checkpoints:", *found]))
    print("the committed results follow from the committed checkpoints")


if __name__ == "__main__":
    main()
