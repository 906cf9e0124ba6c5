/* COCO's greedy matching and its precision over recall; `panoptic_eval/metrics/coco_matching.py` says the same in Python. */
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

/* Match the detections in each range at each threshold. start: detections + 1; gt_ignored: ranges x gts; outside: ranges x
   detections; matched, skipped: ranges x thresholds x detections. */
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

/* Find the highest precision at each recall or beyond. first: categories + 1; matched, skipped: ranges x thresholds x
   detections; instances: ranges x categories; result: thresholds x recalls, for each range and category with instances. */
EXPORT int core_accumulate(int64_t ranges, int64_t categories, int64_t thresholds, int64_t detections, int64_t recalls,
                           const int64_t *first, const uint8_t *matched, const uint8_t *skipped, const int64_t *instances,
                           const double *recall, double *result) {
    double *reached = malloc(2 * ((size_t)detections + 1) * sizeof(double));
    if (!reached)
        return NO_MEMORY;
    double *precision = reached + detections + 1;
    for (int64_t a = 0; a < ranges; a++)
        for (int64_t c = 0; c < categories; c++) {
            double total = (double)instances[a * categories + c];
            for (int64_t t = 0; total > 0 && t < thresholds; t++) {
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
                    *result++ = at < n ? precision[at] : 0;
                }
            }
        }
    free(reached);
    return OK;
}

/* Resamples go through the detections together, LANES at a time. */
enum { LANES = 64 };

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

typedef struct {
    int32_t tp[LANES], fp[LANES];
    int32_t best_tp[LANES], best_all[LANES]; /* the best precision from here on, as a fraction */
    int32_t next[LANES];                     /* hits of the next recall below; INT32_MIN if there is none */
    int32_t level[LANES];                    /* recalls that are not passed yet */
    double area[LANES];
} Curves;

static inline void add_lanes(int32_t *sum, const uint8_t *weights) {
    for (int j = 0; j < LANES; j++)
        sum[j] += weights[j];
}

static inline void subtract_lanes(int32_t *sum, const uint8_t *weights) {
    for (int j = 0; j < LANES; j++)
        sum[j] -= weights[j];
}

/* Raise the best precision to that at the current point; fractions are compared without a division. */
static inline void raise_best(Curves *c) {
    for (int j = 0; j < LANES; j++) {
        int32_t all = c->tp[j] + c->fp[j];
        bool better = (double)c->tp[j] * c->best_all[j] > (double)c->best_tp[j] * all;
        c->best_tp[j] = better ? c->tp[j] : c->best_tp[j];
        c->best_all[j] = better ? all : c->best_all[j];
    }
}

/* Add the best precision once for each recall that lies between this point and the one before. */
static inline void pass_recalls(Curves *c, int32_t (*needed)[LANES]) {
    uint8_t passed[LANES];
    for (int j = 0; j < LANES; j++)
        passed[j] = c->tp[j] < c->next[j];
    for (int eight = 0; eight < LANES; eight += 8)
        for (uint64_t left = load64(passed + eight); left; left &= left - 1) {
            int j = eight + (__builtin_ctzll(left) >> 3);
            int32_t before = c->level[j], level = before - 1;
            while (level > 0 && c->tp[j] < needed[level - 1][j])
                level--;
            c->area[j] += (before - level) * ((double)c->best_tp[j] / (c->best_all[j] + EPSILON));
            c->level[j] = level;
            c->next[j] = level > 0 ? needed[level - 1][j] : INT32_MIN;
        }
}

/* The hits that each recall needs, of so many instances. */
static inline void find_needed(const int32_t *instances, const double *recall, int64_t recalls, int32_t (*needed)[LANES]) {
    for (int64_t r = 0; r < recalls; r++)
        for (int j = 0; j < LANES; j++) {
            double all = instances[j] ? instances[j] : 1;
            int32_t hits = (int32_t)(recall[r] * all);
            needed[r][j] = hits + (hits / all < recall[r]);
        }
}

