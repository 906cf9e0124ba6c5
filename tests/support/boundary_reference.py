"""Boundary PQ and boundary AP mask by mask, as Cheng et al. ("Boundary IoU", CVPR 2021) and their code define them."""

import contextlib
import copy
import io

import numpy as np
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.ndimage import binary_erosion


def boundary(mask, ratio):
    """What erosions by a square of 3x3 take from a mask, beyond which there is nothing; at least one of them."""
    erosions = max(1, round(ratio * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2)))
    return mask & ~binary_erosion(mask, np.ones((3, 3)), iterations=erosions, border_value=0)


def boundary_pq(images, ratio):
    """Sum of IoUs, matches, false positives and negatives of each category id."""
    iou, tp, fp, fn = {}, {}, {}, {}

    def add(counts, category, value=1):
        counts[category] = counts.get(category, 0) + value

    for p in images:
        void = ~np.isin(p.gt, [s["id"] for s in p.gt_segments])
        matched = set()
        for g in p.gt_segments:
            gt = p.gt == g["id"]
            for s in p.pred_segments:
                pred = p.pred == s["id"]
                if g["iscrowd"] or g["category_id"] != s["category_id"] or not (gt & pred).any():
                    continue
                masks = (gt & pred).sum() / (gt | (pred & ~void)).sum()
                near_gt, near_pred = boundary(gt, ratio), boundary(pred, ratio)
                near = (near_gt & near_pred).sum() / (near_gt | (near_pred & ~void)).sum()
                if min(masks, near) > 0.5:
                    add(tp, g["category_id"])
                    add(iou, g["category_id"], min(masks, near))
                    matched |= {("gt", g["id"]), ("pred", s["id"])}
            if not g["iscrowd"] and ("gt", g["id"]) not in matched:
                add(fn, g["category_id"])
        for s in p.pred_segments:
            pred = p.pred == s["id"]
            crowds = [g["id"] for g in p.gt_segments if g["iscrowd"] and g["category_id"] == s["category_id"]]
            excused = (pred & (void | np.isin(p.gt, crowds))).sum() / pred.sum() > 0.5
            if ("pred", s["id"]) not in matched and not excused:
                add(fp, s["category_id"])
    return iou, tp, fp, fn


class _BoundaryEval(COCOeval):
    ratio = 0.0

    def computeIoU(self, image_id, category_id):
        masks = super().computeIoU(image_id, category_id)
        gts = self._gts[image_id, category_id]
        detections = self._dts[image_id, category_id]
        order = np.argsort([-d["score"] for d in detections], kind="mergesort")[: self.params.maxDets[-1]]
        if not len(masks):
            return masks
        crowd = [int(g["iscrowd"]) for g in gts]
        near = mask_utils.iou([self._near(detections[k]) for k in order], [self._near(g) for g in gts], crowd)
        return np.where(crowd, masks, np.minimum(masks, near))

    def _near(self, annotation):
        mask = mask_utils.decode(annotation["segmentation"]).astype(bool)
        return mask_utils.encode(np.asfortranarray(boundary(mask, self.ratio), np.uint8))


def boundary_ap(gt, results, ratio):
    """The 12 numbers of pycocotools' summary, with boundaries."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(gt)
        coco.createIndex()
        run = _BoundaryEval(coco, coco.loadRes(copy.deepcopy(results)), "segm")
        run.ratio = ratio
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats
