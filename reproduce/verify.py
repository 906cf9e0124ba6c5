"""Checks that the committed results follow from the committed checkpoints:  python -m reproduce.verify

Compares the hashes of the checkpoints with those that each result names, and their settings with the registered ones,
and computes the tables again from the stored pair tables. What has not been made yet is not missed. Exits with 1 and
lists what differs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import tyro

from model.checkpoint_files import CONFIG, WEIGHTS, fingerprint
from model.config import from_json
from reproduce.bootstrap import bootstrap
from reproduce.claims import endpoint_parts, evidence, image_claims
from reproduce.embedded import EMBEDDED, Embedded
from reproduce.fig5 import ap_by_size, differences_by_size
from reproduce.size_curves import SIZE_CURVES, size_rows
from reproduce.systems import System, first_images, shipped_tables
from reproduce.table1 import difference_rows, our_rows
from reproduce.variants import BY_NAME

TOLERANCE = 1e-6
"""Largest difference of a score: they are stored with six digits."""
SUFFIXES = ("", "_full")
"""Endings of the names of results: on the first images and seeds, and on all of them."""


@dataclass(frozen=True)
class Options:
    """Check the committed results."""


def faults(data: Embedded) -> list[str]:
    """List what does not follow from the checkpoints of the embedded data set; empty if all does."""
    results = data.results
    folders = [path.parent for path in sorted(data.checkpoints.glob(f"**/{WEIGHTS}"))]
    hashes = {folder.relative_to(data.checkpoints).as_posix(): fingerprint(folder) for folder in folders}
    table = pd.read_csv(data.table)
    labels = table["variant"] + "/seed" + table["seed"].astype(str)
    trained = dict(zip(labels, table["weights_sha256"], strict=True))
    compared = shipped_tables(results)
    hashes |= {s.label: trained[s.label] for s in compared if s.label not in hashes and s.label in trained}
    differing = [
        f"{data.table}: has no row of {label}; expected one for each network"
        for label in sorted({*hashes} - {*trained})
    ]
    differing += differing_hashes(hashes, trained, data.table)
    differing += [fault for folder in folders if (fault := differing_settings(data, folder))]
    for suffix in SUFFIXES:
        pages = [results / f"{name}{suffix}.json" for name in ("table1", "fig5", "claims")]
        records = {path.stem: json.loads(path.read_text()) for path in pages if path.is_file()}
        for name, record in records.items():
            of = record.get("provenance", record)["checkpoints"]
            differing += differing_hashes(hashes, of, results / f"{name}.json")
        if records:
            differing += differing_scores(data, suffix, records, compared)
    if (results / SIZE_CURVES).is_file():
        record = json.loads((results / SIZE_CURVES).with_suffix(".json").read_text())
        used, missing = systems_of(data, compared, record["config"]["checkpoints"], record["data"]["images"])
        differing += missing or differing_rows(results / SIZE_CURVES, size_rows(used))
    return differing


def differing_settings(data: Embedded, folder: Path) -> str:
    """Say whether a network was trained with other settings than were registered; empty if not."""
    variant = folder.relative_to(data.checkpoints).parts[0]
    if not BY_NAME[variant].registered:
        return ""
    registered = data.registration.parent / "registered" / f"{variant}.json"
    ours, theirs = (from_json(path.read_text()) for path in (folder / CONFIG, registered))
    return "" if ours == theirs else f"{folder / CONFIG}: differs from {registered}; expected what was registered"


def systems_of(
    data: Embedded, compared: Sequence[System], labels: Collection[str], images: int
) -> tuple[list[System], list[str]]:
    """Select the systems of a result, cut to its images; and list those whose pair table is missing or too short.

    Args:
        data: the embedded data set.
        compared: the systems whose pair tables are shipped.
        labels: names of the systems of the result.
        images: number of its images.
    """
    used = [s for s in compared if s.label in labels and len(s.tables.panoptic) >= images]
    missing = sorted({*labels} - {s.label for s in used})
    found = [
        f"{data.pairs}: holds no pair table of {label} on {images} images; expected one for each checkpoint"
        for label in missing
    ]
    return [replace(s, tables=first_images(s.tables, images)) for s in used], found


def differing_scores(data: Embedded, suffix: str, records: Mapping[str, Any], compared: Sequence[System]) -> list[str]:
    """List the results with a suffix that the pair tables do not give.

    Args:
        data: the embedded data set.
        suffix: of their names.
        records: their JSON files, by name; these name the images and the checkpoints.
        compared: the systems whose pair tables are shipped.
    """
    about, results = [record.get("provenance", record) for record in records.values()], data.results
    used, missing = systems_of(data, compared, about[0]["checkpoints"], about[0]["data"]["images"])
    if missing:
        return missing
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
        record = records[f"claims{suffix}"]
        judged = evidence(scores, results, registered=True)
        verdicts = {f"claim {c.number}": c.verdict for c in image_claims(*judged, registered=True)}
        verdicts |= {part.tested: part.verdict for part in endpoint_parts(*judged)}
        committed = {f"claim {claim['number']}": claim["verdict"] for claim in record["claims"]}
        committed |= {part["tested"]: part["verdict"] for part in record["endpoints"]}
        found += [
            f"{results}/claims{suffix}.json: {name} is {committed.get(name)}; expected {verdict}"
            for name, verdict in verdicts.items()
            if committed.get(name) != verdict
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
    tyro.cli(Options, description=__doc__)
    if found := faults(EMBEDDED):
        sys.exit("\n- ".join(["these results do not follow from the checkpoints:", *found]))
    print("the committed results follow from the committed checkpoints")


if __name__ == "__main__":
    main()
