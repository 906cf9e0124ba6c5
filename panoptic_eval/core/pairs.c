/* The joint histogram of two label images: the runs of both are walked together, row by row. */
#include <stdlib.h>

#include "core.h"

typedef struct {
    uint64_t colors; /* gt's in the upper half, pred's in the lower; later their ids */
    int64_t pixels;
    union {
        int32_t box[4]; /* x0, y0, x1, y1 */
        int64_t near[2]; /* in the table of boundaries: pixels near gt's boundary, and near pred's; `pixels`: near both */
    };
} Pair;

/* A hash table with open addressing. A slot holds 1 + the index of a pair, or 0. */
typedef struct {
    Memory pairs, slots, sorted;
    size_t count, mask;
    Pair none; /* what a pair begins with */
} Table;

static const Pair NO_PIXELS = {0, 0, {.box = {INT32_MAX, INT32_MAX, 0, 0}}}, NOT_NEAR = {0};

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

/* Add a pair that is not in the table. */
static Status add(Table *table, uint64_t colors, Pair **pair) {
    if (table->count == (table->mask + 1) / 2)
        TRY(make_slots(table, 2 * (table->mask + 1)));
    uint32_t *slots = table->slots.start;
    size_t at = first_slot(colors, table->mask);
    while (slots[at])
        at = (at + 1) & table->mask;
    *pair = (Pair *)table->pairs.start + table->count;
    **pair = table->none;
    (*pair)->colors = colors;
    slots[at] = (uint32_t)++table->count;
    return OK;
}

