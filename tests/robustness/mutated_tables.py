"""Stored tables that were changed by somebody who also made the checksum fit: each is scored, or refused.

    python tests/robustness/mutated_tables.py --count 1000 --seed 0

tries as many mutations as are asked for and prints how many were scored and refused, and each that did neither.
"""

import hashlib
import io
import json
import sys
import traceback
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
import random_maps
from outcomes import main

from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import rescore
from panoptic_eval.pairs import stored
from panoptic_eval.score import Tables

NUMBERS = (-1, 0, 1, 7, 2**31 - 1, -(2**31), 2**32, 2**53, 2**63 - 1, -(2**63))
FRACTIONS = (np.nan, np.inf, -np.inf, 1e300, -5.0, 0.5)
VALUES = (None, -1, 2**70, "x", "\ud800", [], {}, 1.5, True, 0)
TYPES = ("f4", "f8", "u1", "i8", "u8", "bool", "f2", ">i4")


def whole(path):
    """The arrays of a file with all three tables."""
    categories = random_maps.catalogue(np.random.default_rng(0))
    images = [random_maps.pairs(np.random.default_rng(seed), categories, images=3) for seed in (1, 2)]
    panoptic, semantic = (random_maps.table(categories, pairs) for pairs in images)
    solid = np.flatnonzero((panoptic.pairs.gt >= 0) & (panoptic.pairs.pred >= 0))
    instances = replace(panoptic, pairs=panoptic.pairs.take(solid))
    tables = {"panoptic": panoptic, "instances": instances, "semantic": semantic}
    path.write_bytes(stored.pack(tables, path.parent))
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name))) for name in archive.namelist()}


def write(path, arrays):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.comment = stored.MARK + bytes(64)
        for name, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values)
            archive.writestr(f"{name}.npy", member.getvalue())
    signed = content.getvalue()[:-64]
    path.write_bytes(signed + hashlib.sha256(signed).hexdigest().encode())


def changed_header(rng, values):
    header = value = json.loads(values.tobytes())
    while True:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = keys[rng.integers(len(keys))]
        if not isinstance(value[key], (dict, list)) or not value[key] or rng.random() < 0.3:
            value[key] = VALUES[rng.integers(len(VALUES))]
            return np.frombuffer(json.dumps(header).encode(), np.uint8)
        value = value[key]


def changed(rng, arrays):
    """One of the arrays, changed in some way."""
    name = list(arrays)[rng.integers(len(arrays))]
    values = arrays[name]
    way = rng.integers(6)
    if name == "header":
        return {**arrays, name: changed_header(rng, values)}
    if way == 0:
        return {other: v for other, v in arrays.items() if other != name}
    if way == 1:
        return {**arrays, name: values[: rng.integers(len(values) + 1)]}
    if way == 2:
        return {**arrays, name: rng.permutation(values)}
    if way == 3:
        return {**arrays, name: values.astype(TYPES[rng.integers(len(TYPES))])}
    values = values.astype(float if values.dtype.kind == "f" else np.int64)
    if len(values):
        at = rng.integers(len(values))
        if way == 4:
            values[at] += rng.integers(-2, 3)
        else:
            of = FRACTIONS if values.dtype.kind == "f" else NUMBERS
            values[at] = of[rng.integers(len(of))]
    return {**arrays, name: values}


def outcomes(folder, count, seed):
    """How often each outcome came."""
    rng = np.random.default_rng(seed)
    path = folder / "tables.npz"
    intact = whole(path)
    found = Counter()
    for _ in range(count):
        arrays = intact
        with np.errstate(invalid="ignore", over="ignore"):
            for _ in range(rng.integers(1, 3)):
                arrays = changed(rng, arrays)
        write(path, arrays)
        found[outcome(path)] += 1
    return found


def outcome(path):
    try:
        rescore(Tables(**stored.load(path)))
    except InputError:
        return "refused"
    except Exception:
        return traceback.format_exc()
    return "scored"


if __name__ == "__main__":
    main(__doc__, outcomes)
