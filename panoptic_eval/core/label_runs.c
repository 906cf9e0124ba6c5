/* What else is made of the runs of a label PNG: the runs themselves, and COCO's run lengths of its segments. */
#include <stdlib.h>

#include "core.h"

typedef struct {
    Memory row, start, id; /* int64: where each row's runs begin, at last their number; int32, uint32: of each run */
    int64_t height, width, runs;
} Runs;

static Status read_runs(LabelPng *png, const uint8_t *file, size_t size, Runs *out) {
    TRY(png_open(png, file, size));
    TRY(reserve(&out->row, ((size_t)png->height + 1) * sizeof(int64_t)));
    int64_t *row = out->row.start;
    out->height = png->height;
    out->width = png->width;
    size_t n = 0;
    for (uint32_t y = 0; y < png->height; y++) {
        TRY(png_next_row(png));
        TRY(grow(&out->start, (n + png->width) * sizeof(int32_t)));
        TRY(grow(&out->id, (n + png->width) * sizeof(uint32_t)));
        int32_t *start = out->start.start;
        uint32_t *ids = out->id.start;
        row[y] = (int64_t)n;
        for (const Run *run = png->row; run->x < png->width; run++) {
            uint32_t id = id_of(png, run->color);
            if (run == png->row || id != ids[n - 1]) { /* colors of one id may differ in alpha */
                start[n] = (int32_t)run->x;
                ids[n++] = id;
            }
        }
    }
    row[png->height] = out->runs = (int64_t)n;
    return png_finish(png);
}

EXPORT void core_release_runs(Runs *runs) {
    release(&runs->row);
    release(&runs->start);
    release(&runs->id);
}

EXPORT int core_read_runs(const uint8_t *file, uint64_t size, Runs *out) {
    *out = (Runs){0};
    LabelPng *png = calloc(1, sizeof *png);
    if (!png)
        return NO_MEMORY;
    Status status = read_runs(png, file, size, out);
    png_release(png);
    free(png);
    if (status != OK)
        core_release_runs(out);
    return (int)status;
}

/* COCO's run lengths go down the columns: pixel (y, x) has the number x * height + y. A mask is given by the numbers at
   which it begins and ends, in any order; two that are equal cancel. */
typedef struct {
    Memory keys, sorted; /* Key: the mask's index above bit 32, the number below it */
    size_t count;
} Edges;

typedef struct {
    Memory text, ends; /* the compressed run lengths of all masks; int64: where each ends */
    int64_t size;
} Masks;

/* Append a run length as cocoapi does: five bits a character, the lowest first, plus 48; 32 says that more follow. */
static size_t append_number(char *text, int64_t number) {
    for (size_t n = 0;;) {
        int bits = (int)(number & 31);
        number >>= 5;
        bool more = bits & 16 ? number != -1 : number != 0;
        text[n++] = (char)(48 + bits + 32 * more);
        if (!more)
            return n;
    }
}

enum { LONGEST_NUMBER = 7 };

static Status append_masks(Edges *edges, int64_t pixels, int64_t masks, Masks *out) {
    size_t n = edges->count;
    TRY(reserve(&edges->sorted, n * sizeof(Key) + 1));
    TRY(reserve(&out->text, (n + (size_t)masks) * LONGEST_NUMBER + 1));
    TRY(reserve(&out->ends, (size_t)masks * sizeof(int64_t) + 1));
    const Key *sorted = sort_keys(edges->keys.start, edges->sorted.start, n);
    char *text = out->text.start;
    int64_t *ends = out->ends.start;
    size_t at = 0, size = 0;
    for (int64_t mask = 0; mask < masks; mask++) {
        int64_t done = 0, last = 0, before_last = 0, runs = 0;
        while (done < pixels) {
            while (at + 1 < n && sorted[at].key == sorted[at + 1].key)
                at += 2;
            bool is_edge = at < n && sorted[at].key >> 32 == (uint64_t)mask;
            int64_t edge = is_edge ? (int64_t)(sorted[at++].key & 0xFFFFFFFF) : pixels;
            int64_t run = edge - done;
            size += append_number(text + size, runs > 2 ? run - before_last : run);
            before_last = last;
            last = run;
            runs++;
            done = edge;
        }
        while (at < n && sorted[at].key >> 32 == (uint64_t)mask) /* those at the very end */
            at++;
        ends[mask] = (int64_t)size;
    }
    out->size = (int64_t)size;
    return OK;
}

