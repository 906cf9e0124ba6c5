/* The joint histogram of two label images: the runs of both are walked together, row by row. */
#include <stdlib.h>

#include "core.h"

typedef struct {
    uint64_t colors; /* gt's in the upper half, pred's in the lower; later their ids */
    int64_t pixels;
    int32_t box[4]; /* x0, y0, x1, y1 */
} Pair;

/* A hash table with open addressing. A slot holds 1 + the index of a pair, or 0. */
typedef struct {
    Memory pairs, slots, sorted;
    size_t count, mask;
} Table;

static inline size_t first_slot(uint64_t colors, size_t mask) {
    return (size_t)(colors * 0x9E3779B97F4A7C15u >> 32) & mask; /* 2^64 / golden ratio (Knuth, TAOCP 3, 6.4) */
}

static Status make_slots(Table *table, size_t slots) {
    TRY(reserve(&table->pairs, slots / 2 * sizeof(Pair)));
    TRY(reserve(&table->slots, slots * sizeof(uint32_t)));
    const Pair *pairs = table->pairs.start;
    uint32_t *slot = table->slots.start;
    table->mask = slots - 1;
    memset(slot, 0, slots * sizeof(uint32_t));
    for (size_t i = 0; i < table->count; i++) {
        size_t at = first_slot(pairs[i].colors, table->mask);
        while (slot[at])
            at = (at + 1) & table->mask;
        slot[at] = (uint32_t)i + 1;
    }
    return OK;
}

static Status find_or_add(Table *table, uint64_t colors, Pair **pair) {
    Pair *pairs = table->pairs.start;
    uint32_t *slots = table->slots.start;
    size_t at = first_slot(colors, table->mask);
    for (; slots[at]; at = (at + 1) & table->mask)
        if (pairs[slots[at] - 1].colors == colors) {
            *pair = pairs + slots[at] - 1;
            return OK;
        }
    if (table->count == (table->mask + 1) / 2) {
        TRY(make_slots(table, 2 * (table->mask + 1)));
        return find_or_add(table, colors, pair);
    }
    *pair = pairs + table->count;
    **pair = (Pair){colors, 0, {INT32_MAX, INT32_MAX, 0, 0}};
    slots[at] = (uint32_t)++table->count;
    return OK;
}

static inline void add_to_box(int32_t *box, const int32_t *other) {
    box[0] = other[0] < box[0] ? other[0] : box[0];
    box[1] = other[1] < box[1] ? other[1] : box[1];
    box[2] = other[2] > box[2] ? other[2] : box[2];
    box[3] = other[3] > box[3] ? other[3] : box[3];
}

static Status merge_row(Table *table, const Run *gt, const Run *pred, uint32_t width, uint32_t y) {
    for (uint32_t x = 0; x < width;) {
        uint32_t gt_end = gt[1].x, pred_end = pred[1].x, end = gt_end < pred_end ? gt_end : pred_end;
        Pair *pair;
        TRY(find_or_add(table, (uint64_t)gt->color << 32 | pred->color, &pair));
        pair->pixels += end - x;
        add_to_box(pair->box, (int32_t[]){(int32_t)x, (int32_t)y, (int32_t)end, (int32_t)y + 1});
        gt += gt_end == end;
        pred += pred_end == end;
        x = end;
    }
    return OK;
}

/* What Python gets: of each image gt's ids, then pred's, then the pairs; `panoptic_eval/core/__init__.py` has the same. */
typedef struct {
    int32_t status, height, width;
    int32_t gt, pred, pairs; /* how many */
} Counted;

typedef struct {
    Memory id, area, box; /* uint32, int64, int32 x 4 */
    Memory gt, pred, pixels; /* int32, int32, int64: of each pair, indices into the image's ids */
    int64_t ids, pairs;
} Counts;

static void add_id(Counts *counts, bool is_new, uint32_t id, const Pair *pair) {
    if (is_new) {
        ((uint32_t *)counts->id.start)[counts->ids] = id;
        ((int64_t *)counts->area.start)[counts->ids] = 0;
        memcpy((int32_t *)counts->box.start + 4 * counts->ids, pair->box, sizeof pair->box);
        counts->ids++;
    }
    ((int64_t *)counts->area.start)[counts->ids - 1] += pair->pixels;
    add_to_box((int32_t *)counts->box.start + 4 * (counts->ids - 1), pair->box);
}

