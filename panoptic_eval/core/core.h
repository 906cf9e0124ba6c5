/* What the files of the core share. It is C11 without Python's API, and keeps nothing between two calls.

   Functions that Python calls are named core_...; `panoptic_eval/core/__init__.py` declares them once more. A file that
   is damaged, or of a kind that the core does not read, is REFUSED; the reference in Python then says why, or reads it. */
#ifndef CORE_H
#define CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the core reads words whose first byte is the lowest"
#endif
#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Number of the functions that Python calls: one more whenever one of them, or what it gives back, changes. */
enum { INTERFACE = 4 };

typedef enum { OK, REFUSED, NO_MEMORY } Status;

#define INLINE inline __attribute__((always_inline)) /* for the sake of arguments that are constants */

#define TRY(call)                      \
    do {                               \
        Status status_ = (call);       \
        if (status_ != OK)             \
            return status_;            \
    } while (0)

/* memory.c: memory that grows to the largest size asked for, and then stays. */
typedef struct {
    void *start;
    size_t size;
} Memory;

Status reserve(Memory *memory, size_t size); /* what it holds is kept */
Status grow(Memory *memory, size_t size);    /* the same, with room for as much again as there is */
void release(Memory *memory);

typedef struct {
    uint64_t key, at;
} Key;

Key *sort_keys(Key *keys, Key *other, size_t n); /* by key, stable; the result is one of the two arrays */

static inline uint64_t load64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

static inline uint32_t load32(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

static inline uint32_t big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* inflate.c: a stream of compressed rows, of which a part is in memory. */

enum { PART = 32, REACH = (PART - 1 + 258) / PART, HISTORY = 32768, AHEAD = 65536, SLACK = 8192 };
enum { AT_ONCE = 8 }; /* numbers of a list that are looked at together */
enum { LITERAL_BITS = 11, DISTANCE_BITS = 8 };

typedef struct {
    const uint8_t *bytes; /* eight bytes of any value follow the last */
    size_t size, at;
    uint64_t waiting; /* bits that are read and not used yet, the next one lowest */
    unsigned count;   /* of them */
} Bits;

/* A byte that is not zero, or not the byte before: its place above bit 8, its value below. They are kept in the order of
   their places. */
typedef uint32_t Nonzero;
static const Nonzero END = INT32_MAX; /* beyond all places */

typedef struct {
    Bits input;
    Nonzero *nonzero; /* of what matches may reach back to, and of what is not taken yet; then END, AT_ONCE times */
    uint32_t *index;  /* of each PART bytes: a number in `nonzero` that is not behind the first one that lies there */
    size_t count;     /* of `nonzero` */
    size_t capacity;
    size_t taken, made; /* ends of what was handed out, and of what is there */
    size_t summed;
    uint32_t adler_a, adler_b;

    enum { BETWEEN, STORED, CODED, ENDED } state;
    bool final, changes; /* changes: the list is of bytes that differ from that before them */
    size_t stored;
    uint32_t literals[(1 << LITERAL_BITS) + 144 * 16], distances[(1 << DISTANCE_BITS) + 16 * 128];
    Memory nonzero_memory, index_memory;
} Stream;

/* `input` stays the caller's. `most` is the largest number of bytes that will be taken at once. */
Status stream_open(Stream *stream, const uint8_t *input, size_t size, size_t most, bool changes);
Status stream_take(Stream *stream, size_t size, const Nonzero **first); /* the first of them in the list, or later */
Status stream_finish(Stream *stream); /* REFUSED if more follows, or the checksum is wrong */

/* label_png.c: a label PNG, row by row. */

typedef struct {
    uint32_t x, color; /* color: the bytes of a pixel, the first one lowest */
} Run;

typedef struct {
    uint32_t height, width;
    unsigned depth, color_type, pixel_bytes;
    size_t row_bytes;
    Stream stream;
    Run *row, *above;             /* x ascending from 0; a run at `width` ends them */
    Run *filtered, *filtered_above; /* the same, but of bytes where several pixels share one */
    Run *events; /* pixels that are not zero once filtered */
    Memory compressed, runs, filtered_runs, event_runs;
} LabelPng;

Status png_open(LabelPng *png, const uint8_t *file, size_t size);
Status png_next_row(LabelPng *png); /* into `row`; what was there goes to `above` */
Status png_finish(LabelPng *png);
void png_release(LabelPng *png);
uint32_t id_of(const LabelPng *png, uint32_t color);

/* boundary.c: which pixels of a label image lie near the boundary of their segment. */

typedef struct {
    uint32_t distance, height, width;
    uint32_t rows; /* that were added */
    Memory ids;    /* uint32: the last distance + 1 rows, row y at y modulo their number */
    Memory depth;  /* uint32: of each column, rows up to the last with one id in a window of 2 distance + 1 pixels */
} Boundary;

uint32_t boundary_distance(double ratio, uint32_t height, uint32_t width); /* ratio of the image's diagonal */
Status boundary_open(Boundary *boundary, uint32_t distance, uint32_t height, uint32_t width);
void boundary_add(Boundary *boundary, const Run *row, const LabelPng *png); /* without a PNG, colors are ids */

static inline uint32_t *boundary_ids(const Boundary *boundary, uint32_t y) {
    return (uint32_t *)boundary->ids.start + (size_t)(y % (boundary->distance + 1)) * boundary->width;
}

/* Whether a pixel is not near the boundary. Known of the row that is `distance` above the last that was added, and of
   those below it once all were. */
static inline bool boundary_inside(const Boundary *boundary, uint32_t y, uint32_t x) {
    return y + boundary->distance < boundary->height &&
           ((const uint32_t *)boundary->depth.start)[x] > 2 * boundary->distance;
}

#endif