static int64_t index_of(uint32_t id, const uint32_t *ids, int64_t n) {
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && ids[low] == id ? low : -1;
}

static Status add_edges(Edges *edges, int64_t mask, uint32_t x, uint32_t end, uint64_t y, uint64_t height) {
    if (mask < 0)
        return OK;
    TRY(grow(&edges->keys, (edges->count + end - x) * sizeof(Key)));
    Key *keys = edges->keys.start;
    for (; x < end; x++)
        keys[edges->count++].key = (uint64_t)mask << 32 | (x * height + y);
    return OK;
}

static Status find_edges(LabelPng *png, const uint8_t *file, size_t size, const uint32_t *ids, int64_t n, Edges *edges) {
    TRY(png_open(png, file, size));
    for (uint32_t y = 0; y <= png->height; y++) {
        const Run *above = png->row, *row = png->row;
        if (y < png->height) {
            TRY(png_next_row(png));
            above = png->above;
            row = png->row;
        }
        for (uint32_t x = 0; x < png->width;) {
            uint32_t end = above[1].x < row[1].x ? above[1].x : row[1].x;
            uint32_t before = id_of(png, above->color), after = id_of(png, row->color);
            bool first = y == 0, last = y == png->height;
            if (before != after || first || last) {
                if (!first)
                    TRY(add_edges(edges, index_of(before, ids, n), x, end, y, png->height));
                if (!last)
                    TRY(add_edges(edges, index_of(after, ids, n), x, end, y, png->height));
            }
            above += above[1].x == end;
            row += row[1].x == end;
            x = end;
        }
    }
    return png_finish(png);
}

EXPORT void core_release_masks(Masks *masks) {
    release(&masks->text);
    release(&masks->ends);
}

/* COCO's compressed run lengths of the pixels of each of n ids, which ascend; an id that does not occur has none. */
EXPORT int core_encode_segments(const uint8_t *file, uint64_t size, const uint32_t *ids, int64_t n, Masks *out) {
    *out = (Masks){0};
    Edges edges = {0};
    LabelPng *png = calloc(1, sizeof *png);
    if (!png)
        return NO_MEMORY;
    Status status = find_edges(png, file, size, ids, n, &edges);
    if (status == OK)
        status = append_masks(&edges, (int64_t)png->height * png->width, n, out);
    png_release(png);
    free(png);
    release(&edges.keys);
    release(&edges.sorted);
    if (status != OK)
        core_release_masks(out);
    return (int)status;
}

/* The sum of the run lengths of each mask, -1 where the text is malformed. `ends`: where in the text each mask ends. */
EXPORT void core_mask_pixels(const uint8_t *text, const int64_t *ends, int64_t n, int64_t *pixels) {
    int64_t at = 0;
    for (int64_t mask = 0; mask < n; mask++) {
        int64_t total = 0, number = 0, last = 0, before_last = 0, runs = 0;
        unsigned shift = 0;
        for (; at < ends[mask] && total >= 0; at++) {
            unsigned bits = (unsigned)text[at] - 48;
            if (bits > 63 || shift > 30) { /* runs have 32 bits at most */
                total = -1;
                break;
            }
            number |= (int64_t)(bits & 31) << shift;
            shift += 5;
            if (bits & 32)
                continue;
            if (bits & 16)
                number -= INT64_C(1) << shift;
            if (runs > 2)
                number += before_last;
            total = number < 0 || number > UINT32_MAX ? -1 : total + number;
            before_last = last;
            last = number;
            number = 0;
            shift = 0;
            runs++;
        }
        pixels[mask] = shift ? -1 : total; /* cut short */
        at = ends[mask];
    }
}
