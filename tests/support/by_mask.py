"""The definitions once more, mask by mask and slowly, to test against."""

import numpy as np


def masks(labels, segments, index):
    """(category index, mask, crowd) of each segment."""
    return [(index[s["category_id"]], labels == s["id"], bool(s.get("iscrowd", 0))) for s in segments]


def miou(pairs, index):
    """IoU of each category over all images; NaN where neither side has it."""
    n = len(index)
    inter, gt_total, pred_total = np.zeros(n), np.zeros(n), np.zeros(n)
    for p in pairs:
        annotated = np.isin(p.gt, [s["id"] for s in p.gt_segments])
        for c in range(n):
            gt = np.any([m for k, m, _ in masks(p.gt, p.gt_segments, index) if k == c] or [annotated & False], 0)
            pred = np.any([m for k, m, _ in masks(p.pred, p.pred_segments, index) if k == c] or [annotated & False], 0)
            inter[c] += (gt & pred).sum()
            gt_total[c] += gt.sum()
            pred_total[c] += (pred & annotated).sum()
    union = gt_total + pred_total - inter
    return np.array([i / u if u else np.nan for i, u in zip(inter, union, strict=True)])


def covering(pairs, index, by_image_size):
    """Parsing covering of each category; NaN where gt does not have it."""
    covered, weights = np.zeros(len(index)), np.zeros(len(index))
    for p in pairs:
        gts = masks(p.gt, p.gt_segments, index)
        kept = np.any([m for _, m, crowd in gts if not crowd] or [np.zeros(p.gt.shape, bool)], 0)
        for c, gt, crowd in gts:
            if crowd:
                continue
            ious = [
                (gt & m).sum() / (gt | (m & kept)).sum() for k, m, _ in masks(p.pred, p.pred_segments, index) if k == c
            ]
            w = gt.mean() if by_image_size else gt.sum()
            covered[c] += w * max(ious, default=0)
            weights[c] += w
    return np.array([a / b if b else np.nan for a, b in zip(covered, weights, strict=True)])


def dagger_of_stuff(pairs, index, category):
    """Mean IoU of a stuff category's region over the images that have it; NaN where none has."""
    ious = []
    for p in pairs:
        void = ~np.isin(p.gt, [s["id"] for s in p.gt_segments])
        gts = [m for k, m, crowd in masks(p.gt, p.gt_segments, index) if k == category and not crowd]
        preds = [m for k, m, _ in masks(p.pred, p.pred_segments, index) if k == category]
        if gts:
            gt, pred = np.any(gts, 0), np.any(preds or [void & False], 0) & ~void
            ious.append((gt & pred).sum() / (gt | pred).sum())
    return np.mean(ious) if ious else np.nan
