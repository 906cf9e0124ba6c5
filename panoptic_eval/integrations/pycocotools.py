"""pycocotools' COCOeval: its arguments, its results, its numbers."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from panoptic_eval.coco_instances import instance_table
from panoptic_eval.errors import InputError
from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.metrics import coco_matching
from panoptic_eval.pairs.ranking import MAX_DETECTIONS
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.shapes import Float, Int

KINDS = {"segm": "mask", "bbox": "box"}


@dataclass
class Params:
    """What COCOeval compares, under pycocotools' names; they may be set before `evaluate`."""

    iouType: str = "segm"
    imgIds: Sequence[Any] = ()
    catIds: Sequence[int] = ()
    iouThrs: Float[np.ndarray, " t"] = field(default_factory=lambda: ap.IOU_THRESHOLDS.copy())
    recThrs: Float[np.ndarray, " r"] = field(default_factory=lambda: ap.RECALLS.copy())
    maxDets: Sequence[int] = (1, 10, 100)
    areaRng: Sequence[Sequence[float]] = tuple(ap.COCO_RANGES.values())
    areaRngLbl: Sequence[str] = tuple(ap.COCO_RANGES)
    useCats: int = 1
    """0: all of catIds are one category."""


class COCOeval:
    """AP and AR of instances, in place of `pycocotools.cocoeval.COCOeval`.

        evaluation = COCOeval(coco_gt, coco_gt.loadRes("results.json"), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        print(evaluation.stats)

    `params`, `eval` (precision, recall, scores, counts) and `stats` are as there, -1 for what is not defined. Nothing
    is kept of a single image or match: `evalImgs` and `ious` say so when they are asked for. Keypoints are not scored.
    An annotation of id 0, which pycocotools takes for none when it is matched, counts as any other.

    Args:
        cocoGt, cocoDt: ground truth and results, as pycocotools' COCO and its `loadRes` give them.
        iouType: "segm" or "bbox".

    Raises:
        InputError: iouType is another one.
    """

    def __init__(self, cocoGt: Any, cocoDt: Any, iouType: str = "segm") -> None:
        for name, value in (("cocoGt", cocoGt), ("cocoDt", cocoDt)):
            if not isinstance(getattr(value, "dataset", None), dict):
                raise InputError(f"{name} is of type {type(value).__name__}; expected COCO(path), or its loadRes(path)")
        self.cocoGt, self.cocoDt = cocoGt, cocoDt
        images, categories = (
            sorted(row["id"] for row in cocoGt.dataset.get(key, ())) for key in ("images", "categories")
        )
        self.params = Params(iouType, images, categories)
        self._check()
        self.eval: dict[str, Any] = {}
        self.stats: Any = []

    def evaluate(self) -> None:
        """Match detections and instances.

        Raises:
            InputError: `params` say what is not supported, or the files hold what cannot be scored.
        """
        self._check()
        p, kind = self.params, KINDS[self.params.iouType]
        p.imgIds, p.maxDets = np.unique(p.imgIds).tolist(), sorted(p.maxDets)  # as there
        if p.useCats:
            p.catIds = np.unique(p.catIds).tolist()
        key = "segmentation" if kind == "mask" else "bbox"
        images, categories = set(p.imgIds), {category: k for k, category in enumerate(p.catIds)}
        gt, dt = (
            [
                {name: _plain(row[name]) for name in (*names, key) if name in row}
                for row in coco.dataset.get("annotations", ())
                if row["image_id"] in images and row["category_id"] in categories
            ]
            for coco, names in (
                (self.cocoGt, ("image_id", "category_id", "area", "iscrowd")),
                (self.cocoDt, ("image_id", "category_id", "area", "score")),
            )
        )
        if not p.useCats:
            for rows in (gt, dt):  # of equal scores the first comes first: they go by category
                rows.sort(key=lambda row: categories[row["category_id"]])
                for row in rows:
                    row["category_id"] = p.catIds[0]
            categories = dict.fromkeys(p.catIds[:1], 0)
        content = {
            "images": [row for row in self.cocoGt.dataset["images"] if row["id"] in images],
            "categories": [row for row in self.cocoGt.dataset["categories"] if row["id"] in categories],
            "annotations": gt,
        }
        table = instance_table(content, dt, kind="mask" if kind == "mask" else "box")
        overlaps = ap.mask_overlaps if kind == "mask" else ap.box_overlaps
        thresholds = np.asarray(p.iouThrs, float)
        self._scores = table.pred.score
        self._index = table.catalogue.index(list(categories))
        self._matches = ap.match(
            table,
            overlaps(table, float(thresholds.min())),
            gt_outside=ap.outside(table.gt.stated_area, [(low, high) for low, high in p.areaRng]),
            pred_outside=ap.outside(_areas(table, dt), [(low, high) for low, high in p.areaRng]),
            thresholds=thresholds,
        )

    def accumulate(self) -> None:
        """Fill `eval`: precision (T, R, K, A, M), recall (T, K, A, M), scores (T, R, K, A, M).

        Raises:
            InputError: `evaluate` was not called.
        """
        if not hasattr(self, "_matches"):
            raise InputError("nothing was matched; expected evaluate before accumulate")
        found, p = self._matches, self.params
        instances = found.instances.sum(1)[:, self._index]
        category = np.repeat(np.arange(len(found.first) - 1), np.diff(found.first))
        rank = _rank(found.image, category)
        columns = []
        for most in p.maxDets:
            kept = rank < most
            first = np.searchsorted(category[kept], np.arange(len(found.first)))
            hit, skipped = found.matched[:, :, kept], found.skipped[:, :, kept]
            true = hit & ~skipped
            every = found.instances.sum(1)
            curves = coco_matching.accumulate(first, hit, skipped, every, np.asarray(p.recThrs, float))
            precision = ap.where_defined(curves, every > 0)[:, self._index]
            score = self._scores[found.pred[kept]]
            shape = precision.shape
            recall, scores = np.full(shape[:3], -1.0), np.full(shape, -1.0)
            for a, k in zip(*np.nonzero(instances), strict=True):
                part = slice(first[self._index[k]], first[self._index[k] + 1])
                reached = true[a, :, part].cumsum(-1) / instances[a, k]
                recall[a, k] = reached[:, -1] if reached.shape[1] else 0
                at = np.array([np.searchsorted(of_threshold, p.recThrs) for of_threshold in reached])
                scores[a, k] = np.append(score[part], 0.0)[at]
            columns.append((np.where(np.isnan(precision), -1, precision), recall, scores))
        precisions, recalls, all_scores = (np.stack(values, -1) for values in zip(*columns, strict=True))
        counts = [len(p.iouThrs), len(p.recThrs), len(self._index), len(p.areaRng), len(p.maxDets)]
        self.eval = {
            "params": p,
            "counts": counts,
            "date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
            "precision": precisions.transpose(2, 3, 1, 0, 4),  # from a, k, t, r, m
            "recall": recalls.transpose(2, 1, 0, 3),
            "scores": all_scores.transpose(2, 3, 1, 0, 4),
        }

    def summarize(self) -> None:
        """Print and keep in `stats` COCO's twelve numbers: AP, AP50, AP75, APs, APm, APl; AR at each of maxDets, and of
        small, medium, large.

        Raises:
            InputError: `accumulate` was not called, or `params` have not the ranges, thresholds and maxDets for it.
        """
        if not self.eval:
            raise InputError("nothing was accumulated; expected accumulate before summarize")
        p = self.params
        if len(p.maxDets) != 3 or list(p.areaRngLbl) != list(ap.COCO_RANGES):
            raise InputError(
                f"maxDets {p.maxDets} and areaRngLbl {p.areaRngLbl}; expected three, and COCO's four ranges"
            )
        most = p.maxDets[-1]
        rows = [("precision", None, "all", most), ("precision", 0.5, "all", most), ("precision", 0.75, "all", most)]
        rows += [("precision", None, size, most) for size in p.areaRngLbl[1:]]
        rows += [("recall", None, "all", number) for number in p.maxDets]
        rows += [("recall", None, size, most) for size in p.areaRngLbl[1:]]
        self.stats = np.array([self._mean(*row) for row in rows])
        for (name, threshold, size, number), value in zip(rows, self.stats, strict=True):
            title, short = ("Average Precision", "(AP)") if name == "precision" else ("Average Recall", "(AR)")
            iou = f"{p.iouThrs[0]:.2f}:{p.iouThrs[-1]:.2f}" if threshold is None else f"{threshold:.2f}"
            print(f" {title:<18} {short} @[ IoU={iou:<9} | area={size:>6} | maxDets={number:>3} ] = {value:.3f}")

    def _mean(self, name: str, threshold: float | None, size: str, most: int) -> float:
        values = self.eval[name][..., list(self.params.areaRngLbl).index(size), list(self.params.maxDets).index(most)]
        if threshold is not None:
            values = values[np.isclose(self.params.iouThrs, threshold)]
        defined = values[values > -1]
        return float(defined.mean()) if defined.size else -1.0

    def __getattr__(self, name: str) -> Any:
        if name in ("evalImgs", "ious"):
            raise AttributeError(f"{name} are not kept, as no single match is; expected eval or stats")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _check(self) -> None:
        p = self.params
        if p.iouType not in KINDS:
            raise InputError(f'iouType is {p.iouType!r}; expected "segm" or "bbox"')
        if max(p.maxDets) > MAX_DETECTIONS:
            raise InputError(f"maxDets are {list(p.maxDets)}; expected {MAX_DETECTIONS} at most")


def _plain(value: Any) -> Any:
    """Return what JSON holds for NumPy's numbers and arrays, which pycocotools puts into its results."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _areas(table: PairTable, rows: Sequence[dict[str, Any]]) -> Float[np.ndarray, " n"]:
    """Return the area of each detection as `loadRes` states it, in the order of the table: by image, then as given."""
    number = {image_id: k for k, image_id in enumerate(table.image_id)}
    order = np.argsort([number[row["image_id"]] for row in rows], kind="stable")
    return np.array([rows[i]["area"] for i in order.tolist()], float)


def _rank(image: Int[np.ndarray, " d"], category: Int[np.ndarray, " d"]) -> Int[np.ndarray, " d"]:
    """Return how many detections of the same image and category stand before each one."""
    order = np.lexsort((image, category))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(image[order]) != 0) | (np.diff(category[order]) != 0)
    start = np.flatnonzero(new)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order)))
    return rank
