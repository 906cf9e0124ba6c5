"""Why segments have no match, from masks, one segment at a time: the definitions of docs/metrics.md."""


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
