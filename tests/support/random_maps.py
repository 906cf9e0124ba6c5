"""Random annotated images, as arrays and as the files that the reference tools read."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.pairs.table import PairTable, concatenate


@dataclass(frozen=True)
class Pair:
    """One image: ids, and segments as in COCO panoptic JSON."""

    image_id: int
    gt: np.ndarray
    gt_segments: list[dict]
    pred: np.ndarray
    pred_segments: list[dict]


def catalogue(rng: np.random.Generator) -> Catalogue:
    """Two to six categories, at least one thing and one stuff, ids with gaps and in no order."""
    ids = rng.permutation(40)[: rng.integers(2, 7)].tolist()
    return Catalogue(tuple(Category(i, f"category {i}", k % 2 == 0) for k, i in enumerate(ids)))


def pairs(rng: np.random.Generator, categories: Catalogue, *, images: int, crowds: bool = True) -> list[Pair]:
    """Images with voids, crowds (also several of a category), one-pixel segments, equal and unequal scores."""
    return [_pair(rng, categories, k + 1, crowds) for k in range(images)]


def _pair(rng: np.random.Generator, categories: Catalogue, image_id: int, crowds: bool) -> Pair:
    shape = tuple(rng.integers(1, 24, 2).tolist())
    gt = _blobs(rng, shape)
    pred = np.where(rng.random(shape) < 0.1, 0, gt)  # a prediction that follows gt, then goes astray
    for _ in range(rng.integers(0, 6)):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        pred[y : y + rng.integers(1, 8), x : x + rng.integers(1, 8)] = rng.integers(0, 30)
    kind = {int(i): int(rng.choice(categories.ids)) for i in range(1, 31)}
    gt_segments = _segments(rng, gt, kind, categories, crowds)
    pred = np.where(pred > 0, pred + 1000, 0)
    kind = {i + 1000: c if rng.random() < 0.8 else int(rng.choice(categories.ids)) for i, c in kind.items()}
    pred_segments = _segments(rng, pred, kind, categories, crowds=False)
    for s in pred_segments:
        s["score"] = float(rng.choice([0.5, rng.random()]))
    return Pair(image_id, gt.astype(np.uint32), gt_segments, pred.astype(np.uint32), pred_segments)


def _blobs(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    labels = np.zeros(shape, np.int64)
    for _ in range(rng.integers(0, 12)):
        y, x = rng.integers(-2, shape[0]), rng.integers(-2, shape[1])
        labels[max(y, 0) : y + rng.integers(1, 14), max(x, 0) : x + rng.integers(1, 14)] = rng.integers(0, 30)
    return labels


def _segments(
    rng: np.random.Generator, labels: np.ndarray, kind: dict[int, int], categories: Catalogue, crowds: bool
) -> list[dict]:
    ids = [i for i in rng.permutation(np.unique(labels)).tolist() if i]
    isthing = dict(zip(categories.ids.tolist(), categories.isthing.tolist(), strict=True))
    return [
        {
            "id": i,
            "category_id": kind[i],
            "iscrowd": int(crowds and isthing[kind[i]] and rng.random() < 0.3),
            "area": int((labels == i).sum()),
        }
        for i in ids
    ]


def table(categories: Catalogue, images: list[Pair], *, boundary: float = 0.0) -> PairTable:
    """The pair table of all images."""
    return concatenate(
        [
            pair_table(categories, p.gt, p.gt_segments, p.pred, p.pred_segments, image_id=p.image_id, boundary=boundary)
            for p in images
        ]
    )


def write(folder: Path, categories: Catalogue, images: list[Pair]) -> tuple[Path, Path]:
    """COCO panoptic folders of gt and predictions; the two JSON files."""
    files = []
    for side in ("gt", "pred"):
        (folder / side).mkdir(parents=True)
        annotations = []
        for p in images:
            labels = getattr(p, side)
            rgb = np.stack([labels & 255, labels >> 8 & 255, labels >> 16], axis=-1).astype(np.uint8)
            Image.fromarray(rgb).save(folder / side / f"{p.image_id:03}.png")
            annotations.append(
                {
                    "image_id": p.image_id,
                    "file_name": f"{p.image_id:03}.png",
                    "segments_info": getattr(p, f"{side}_segments"),
                }
            )
        sizes = [dict(zip(("height", "width"), p.gt.shape, strict=True)) for p in images]
        data = {
            "images": [
                {"id": p.image_id, "file_name": f"{p.image_id:03}.jpg", **s} for p, s in zip(images, sizes, strict=True)
            ],
            "annotations": annotations,
            "categories": [{"id": c.id, "name": c.name, "isthing": int(c.isthing)} for c in categories.categories],
        }
        files.append(folder / f"{side}.json")
        files[-1].write_text(json.dumps(data))
    return files[0], files[1]


def coco(categories: Catalogue, images: list[Pair]) -> tuple[dict, list[dict]]:
    """The same as COCO instances and results, one mask a thing segment, for pycocotools."""
    from pycocotools import mask

    isthing = dict(zip(categories.ids.tolist(), categories.isthing.tolist(), strict=True))
    annotations: list[dict] = []
    results: list[dict] = []
    for p in images:
        for labels, segments, into in ((p.gt, p.gt_segments, annotations), (p.pred, p.pred_segments, results)):
            for s in segments:
                if not isthing[s["category_id"]]:
                    continue
                rle = mask.encode(np.asfortranarray(labels == s["id"], np.uint8))
                entry = {"image_id": p.image_id, "category_id": s["category_id"], "segmentation": rle}
                if into is annotations:
                    entry |= {"id": len(annotations) + 1, "iscrowd": s["iscrowd"], "area": s["area"]}
                    entry["bbox"] = mask.toBbox(rle).tolist()
                else:
                    entry["score"] = s["score"]
                into.append(entry)
    gt = {
        "images": [{"id": p.image_id, "height": p.gt.shape[0], "width": p.gt.shape[1]} for p in images],
        "annotations": annotations,
        "categories": [{"id": c.id, "name": c.name} for c in categories.categories if c.isthing],
    }
    return gt, results