/* Append the table, by id and in order. Colors of one id may differ in alpha. */
static Status append(Counts *counts, Counted *image, Table *table, const LabelPng *gt, const LabelPng *pred) {
    size_t n = table->count;
    TRY(grow(&counts->id, ((size_t)counts->ids + 2 * n) * 4));
    TRY(grow(&counts->area, ((size_t)counts->ids + 2 * n) * 8));
    TRY(grow(&counts->box, ((size_t)counts->ids + 2 * n) * 16));
    TRY(grow(&counts->gt, ((size_t)counts->pairs + n) * 4));
    TRY(grow(&counts->pred, ((size_t)counts->pairs + n) * 4));
    TRY(grow(&counts->pixels, ((size_t)counts->pairs + n) * 8));
    TRY(reserve(&table->sorted, 2 * n * sizeof(Key)));
    int32_t *pair_gt = (int32_t *)counts->gt.start + counts->pairs, *pair_pred = (int32_t *)counts->pred.start + counts->pairs;
    int64_t *pixels = (int64_t *)counts->pixels.start + counts->pairs;
    const Pair *pairs = table->pairs.start;
    Key *keys = table->sorted.start, *other = keys + n;
    for (size_t i = 0; i < n; i++) {
        uint32_t gt_color = (uint32_t)(pairs[i].colors >> 32), pred_color = (uint32_t)pairs[i].colors;
        uint64_t gt_id = gt ? id_of(gt, gt_color) : gt_color, pred_id = pred ? id_of(pred, pred_color) : pred_color;
        keys[i] = (Key){gt_id << 32 | pred_id, i};
    }
    Key *sorted = sort_keys(keys, other, n);
    other = sorted == keys ? other : keys;
    int32_t gts = 0, preds = 0, k = -1;
    for (size_t i = 0; i < n; i++) {
        const Pair *pair = pairs + sorted[i].at;
        uint32_t id = (uint32_t)(sorted[i].key >> 32);
        bool is_new = i == 0 || id != sorted[i - 1].key >> 32;
        add_id(counts, is_new, id, pair);
        gts += is_new;
        if (i == 0 || sorted[i].key != sorted[i - 1].key) {
            k++;
            pair_gt[k] = gts - 1;
            pixels[k] = 0;
        }
        pixels[k] += pair->pixels;
        other[i] = (Key){sorted[i].key & 0xFFFFFFFF, (uint64_t)k << 32 | sorted[i].at}; /* both are below 2 to the 32 */
    }
    sorted = sort_keys(other, sorted, n);
    for (size_t i = 0; i < n; i++) {
        bool is_new = i == 0 || sorted[i].key != sorted[i - 1].key;
        add_id(counts, is_new, (uint32_t)sorted[i].key, pairs + (sorted[i].at & 0xFFFFFFFF));
        preds += is_new;
        pair_pred[sorted[i].at >> 32] = preds - 1;
    }
    image->gt = gts;
    image->pred = preds;
    image->pairs = k + 1;
    counts->pairs += k + 1;
    return OK;
}

typedef struct {
    const uint8_t *gt;
    uint64_t gt_size;
    const uint8_t *pred;
    uint64_t pred_size;
} Files;

static Status count_files(const Files *files, LabelPng *gt, LabelPng *pred, Table *table) {
    TRY(png_open(gt, files->gt, files->gt_size));
    TRY(png_open(pred, files->pred, files->pred_size));
    if (gt->height != pred->height || gt->width != pred->width)
        return REFUSED;
    table->count = 0;
    TRY(make_slots(table, 1024));
    for (uint32_t y = 0; y < gt->height; y++) {
        TRY(png_next_row(gt));
        TRY(png_next_row(pred));
        TRY(merge_row(table, gt->row, pred->row, gt->width, y));
    }
    TRY(png_finish(gt));
    return png_finish(pred);
}

/* The runs of a row of ids. */
static void find_runs(const uint32_t *ids, uint32_t width, Run *out) {
    for (uint32_t x = 0; x < width;) {
        uint32_t id = ids[x];
        *out++ = (Run){x++, id};
        for (; x + 8 <= width; x += 8) {
            uint32_t differ = 0;
            for (int k = 0; k < 8; k++)
                differ |= ids[x + (uint32_t)k] ^ id;
            if (differ)
                break;
        }
        while (x < width && ids[x] == id)
            x++;
    }
    *out = (Run){width, 0};
}

static Status count_arrays(const uint32_t *gt, const uint32_t *pred, uint32_t height, uint32_t width, Memory *runs,
                           Table *table) {
    TRY(reserve(runs, 2 * ((size_t)width + 1) * sizeof(Run)));
    TRY(make_slots(table, 1024));
    Run *gt_runs = runs->start, *pred_runs = gt_runs + width + 1;
    for (uint32_t y = 0; y < height; y++) {
        find_runs(gt + (size_t)y * width, width, gt_runs);
        find_runs(pred + (size_t)y * width, width, pred_runs);
        TRY(merge_row(table, gt_runs, pred_runs, width, y));
    }
    return OK;
}

static void release_table(Table *table) {
    release(&table->pairs);
    release(&table->slots);
    release(&table->sorted);
}

EXPORT void core_release_counts(Counts *counts) {
    Memory *all[] = {&counts->id, &counts->area, &counts->box, &counts->gt, &counts->pred, &counts->pixels};
    for (int i = 0; i < 6; i++)
        release(all[i]);
}

/* Count n pairs of files; `images` says how each went. NO_MEMORY is returned for all of them. */
EXPORT int core_count_files(int64_t n, const Files *files, Counted *images, Counts *counts) {
    Status status = OK;
    Table table = {0};
    LabelPng *sides = calloc(2, sizeof(LabelPng));
    *counts = (Counts){0};
    if (!sides)
        return NO_MEMORY;
    for (int64_t i = 0; i < n && status != NO_MEMORY; i++) {
        images[i] = (Counted){0};
        status = count_files(files + i, sides, sides + 1, &table);
        if (status == OK)
            status = append(counts, images + i, &table, sides, sides + 1);
        images[i].status = (int32_t)status;
        images[i].height = (int32_t)sides[0].height;
        images[i].width = (int32_t)sides[0].width;
    }
    png_release(sides);
    png_release(sides + 1);
    free(sides);
    release_table(&table);
    if (status != NO_MEMORY)
        return OK;
    core_release_counts(counts);
    return NO_MEMORY;
}

/* Count one pair of arrays of ids, row by row, of at least one pixel. */
EXPORT int core_count_arrays(const uint32_t *gt, const uint32_t *pred, int32_t height, int32_t width, Counted *image,
                             Counts *counts) {
    Table table = {0};
    Memory runs = {0};
    *counts = (Counts){0};
    *image = (Counted){.height = height, .width = width};
    Status status = count_arrays(gt, pred, (uint32_t)height, (uint32_t)width, &runs, &table);
    if (status == OK)
        status = append(counts, image, &table, NULL, NULL);
    release(&runs);
    release_table(&table);
    if (status != OK)
        core_release_counts(counts);
    return (int)status;
}
