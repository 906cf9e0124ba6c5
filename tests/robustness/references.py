"""Random data sets through the whole package, PNGs stored in many ways, against panopticapi and pycocotools.

    python tests/robustness/references.py --count 3000 --seed 0

PQ of panopticapi (with its quirks), mask and box AP of pycocotools, of panoptic maps and of instances.json, to 1e-9.
The references read plain PNGs; ours are stored with palettes, alpha, interlacing, and any filters.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import png
import random_maps
from coco_reference import pycocotools
from panopticapi.evaluation import pq_compute_single_core
from PIL import Image
from pycocotools import mask as coco

from panoptic_eval import evaluate
from panoptic_eval.metrics.average_precision import COCO_RANGES
from panoptic_eval.rules import Rules

TOLERANCE = 1e-9


def stored_otherwise(rng: np.random.Generator, file: Path) -> None:
    """Store a PNG of ids as the same picture in another way."""
    rgb = np.asarray(Image.open(file).convert("RGB")).astype(np.int64)
    ids = rgb @ [1, 256, 65536]
    how = {"filters": rng.integers(0, 5, 7).tolist(), "interlaced": bool(rng.random() < 0.3)}
    colors = rng.permutation(np.unique(ids)).tolist()
    kind = rng.integers(3)
    if kind == 0 and len(colors) <= 256:
        depth = next(d for d in (1, 2, 4, 8) if (2**d >= len(colors) and rng.random() < 0.5) or d == 8)
        at = {id_: k for k, id_ in enumerate(colors)}
        palette = png.samples(np.array([colors]), png.RGB).astype(np.uint8).tobytes()
        before = png.chunk(b"PLTE", palette)
        indices = np.vectorize(at.get)(ids)[..., None]
        file.write_bytes(png.write(indices, depth=depth, color_type=png.PALETTE, before=before, **how))
    else:
        color_type = png.RGBA if kind == 1 else png.RGB
        alpha = rng.integers(0, 256, ids.shape)
        file.write_bytes(png.write(png.samples(ids, color_type, alpha), color_type=color_type, **how))


def detections(rng: np.random.Generator, categories, images) -> list[dict]:
    """COCO results that overlap: gt's segments with holes, noise, empty masks, more than count, some written twice."""
    things = categories.ids[categories.isthing]
    rows: list[dict] = []
    for p in images:
        for _ in range(int(rng.choice([0, 3, 9, 130], p=[0.2, 0.4, 0.37, 0.03]))):
            drawn = rng.random(p.gt.shape) < rng.choice([0, 0.02, 0.5])
            category = int(rng.choice(things))
            if p.gt_segments and rng.random() < 0.7:
                s = p.gt_segments[rng.integers(len(p.gt_segments))]
                drawn = (p.gt == s["id"]) & (rng.random(p.gt.shape) < 0.9)
                category = s["category_id"] if s["category_id"] in things else category
            rle = coco.encode(np.asfortranarray(drawn, np.uint8))
            rle["counts"] = rle["counts"].decode()
            score = float(rng.choice([0.5, rng.random()]))
            rows.append({"image_id": p.image_id, "category_id": category, "segmentation": rle, "score": score})
            if rng.random() < 0.05:
                rows.append(dict(rows[-1]))
    return rows


def expected_pq(gt_json: Path, pred_json: Path, categories) -> dict[str, float]:
    """PQ of panopticapi: of all, of things, of stuff."""
    gt, pred = (json.loads(f.read_text())["annotations"] for f in (gt_json, pred_json))
    kinds = {c.id: {"id": c.id, "isthing": int(c.isthing)} for c in categories.categories}
    with contextlib.redirect_stdout(io.StringIO()):
        stat = pq_compute_single_core(
            0, list(zip(gt, pred, strict=True)), str(gt_json.with_suffix("")), str(pred_json.with_suffix("")), kinds
        )
    found = {}
    for name, isthing in (("all", None), ("things", True), ("stuff", False)):
        values = (
            stat.pq_average(kinds, isthing=isthing)[0]
            if any(stat[k].tp + stat[k].fp + stat[k].fn and isthing in (None, bool(kinds[k]["isthing"])) for k in kinds)
            else {"pq": np.nan}
        )
        found[name] = values["pq"]
    return found


def differences(folder: Path, seed: int) -> list[str]:
    """Scores of one random data set that differ from the references'."""
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=int(rng.integers(1, 7)))
    gt_json, pred_json = random_maps.write(folder, categories, images)
    results = detections(rng, categories, images)
    expected = {("PQ", name): value for name, value in expected_pq(gt_json, pred_json, categories).items()}
    gt, panoptic = random_maps.coco(categories, images)
    for suffix, rows in (("", panoptic), ("_instances", results)):
        for name, kind in (("AP_mask", "segm"), ("AP_box", "bbox")):
            given = rows
            if kind == "bbox":
                given = [{**r, "bbox": coco.toBbox(r["segmentation"]).tolist()} for r in rows]
            if rows:
                precision = pycocotools(gt, given, kind, COCO_RANGES.values())
                for key, values in zip(("AP", "APs", "APm", "APl"), precision, strict=True):
                    known = values[~np.isnan(values)]
                    expected[name + suffix, key] = known.mean() if known.size else np.nan
    for file in [*gt_json.with_suffix("").glob("*.png"), *pred_json.with_suffix("").glob("*.png")]:
        stored_otherwise(rng, file)
    if results:
        (folder / "instances.json").write_text(json.dumps(results))
    scores = evaluate(pred_json, gt_json, rules=Rules(protocol="panopticapi"), workers=1).scores
    return [
        f"seed {seed}: {name}.{key} is {scores[name][key]}, expected {value}"
        for (name, key), value in expected.items()
        if not np.isclose(scores[name][key], value, rtol=0, atol=TOLERANCE, equal_nan=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = []
    for seed in range(options.seed, options.seed + options.count):
        with tempfile.TemporaryDirectory() as folder:
            found += differences(Path(folder), seed)
    print(*found[:50], f"{options.count} data sets, {len(found)} differences", sep="\n")


if __name__ == "__main__":
    main()
