"""One measurement in a fresh process: a tool scores the pair of maps that `benchmarks.loop` has drawn.

    python benchmarks/loop_contenders.py TOOL PAIR.npz REPEATS

`benchmarks.loop` runs it with the interpreter of the tool's environment. Each repeat is timed alone, in processor time
of one thread: what a loop pays for an image (update), and once an epoch (compute). Prints JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

Steps = tuple[Callable[[], Any], Callable[[Any], float]]
"""Of a fresh state: update, and compute of what it returned, which gives PQ."""


class Pair:
    """Maps of one image, ids from 1 on and 0 for void; segments with id, category_id, area; categories of COCO."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as stored:
            self.gt, self.pred = stored["gt"], stored["pred"]
            meaning = json.loads(stored["meaning"].item())
        self.categories, self.gt_segments, self.pred_segments = (
            meaning[key] for key in ("categories", "gt_segments", "pred_segments")
        )

    def coded(self, labels: np.ndarray, segments: list[dict[str, Any]]) -> np.ndarray:
        """Category and instance of each pixel, as torchmetrics takes them; void is category 0."""
        category = np.zeros(int(labels.max()) + 1, np.int64)
        for segment in segments:
            category[segment["id"]] = segment["category_id"]
        return np.stack([category[labels], labels.astype(np.int64)], -1)


# Each takes the pair, prepares what is not measured, and returns what makes the steps of a repeat.


def ours(dtype: str) -> Callable[[Pair], Callable[[], Steps]]:
    def prepare(pair: Pair) -> Callable[[], Steps]:
        from panoptic_eval import PanopticMetric

        prediction = pair.pred.astype(dtype), pair.pred_segments
        target = pair.gt.astype(dtype), pair.gt_segments
        return lambda: steps_of(PanopticMetric(pair.categories), prediction, target)

    return prepare


def ours_coded(pair: Pair) -> Callable[[], Steps]:
    from panoptic_eval import PanopticMetric

    categories = [*pair.categories, {"id": 0, "name": "void", "isthing": 0}]  # which torchmetrics cannot leave out
    prediction, target = pair.coded(pair.pred, pair.pred_segments), pair.coded(pair.gt, pair.gt_segments)
    return lambda: steps_of(PanopticMetric(categories), prediction, target)


def steps_of(metric: Any, prediction: Any, target: Any) -> Steps:
    return lambda: metric.update(prediction, target), lambda _: metric.compute().scores["PQ"]["all"]


def torchmetrics(pair: Pair) -> Callable[[], Steps]:
    import torch
    from torchmetrics.detection import PanopticQuality

    torch.set_num_threads(1)
    things, stuff = ({c["id"] for c in pair.categories if bool(c["isthing"]) == kind} for kind in (True, False))
    prediction, target = (
        torch.from_numpy(pair.coded(*side))[None]
        for side in ((pair.pred, pair.pred_segments), (pair.gt, pair.gt_segments))
    )

    def steps() -> Steps:
        metric = PanopticQuality(things, {0, *stuff})
        return lambda: metric.update(prediction, target), lambda _: float(metric.compute())

    return steps


def vernier(pair: Pair) -> Callable[[], Steps]:
    from vernier import panoptic

    gt, pred = pair.gt.astype(np.uint32), pair.pred.astype(np.uint32)
    gt_info, pred_info = (
        json.dumps({"1": [{k: v for k, v in s.items() if k != "score"} for s in segments]}).encode()
        for segments in (pair.gt_segments, pair.pred_segments)
    )
    categories = json.dumps(pair.categories).encode()

    def update() -> Any:
        target = panoptic.Dataset.from_arrays({1: gt}, gt_info, categories)
        return panoptic.Evaluator().evaluate(
            target, panoptic.Predictions.from_arrays({1: pred}, pred_info), num_threads=1
        )

    return lambda: (update, lambda summary: float(summary.pq))


def panopticapi(pair: Pair) -> Callable[[], Steps]:
    from panopticapi import evaluation

    colors = {
        name: np.stack([labels & 255, labels >> 8 & 255, labels >> 16], -1).astype(np.uint8)
        for name, labels in (("gt/1.png", pair.gt), ("pred/1.png", pair.pred))
    }
    arrays = SimpleNamespace(open=colors.__getitem__)
    categories = {category["id"]: category for category in pair.categories}

    def update() -> Any:
        annotations = [
            {"image_id": 1, "file_name": "1.png", "segments_info": [{**s, "iscrowd": 0} for s in segments]}
            for segments in (pair.gt_segments, pair.pred_segments)
        ]
        with mock.patch.object(evaluation, "Image", arrays):  # arrays in the place of its PNGs
            return evaluation.pq_compute_single_core(0, [tuple(annotations)], "gt", "pred", categories)

    return lambda: (update, lambda stat: float(stat.pq_average(categories, isthing=None)[0]["pq"]))


CONTENDERS: dict[str, Callable[[Pair], Callable[[], Steps]]] = {
    "ours": ours("int32"),
    "ours, int64": ours("int64"),
    "ours, uint8": ours("uint8"),
    "ours, uint16": ours("uint16"),
    "ours, uint32": ours("uint32"),
    "ours, category and instance": ours_coded,
    "vernier": vernier,
    "panopticapi": panopticapi,
    "torchmetrics": torchmetrics,
}


def main() -> None:
    tool, path, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    with contextlib.redirect_stdout(sys.stderr):
        make = CONTENDERS[tool](Pair(path))
        times = []
        for _ in range(1 + repeats):  # the first pays for what is loaded once
            update, compute = make()
            begin = time.process_time()
            state = update()
            middle = time.process_time()
            score = compute(state)
            times.append((middle - begin, time.process_time() - middle))
    updates, computes = zip(*times[1:], strict=True)
    print(json.dumps({"update": updates, "compute": computes, "PQ": score}))


if __name__ == "__main__":
    main()
