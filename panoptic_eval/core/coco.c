/* COCO's greedy matching and its precision over recall; `panoptic_eval/metrics/matching.py` says the same in Python. */
#include <math.h>
#include <stdlib.h>

#include "core.h"

/* The overlap that detection d takes among start to end, -1 if none: the best, of equal ones the last. */
static int64_t choose(int64_t start, int64_t end, const int64_t *gt, const double *iou, const uint8_t *gt_ignored,
                      const uint8_t *gt_crowd, const uint8_t *taken, double threshold) {
    for (int ignored = 0; ignored < 2; ignored++) {
        int64_t best = -1;
        double best_iou = threshold < 1 - 1e-10 ? threshold : 1 - 1e-10;
        for (int64_t k = start; k < end; k++) {
            int64_t g = gt[k];
            if (gt_ignored[g] == ignored && (gt_crowd[g] || !taken[g]) && iou[k] >= best_iou) {
                best = g;
                best_iou = iou[k];
            }
        }
        if (best >= 0)
            return best;
    }
    return -1;
}

/* start: detections + 1; gt_ignored: ranges x gts; outside: ranges x detections; matched, skipped: ranges x thresholds x
   detections. */
EXPORT int core_match(int64_t ranges, int64_t thresholds, int64_t detections, int64_t gts, const int64_t *start,
                      const int64_t *gt, const double *iou, const uint8_t *gt_ignored, const uint8_t *gt_crowd,
                      const uint8_t *outside, const double *threshold, uint8_t *matched, uint8_t *skipped) {
    uint8_t *taken = malloc((size_t)gts + 1);
    if (!taken)
        return NO_MEMORY;
    for (int64_t a = 0; a < ranges; a++)
        for (int64_t t = 0; t < thresholds; t++) {
            memset(taken, 0, (size_t)gts);
            for (int64_t d = 0; d < detections; d++) {
                int64_t at = (a * thresholds + t) * detections + d;
                int64_t best = -1;
                if (start[d] < start[d + 1])
                    best = choose(start[d], start[d + 1], gt, iou, gt_ignored + a * gts, gt_crowd, taken, threshold[t]);
                matched[at] = best >= 0;
                skipped[at] = best >= 0 ? gt_ignored[a * gts + best] : outside[a * detections + d];
                if (best >= 0)
                    taken[best] = 1;
            }
        }
    free(taken);
    return OK;
}

static const double EPSILON = 2.220446049250313e-16;

/* first: categories + 1; matched, skipped: ranges x thresholds x detections; instances: ranges x categories;
   result: ranges x categories x thresholds x recalls. */
EXPORT int core_accumulate(int64_t ranges, int64_t categories, int64_t thresholds, int64_t detections, int64_t recalls,
                           const int64_t *first, const uint8_t *matched, const uint8_t *skipped, const int64_t *instances,
                           const double *recall, double *result) {
    double *reached = malloc(2 * ((size_t)detections + 1) * sizeof(double));
    if (!reached)
        return NO_MEMORY;
    double *precision = reached + detections + 1;
    for (int64_t a = 0; a < ranges; a++)
        for (int64_t c = 0; c < categories; c++)
            for (int64_t t = 0; t < thresholds; t++) {
                double total = (double)instances[a * categories + c];
                double *out = result + ((a * categories + c) * thresholds + t) * recalls;
                const uint8_t *hit = matched + (a * thresholds + t) * detections;
                const uint8_t *skip = skipped + (a * thresholds + t) * detections;
                int64_t n = first[c + 1] - first[c], tp = 0, fp = 0, at = 0;
                for (int64_t i = 0; i < n; i++) {
                    int64_t d = first[c] + i;
                    tp += !skip[d] && hit[d];
                    fp += !skip[d] && !hit[d];
                    /* A detection that does not count still is a point of the curve, as in pycocotools. */
                    reached[i] = (double)tp / total;
                    precision[i] = (double)tp / ((double)(fp + tp) + EPSILON);
                }
                for (int64_t i = n - 1; i > 0; i--)
                    precision[i - 1] = precision[i - 1] > precision[i] ? precision[i - 1] : precision[i];
                for (int64_t r = 0; r < recalls; r++) {
                    while (at < n && reached[at] < recall[r])
                        at++;
                    out[r] = total == 0 ? (double)NAN : at < n ? precision[at] : 0;
                }
            }
    free(reached);
    return OK;
}
