"""AP as pycocotools computes it."""

import contextlib
import copy
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def pycocotools(gt, results, kind, ranges):
    """Its precision array, NaN for its -1, as (ranges, categories, 10, 101)."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(gt)
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), kind)
        run.params.areaRng = [list(r) for r in ranges]
        run.params.areaRngLbl = [str(r) for r in ranges]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][..., -1]
    return np.where(precision < 0, np.nan, precision).transpose(3, 2, 0, 1)
