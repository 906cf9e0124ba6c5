"""One measurement in a fresh process: a tool does one piece of work on the files that `benchmarks.data` wrote.

    python benchmarks/contenders.py TOOL WORK DATA [TINY]

`benchmarks.peers` runs it with the interpreter of the tool's environment. Given TINY, the tool first does the work
on that data set, which pays for imports, compiled code and pools of processes; then the clock starts. Prints JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Scores = dict[str, float]
Work = Callable[[], Scores]
WORKERS = int(os.environ.get("BENCHMARK_WORKERS", "0")) or os.cpu_count()


def panoptic_files(data: Path) -> list[str]:
    return [str(data / name) for name in ("gt.json", "pred/panoptic.json", "gt", "pred/panoptic")]


# Each takes the folder of a data set and prepares what is not measured.


def ours_pq(data: Path) -> Work:
    from panoptic_eval.counting import count
    from panoptic_eval.metrics.metric import summed
    from panoptic_eval.metrics.panoptic_quality import panoptic_quality, pq_counts
    from panoptic_eval.rules import Rules

    def work() -> Scores:
        table = count(data / "pred", data / "gt.json", workers=WORKERS).panoptic
        return {"PQ": mean(panoptic_quality(summed(pq_counts(table, Rules(protocol="panopticapi")))))}

    return work


def mean(values: Any) -> float:
    import numpy as np

    return float(np.nanmean(values))


def ours_everything(data: Path) -> Work:
    from panoptic_eval.evaluation import evaluate
    from panoptic_eval.rules import Rules

    def work() -> Scores:
        scores = evaluate(data / "pred", data / "gt.json", workers=WORKERS, rules=Rules(protocol="panopticapi")).scores
        return {"PQ": scores["PQ"]["all"], "AP_mask": scores["AP_mask"]["AP"], "AP_box": scores["AP_box"]["AP"]}

    return work


def ours_ap(data: Path) -> Work:
    from panoptic_eval.counting import count
    from panoptic_eval.metrics.average_precision import average_precision, match_ranges

    table = count(data / "pred", data / "gt.json", workers=WORKERS).panoptic

    def score(kind: str) -> float:
        return average_precision(match_ranges(table, [kind], [], stated=False)[kind]).mean(0)  # COCO's ranges alone

    return lambda: {f"AP_{kind}": score(kind) for kind in ("mask", "box")}


def panopticapi_pq(data: Path) -> Work:
    from panopticapi.evaluation import pq_compute

    return lambda: {"PQ": pq_compute(*panoptic_files(data))["All"]["pq"]}


def cityscapes_pq(data: Path) -> Work:
    import tempfile

    from cityscapesscripts.evaluation.evalPanopticSemanticLabeling import evaluatePanoptic

    gt, pred, gt_folder, pred_folder = panoptic_files(data)

    def work() -> Scores:
        with tempfile.TemporaryDirectory() as folder:
            return {"PQ": evaluatePanoptic(gt, gt_folder, pred, pred_folder, f"{folder}/out.json")["All"]["pq"]}

    return work


def hotcoco_pq(data: Path) -> Work:
    from hotcoco.panoptic import pq_compute

    return lambda: {"PQ": pq_compute(*panoptic_files(data))["All"]["pq"]}


def vernier_pq(data: Path) -> Work:
    from vernier.panoptic import Evaluator

    def encoded(value: Any) -> bytes:
        return json.dumps(value).encode()

    def work() -> Scores:
        gt, pred = (json.loads((data / name).read_text()) for name in ("gt.json", "pred/panoptic.json"))
        evaluator = Evaluator(parity_mode="strict")  # the mode that equals panopticapi
        with evaluator.background(encoded(gt["categories"]), num_threads=WORKERS, worker_nice=0) as worker:
            for a, b in zip(gt["annotations"], pred["annotations"], strict=True):
                gt_png = (data / "gt" / a["file_name"]).read_bytes()
                pred_png = (data / "pred/panoptic" / b["file_name"]).read_bytes()
                segments = encoded(a["segments_info"]), encoded(b["segments_info"])
                worker.submit_png(a["image_id"], gt_png, segments[0], pred_png, segments[1])
            return {"PQ": worker.finalize().pq}

    return work


def vernier_ap(data: Path) -> Work:
    from vernier.instance import Bbox, CocoDataset, Evaluator, Segm

    gt = CocoDataset.from_json((data / "gt_instances.json").read_bytes())
    detections = (data / "detections.json").read_bytes()

    def work() -> Scores:
        kinds = {"AP_mask": Segm(), "AP_box": Bbox()}
        return {
            name: Evaluator(iou=kind).evaluate(gt, detections, num_threads=WORKERS).stats[0]
            for name, kind in kinds.items()
        }

    return work


def vernier_everything(data: Path) -> Work:
    panoptic = vernier_pq(data)
    return lambda: {**panoptic(), **vernier_ap(data)()}


def torchmetrics_pq(data: Path) -> Work:
    import numpy as np
    import torch
    from PIL import Image
    from torchmetrics.detection import PanopticQuality

    gt, pred = (json.loads((data / name).read_text()) for name in ("gt.json", "pred/panoptic.json"))
    things = [c["id"] for c in gt["categories"] if c["isthing"]]
    stuff = [c["id"] for c in gt["categories"] if not c["isthing"]]

    def maps(annotation: dict[str, Any], folder: Path) -> torch.Tensor:
        rgb = np.asarray(Image.open(folder / annotation["file_name"]), np.uint32)
        ids = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
        category = np.zeros(2**24, np.int64)
        for s in annotation["segments_info"]:
            category[s["id"]] = s["category_id"]
        return torch.from_numpy(np.stack([category[ids], ids.astype(np.int64)], -1))[None]

    def work() -> Scores:
        metric = PanopticQuality(set(things), {0, *stuff}, return_per_class=False)
        for a, b in zip(gt["annotations"], pred["annotations"], strict=True):
            metric.update(maps(b, data / "pred/panoptic"), maps(a, data / "gt"))
        return {"PQ (void counts as stuff)": float(metric.compute())}

    return work


def load_pycocotools(data: Path) -> tuple[Any, Any, Any]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    gt = COCO(str(data / "gt_instances.json"))
    return COCOeval, gt, gt.loadRes(str(data / "detections.json"))


def load_faster_coco_eval(data: Path) -> tuple[Any, Any, Any]:
    from faster_coco_eval import COCO, COCOeval_faster

    gt = COCO(str(data / "gt_instances.json"))
    return COCOeval_faster, gt, gt.loadRes(str(data / "detections.json"))


def load_hotcoco(data: Path) -> tuple[Any, Any, Any]:
    from hotcoco import COCO, COCOeval

    gt = COCO(str(data / "gt_instances.json"))
    return COCOeval, gt, gt.load_res(str(data / "detections.json"))


def ap(evaluation_class: Any, gt: Any, detections: Any) -> Scores:
    scores = {}
    for kind, name in (("segm", "AP_mask"), ("bbox", "AP_box")):
        evaluation = evaluation_class(gt, detections, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        scores[name] = float(evaluation.stats[0])
    return scores


def prepared_ap(load: Callable[[Path], tuple[Any, Any, Any]]) -> Callable[[Path], Work]:
    def prepare(data: Path) -> Work:
        loaded = load(data)
        return lambda: ap(*loaded)

    return prepare


def with_ap(pq: Callable[[Path], Work], load: Callable[[Path], tuple[Any, Any, Any]]) -> Callable[[Path], Work]:
    def prepare(data: Path) -> Work:
        panoptic = pq(data)
        return lambda: {**panoptic(), **ap(*load(data))}

    return prepare


def pillow_decode(data: Path) -> Work:
    import numpy as np
    from PIL import Image

    def work() -> Scores:
        for file in sorted(data.rglob("*.png")):
            np.asarray(Image.open(file))
        return {}

    return work


PQ, AP, EVERYTHING, ONE_THREAD = "PQ", "AP", "everything", "everything, one thread"
CONTENDERS: dict[tuple[str, str], Callable[[Path], Work]] = {
    ("ours", PQ): ours_pq,
    ("panopticapi", PQ): panopticapi_pq,
    ("cityscapesScripts", PQ): cityscapes_pq,
    ("hotcoco", PQ): hotcoco_pq,
    ("vernier", PQ): vernier_pq,
    ("torchmetrics", PQ): torchmetrics_pq,
    ("ours", AP): ours_ap,
    ("pycocotools", AP): prepared_ap(load_pycocotools),
    ("faster-coco-eval", AP): prepared_ap(load_faster_coco_eval),
    ("hotcoco", AP): prepared_ap(load_hotcoco),
    ("vernier", AP): vernier_ap,
    ("ours", EVERYTHING): ours_everything,
    ("panopticapi + pycocotools", EVERYTHING): with_ap(panopticapi_pq, load_pycocotools),
    ("hotcoco", EVERYTHING): with_ap(hotcoco_pq, load_hotcoco),
    ("vernier", EVERYTHING): vernier_everything,
    ("ours", ONE_THREAD): ours_everything,
    ("Pillow, decoding only", ONE_THREAD): pillow_decode,
}


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Peers report to the terminal, some of them past Python."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def processor_seconds() -> float:
    """Sum the processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def peak_mib() -> float:
    """Highest resident memory of this process so far. (The kernel's ru_maxrss begins with the parent's.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    started = time.perf_counter()
    tool, what, data, *tiny = sys.argv[1:]
    prepare = CONTENDERS[tool, what]
    with silence():
        for folder in tiny:
            prepare(Path(folder))()
        ready = time.perf_counter() - started
        work = prepare(Path(data))
        cpu, clock = processor_seconds(), time.perf_counter()
        scores = work()
        seconds, cpu = time.perf_counter() - clock, processor_seconds() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "ready": ready, "peak_mib": peak_mib(), "scores": scores}))


if __name__ == "__main__":
    main()