/* The counted detections of one category, first to last: their images, and whether they match. */
static inline void walk(const uint8_t *weights, const int32_t *image, const uint8_t *hit, int64_t n, int64_t recalls,
                        int32_t (*needed)[LANES], Curves *c) {
    memset(c, 0, sizeof *c);
    for (int64_t k = 0; k < n; k++)
        add_lanes(hit[k] ? c->tp : c->fp, weights + (size_t)image[k] * LANES);
    for (int j = 0; j < LANES; j++) {
        int32_t low = 0, high = (int32_t)recalls; /* recalls that are reached */
        while (low < high) {
            int32_t middle = (low + high) / 2;
            if (needed[middle][j] <= c->tp[j])
                low = middle + 1;
            else
                high = middle;
        }
        c->level[j] = low;
        c->next[j] = low > 0 ? needed[low - 1][j] : INT32_MIN;
        c->best_all[j] = 1;
    }
    for (int64_t k = n - 1; k >= 0;) { /* backwards, so that the best precision from here on is known */
        for (; k >= 0 && !hit[k]; k--)
            subtract_lanes(c->fp, weights + (size_t)image[k] * LANES);
        if (k < 0)
            break;
        raise_best(c); /* of hits in a row, the last one has the best precision */
        for (; k >= 0 && hit[k]; k--)
            subtract_lanes(c->tp, weights + (size_t)image[k] * LANES);
        pass_recalls(c, needed);
    }
}

/* AP of one range, of LANES resamples. weights: images x LANES, how often each image was drawn; image: of each detection;
   first: categories + 1; matched, skipped: thresholds x detections; instances: images x categories; result: LANES x
   categories x thresholds. */
WIDE static void resample(int64_t images, int64_t categories, int64_t thresholds, int64_t detections, int64_t recalls,
                          const uint8_t *weights, const int64_t *image, const int64_t *first, const uint8_t *matched,
                          const uint8_t *skipped, const int64_t *instances, const double *recall,
                          int32_t (*needed)[LANES], int32_t *counted, uint8_t *hit, double *result) {
    Curves curves;
    for (int64_t c = 0; c < categories; c++) {
        int32_t total[LANES] = {0};
        for (int64_t i = 0; i < images; i++)
            if (instances[i * categories + c])
                for (int j = 0; j < LANES; j++)
                    total[j] += weights[i * LANES + j] * (int32_t)instances[i * categories + c];
        find_needed(total, recall, recalls, needed);
        for (int64_t t = 0; t < thresholds; t++) {
            int64_t n = 0;
            for (int64_t d = first[c]; d < first[c + 1]; d++)
                if (!skipped[t * detections + d]) {
                    counted[n] = (int32_t)image[d];
                    hit[n++] = matched[t * detections + d];
                }
            walk(weights, counted, hit, n, recalls, needed, &curves);
            for (int j = 0; j < LANES; j++) {
                double rest = curves.level[j] * ((double)curves.best_tp[j] / (curves.best_all[j] + EPSILON));
                double ap = (curves.area[j] + rest) / (double)recalls;
                result[(j * categories + c) * thresholds + t] = total[j] ? ap : (double)NAN;
            }
        }
    }
}

/* Make room for `resample`, and call it. */
EXPORT int core_resample(int64_t images, int64_t categories, int64_t thresholds, int64_t detections, int64_t recalls,
                         const uint8_t *weights, const int64_t *image, const int64_t *first, const uint8_t *matched,
                         const uint8_t *skipped, const int64_t *instances, const double *recall, double *result) {
    int32_t(*needed)[LANES] = malloc((size_t)recalls * sizeof *needed);
    int32_t *counted = malloc(((size_t)detections + 1) * sizeof(int32_t));
    uint8_t *hit = malloc((size_t)detections + 1);
    bool got = needed && counted && hit;
    if (got)
        resample(images, categories, thresholds, detections, recalls, weights, image, first, matched, skipped, instances,
                 recall, needed, counted, hit, result);
    free(needed);
    free(counted);
    free(hit);
    return got ? OK : NO_MEMORY;
}
