"""Why segments have no match, from masks, one segment at a time: the definitions of docs/metrics.md."""

import numpy as np


def causes(pair):
    """Cause of each gt and each predicted segment of an image, by id; None for one that costs nothing.

    Args:
        pair: a `random_maps.Pair`.
    """
    void = pair.gt == 0
    gts = {s["id"]: (pair.gt == s["id"], s["category_id"], bool(s["iscrowd"])) for s in pair.gt_segments}
    preds = {s["id"]: ((pair.pred == s["id"]), s["category_id"]) for s in pair.pred_segments}
    crowds = [g for g, (_, _, crowd) in gts.items() if crowd]
    solid = [g for g in gts if g not in crowds]

    def shared(g, p):
        return int((gts[g][0] & preds[p][0]).sum())

    def area(p):
        return int((preds[p][0] & ~void).sum())

    def iou(g, p):
        union = int(gts[g][0].sum()) + area(p) - shared(g, p)
        return shared(g, p) / union if shared(g, p) else 0.0

    def same(g, p):
        return gts[g][1] == preds[p][1]

    matches = {(g, p) for g in solid for p in preds if same(g, p) and iou(g, p) > 0.5}
    found, matched = {g for g, _ in matches}, {p for _, p in matches}
    lost = [g for g in solid if g not in found]

    def excused(p):
        inside = sum(shared(g, p) for g in crowds if same(g, p)) + int((preds[p][0] & void).sum())
        return inside > preds[p][0].sum() / 2

    wrong = [p for p in preds if p not in matched and not excused(p)]

    def swallows(p, g):
        return same(g, p) and shared(g, p) > gts[g][0].sum() / 2

    def merges(p):
        return sum(swallows(p, g) for g in solid) >= 2

    def lies_in(p, g):
        return same(g, p) and shared(g, p) > area(p) / 2

    def in_pieces(g):
        pieces = [p for p in preds if lies_in(p, g)]
        return g in lost and len(pieces) >= 2 and sum(shared(g, p) for p in pieces) > gts[g][0].sum() / 2

    def near(g, p):
        return g in lost and p in wrong and same(g, p) and iou(g, p) >= 0.1

    def why_lost(g):
        if any(not same(g, p) and iou(g, p) > 0.5 for p in preds):
            return "class"
        if any(swallows(p, g) and merges(p) for p in preds):
            return "merged"
        if in_pieces(g):
            return "split"
        return "place" if any(near(g, p) for p in preds) else "missed"

    def why_wrong(p):
        if any(not same(g, p) and iou(g, p) > 0.5 for g in solid):
            return "class"
        if merges(p):
            return "merged"
        if any(lies_in(p, g) and (g in found or in_pieces(g)) for g in solid):
            return "split"
        return "place" if any(near(g, p) for g in solid) else "spurious"

    return (
        {g: why_lost(g) if g in lost else None for g in gts},
        {p: why_wrong(p) if p in wrong else None for p in preds},
    )


def pixel_flow(pairs, catalogue):
    """Price of 1 - PQ by true and predicted category, pixel by pixel; the last row is void, the last column nothing."""
    index = {category: k for k, category in enumerate(catalogue.ids.tolist())}
    n = len(index)
    per_image, weight = [], np.zeros(n)
    for pair in pairs:
        gts, preds = ({s["id"]: s for s in side} for side in (pair.gt_segments, pair.pred_segments))
        cost = []  # category that pays, true category, predicted category, price in units of 1 / D
        why_lost, why_wrong = causes(pair)
        for y, x in np.ndindex(pair.gt.shape):
            g, p = int(pair.gt[y, x]), int(pair.pred[y, x])
            cell = index[gts[g]["category_id"]] if g else n, index[preds[p]["category_id"]] if p else n
            for id_, kind, side, labels in ((g, why_lost, gts, pair.gt), (p, why_wrong, preds, pair.pred)):
                if id_ and kind[id_] is not None:
                    cost.append((index[side[id_]["category_id"]], *cell, 0.5 / (labels == id_).sum()))
        for g, s in gts.items():
            for p, t in preds.items():
                mask, other = pair.gt == g, (pair.pred == p) & (pair.gt > 0)
                union = (mask | other).sum()
                if s["iscrowd"] or s["category_id"] != t["category_id"] or (mask & other).sum() / union <= 0.5:
                    continue
                weight[index[s["category_id"]]] += 1
                for y, x in np.argwhere(mask ^ other):
                    true, predicted = int(pair.gt[y, x]), int(pair.pred[y, x])
                    row = index[gts[true]["category_id"]]
                    column = index[preds[predicted]["category_id"]] if predicted else n
                    cost.append((index[s["category_id"]], row, column, 1 / union))
        for kind, side in ((why_lost, gts), (why_wrong, preds)):
            for id_, cause in kind.items():
                weight[index[side[id_]["category_id"]]] += cause is not None and 0.5
        per_image += cost
    flow = np.zeros((n + 1, n + 1))
    for category, row, column, price in per_image:
        flow[row, column] += price / weight[category] / max((weight > 0).sum(), 1)
    return flow