static INLINE Status find_or_add(Table *table, uint64_t colors, Pair **pair) {
    Pair *pairs = table->pairs.start;
    const uint32_t *slots = table->slots.start;
    for (size_t at = first_slot(colors, table->mask); slots[at]; at = (at + 1) & table->mask)
        if (pairs[slots[at] - 1].colors == colors) {
            *pair = pairs + slots[at] - 1;
            return OK;
        }
    return add(table, colors, pair);
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

/* Count the pixels of row y, of which the boundaries are known on both sides. */
static Status count_near(Table *table, const Boundary *gt, const Boundary *pred, uint32_t y) {
    const uint32_t *gt_ids = boundary_ids(gt, y), *pred_ids = boundary_ids(pred, y);
    for (uint32_t x = 0; x < gt->width;) {
        uint64_t ids = (uint64_t)gt_ids[x] << 32 | pred_ids[x];
        Pair *pair;
        TRY(find_or_add(table, ids, &pair));
        for (; x < gt->width && ((uint64_t)gt_ids[x] << 32 | pred_ids[x]) == ids; x++) {
            bool near_gt = !boundary_inside(gt, y, x), near_pred = !boundary_inside(pred, y, x);
            pair->near[0] += near_gt;
            pair->near[1] += near_pred;
            pair->pixels += near_gt && near_pred;
        }
    }
    return OK;
}

/* Add a row to both boundaries, and count the rows that are known by it. */
static Status add_near(Table *table, Boundary *near, const Run *gt, const Run *pred, const LabelPng *pngs) {
    boundary_add(near, gt, pngs);
    boundary_add(near + 1, pred, pngs ? pngs + 1 : NULL);
    uint32_t rows = near->rows, d = near->distance;
    uint32_t end = rows == near->height ? rows : rows > d ? rows - d : 0;
    for (uint32_t y = rows > d ? rows - d - 1 : 0; y < end; y++)
        TRY(count_near(table, near, near + 1, y));
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
    Memory near; /* int64 x 3: of each pair, pixels near the boundary in gt, in pred, in both; only if asked for */
    int64_t ids, pairs;
} Counts;

/* What is kept from one image to the next. */
typedef struct {
    Table pairs, boundaries;
    Boundary near[2]; /* gt, pred */
    Memory runs;
    double ratio; /* distance to the boundary in diagonals of the image; 0 where it is not asked for */
} Work;

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

/* Append what the pairs have near boundaries, in the order of the pairs, which is that of their ids. */
static Status append_near(Counts *counts, Table *table) {
    size_t n = table->count, first = (size_t)counts->pairs - n;
    TRY(grow(&counts->near, (size_t)counts->pairs * 24));
    TRY(reserve(&table->sorted, 2 * n * sizeof(Key)));
    const Pair *pairs = table->pairs.start;
    Key *keys = table->sorted.start;
    for (size_t i = 0; i < n; i++)
        keys[i] = (Key){pairs[i].colors, i};
    keys = sort_keys(keys, keys + n, n);
    for (size_t i = 0; i < n; i++) {
        const Pair *pair = pairs + keys[i].at;
        int64_t near[3] = {pair->near[0], pair->near[1], pair->pixels};
        memcpy((int64_t *)counts->near.start + 3 * (first + i), near, sizeof near);
    }
    return OK;
}

static Status open_tables(Work *work, uint32_t height, uint32_t width) {
    work->pairs.count = work->boundaries.count = 0;
    work->pairs.none = NO_PIXELS;
    work->boundaries.none = NOT_NEAR;
    TRY(make_slots(&work->pairs, 1024));
    if (work->ratio <= 0)
        return OK;
    TRY(make_slots(&work->boundaries, 1024));
    uint32_t distance = boundary_distance(work->ratio, height, width);
    TRY(boundary_open(work->near, distance, height, width));
    return boundary_open(work->near + 1, distance, height, width);
}

typedef struct {
    const uint8_t *gt;
    uint64_t gt_size;
    const uint8_t *pred;
    uint64_t pred_size;
} Files;

static Status count_files(const Files *files, LabelPng *pngs, Work *work) {
    LabelPng *gt = pngs, *pred = pngs + 1;
    TRY(png_open(gt, files->gt, files->gt_size));
    TRY(png_open(pred, files->pred, files->pred_size));
    if (gt->height != pred->height || gt->width != pred->width)
        return REFUSED;
    TRY(open_tables(work, gt->height, gt->width));
    for (uint32_t y = 0; y < gt->height; y++) {
        TRY(png_next_row(gt));
        TRY(png_next_row(pred));
        TRY(merge_row(&work->pairs, gt->row, pred->row, gt->width, y));
        if (work->ratio > 0)
            TRY(add_near(&work->boundaries, work->near, gt->row, pred->row, pngs));
    }
    TRY(png_finish(gt));
    return png_finish(pred);
}

/* An array of integers, row by row; `panoptic_eval/core/__init__.py` has the same. */
typedef struct {
    const void *start;
    int32_t bytes; /* of a number */
    int32_t is_signed;
    const uint64_t *void_ids; /* numbers that stand for 0; negative ones as they are in two's complement of 64 bits */
    int64_t voids;
} Array;

static bool is_void(const Array *array, uint64_t number) {
    for (int64_t i = 0; i < array->voids; i++)
        if (array->void_ids[i] == number)
            return true;
    return false;
}

enum { SPAN = 64, AHEAD_IN_ARRAY = 4096 }; /* bytes of a row that are compared at once; how far before they are fetched */

typedef uint64_t Words __attribute__((vector_size(16)));

/* The number at a place, as one of 64 bits: above all ids where it is negative. */
static inline uint64_t number_at(const uint8_t *at, size_t bytes, bool is_signed) {
    uint64_t number = 0;
    switch (bytes) { /* a copy of so many bytes as only now is known would be a call */
    case 1: memcpy(&number, at, 1); break;
    case 2: memcpy(&number, at, 2); break;
    case 4: memcpy(&number, at, 4); break;
    default: memcpy(&number, at, 8);
    }
    size_t unused = 64 - 8 * bytes; /* bits above it */
    return is_signed ? (uint64_t)((int64_t)(number << unused) >> unused) : number;
}

/* Where the first number from `at` on begins that is another one than the number before it, in bytes; `end` if none is. */
static inline size_t next_change(const uint8_t *row, size_t at, size_t end, size_t bytes) {
    for (; at + SPAN <= end; at += SPAN) {
        Words differ = {0};
        __builtin_prefetch(row + at + AHEAD_IN_ARRAY, 0, 2); /* not as far as the first cache, which is small */
        for (size_t k = at; k < at + SPAN; k += sizeof differ) {
            Words here, before;
            memcpy(&here, row + k, sizeof here);
            memcpy(&before, row + k - bytes, sizeof before);
            differ |= here ^ before;
        }
        if (differ[0] | differ[1])
            break;
    }
    for (; at + 8 <= end; at += 8) {
        uint64_t differ = load64(row + at) ^ load64(row + at - bytes);
        if (differ)
            return (at + (size_t)__builtin_ctzll(differ) / 8) & ~(bytes - 1);
    }
    while (at < end && row[at] == row[at - bytes])
        at++;
    return at & ~(bytes - 1);
}

/* The runs of a row. Runs that meet may both be of id 0. */
static Status find_runs(const Array *array, uint32_t y, uint32_t width, Run *out) {
    const size_t bytes = (size_t)array->bytes, end = width * bytes;
    const uint8_t *row = (const uint8_t *)array->start + y * end;
    for (size_t at = 0; at < end; at = next_change(row, at + bytes, end, bytes)) {
        uint64_t id = number_at(row + at, bytes, array->is_signed);
        if (is_void(array, id))
            id = 0;
        if (id > UINT32_MAX)
            return REFUSED;
        *out++ = (Run){(uint32_t)(at / bytes), (uint32_t)id};
    }
    *out = (Run){width, 0};
    return OK;
}

static Status count_arrays(const Array *gt, const Array *pred, uint32_t height, uint32_t width, Work *work) {
    TRY(reserve(&work->runs, 2 * ((size_t)width + 1) * sizeof(Run)));
    TRY(open_tables(work, height, width));
    Run *gt_runs = work->runs.start, *pred_runs = gt_runs + width + 1;
    for (uint32_t y = 0; y < height; y++) {
        TRY(find_runs(gt, y, width, gt_runs));
        TRY(find_runs(pred, y, width, pred_runs));
        TRY(merge_row(&work->pairs, gt_runs, pred_runs, width, y));
        if (work->ratio > 0)
            TRY(add_near(&work->boundaries, work->near, gt_runs, pred_runs, NULL));
    }
    return OK;
}

/* Append an image's counts; `pngs` is NULL where colors are ids. */
static Status append_all(Counts *counts, Counted *image, Work *work, const LabelPng *pngs) {
    TRY(append(counts, image, &work->pairs, pngs, pngs ? pngs + 1 : NULL));
    return work->ratio > 0 ? append_near(counts, &work->boundaries) : OK;
}

static void release_table(Table *table) {
    release(&table->pairs);
    release(&table->slots);
    release(&table->sorted);
}

static void release_work(Work *work) {
    release_table(&work->pairs);
    release_table(&work->boundaries);
    for (int i = 0; i < 2; i++) {
        release(&work->near[i].ids);
        release(&work->near[i].depth);
    }
    release(&work->runs);
}

EXPORT void core_release_counts(Counts *counts) {
    Memory *all[] = {&counts->id, &counts->area, &counts->box, &counts->gt, &counts->pred, &counts->pixels, &counts->near};
    for (int i = 0; i < 7; i++)
        release(all[i]);
}

/* Count n pairs of files; `images` says how each went. NO_MEMORY is returned for all of them. With a `ratio` above 0
   pixels no farther than that share of the image's diagonal from the boundary of their segment are counted, too. */
EXPORT int core_count_files(int64_t n, const Files *files, double ratio, Counted *images, Counts *counts) {
    Status status = OK;
    Work work = {.ratio = ratio};
    LabelPng *sides = calloc(2, sizeof(LabelPng));
    *counts = (Counts){0};
    if (!sides)
        return NO_MEMORY;
    for (int64_t i = 0; i < n && status != NO_MEMORY; i++) {
        images[i] = (Counted){0};
        status = count_files(files + i, sides, &work);
        if (status == OK)
            status = append_all(counts, images + i, &work, sides);
        images[i].status = (int32_t)status;
        images[i].height = (int32_t)sides[0].height;
        images[i].width = (int32_t)sides[0].width;
    }
    png_release(sides);
    png_release(sides + 1);
    free(sides);
    release_work(&work);
    if (status != NO_MEMORY)
        return OK;
    core_release_counts(counts);
    return NO_MEMORY;
}

/* Count one pair of arrays, of at least one pixel; REFUSED if one of their numbers is no id of 32 bits. */
EXPORT int core_count_arrays(const Array *gt, const Array *pred, int32_t height, int32_t width, double ratio,
                             Counted *image, Counts *counts) {
    Work work = {.ratio = ratio};
    *counts = (Counts){0};
    *image = (Counted){.height = height, .width = width};
    Status status = count_arrays(gt, pred, (uint32_t)height, (uint32_t)width, &work);
    if (status == OK)
        status = append_all(counts, image, &work, NULL);
    release_work(&work);
    if (status != OK)
        core_release_counts(counts);
    return (int)status;
}
