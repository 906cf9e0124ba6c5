/* A label PNG, row by row, without its pixels (PNG specification, third edition, W3C 2025).

   A row of a label image is a few runs of equal color, and once filtered it is zeros but for a few bytes. So a row is
   decoded from event to event: from one pixel that is not zero, or run that starts in the row above, to the next.
   Between two events every filter goes on predicting the same color. */
#include "core.h"

enum { GRAY = 0, RGB = 2, PALETTE = 3, GRAY_ALPHA = 4, RGBA = 6 };
enum { NONE, SUB, UP, AVERAGE, PAETH };
static const uint64_t MAX_PIXELS = 1 << 28;
static const size_t MAX_ROW_BYTES = 1 << 18;

/* CRC-32 of PNG, eight bytes a step (Kounavis and Berry, "A systematic approach to building high performance
   software-based CRC generators", ISCC 2005). */
static uint32_t crc_table[8][256];

EXPORT void core_start(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        crc_table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 255];
}

static uint32_t crc32(const uint8_t *at, size_t size) {
    uint32_t crc = 0xFFFFFFFFu;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word = load64(at) ^ crc;
        crc = 0;
        for (int k = 0; k < 8; k++)
            crc ^= crc_table[7 - k][word >> 8 * k & 255];
    }
    for (; size; size--, at++)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *at) & 255];
    return ~crc;
}

static bool is_letter(uint8_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

/* Join the contents of the IDAT chunks, and check all chunks. */
static Status join_rows(const uint8_t *file, size_t size, Memory *joined, size_t *joined_size) {
    TRY(reserve(joined, size + 8));
    uint8_t *out = joined->start;
    size_t at = 8, n = 0;
    bool first = true, in_rows = false, had_rows = false;
    for (;;) {
        if (size - at < 12 || big_endian(file + at) > size - at - 12)
            return REFUSED;
        size_t length = big_endian(file + at);
        const uint8_t *name = file + at + 4, *data = file + at + 8;
        if (crc32(name, length + 4) != big_endian(data + length))
            return REFUSED;
        bool rows = memcmp(name, "IDAT", 4) == 0;
        if (rows) {
            if (first || (had_rows && !in_rows))
                return REFUSED;
            memcpy(out + n, data, length);
            n += length;
            had_rows = true;
        } else if ((memcmp(name, "IHDR", 4) == 0) != first ||
                   !(is_letter(name[0]) && is_letter(name[1]) && is_letter(name[2]) && is_letter(name[3]))) {
            return REFUSED;
        }
        if (memcmp(name, "IEND", 4) == 0)
            break;
        in_rows = rows;
        first = false;
        at += 12 + length;
    }
    memset(out + n, 0, 8);
    *joined_size = n;
    return had_rows ? OK : REFUSED;
}

/* Bytes that a pixel takes, 1 where it takes less; 0 for kinds of PNG that are left to the reference. */
static unsigned pixel_bytes(unsigned depth, unsigned color_type) {
    bool small = depth == 1 || depth == 2 || depth == 4 || depth == 8;
    if (color_type == GRAY || color_type == PALETTE)
        return small ? 1 : depth == 16 && color_type == GRAY ? 2 : 0;
    if (depth != 8)
        return 0;
    return color_type == GRAY_ALPHA ? 2 : color_type == RGB ? 3 : color_type == RGBA ? 4 : 0;
}

/* Room for the runs of a row and of that above, which is zero for the first. */
static Status two_rows(Memory *memory, uint32_t width, Run **row, Run **above) {
    TRY(reserve(memory, 2 * ((size_t)width + 1) * sizeof(Run)));
    *row = memory->start;
    *above = *row + width + 1;
    (*row)[0] = (Run){0, 0};
    (*row)[1] = (Run){width, 0};
    return OK;
}

Status png_open(LabelPng *png, const uint8_t *file, size_t size) {
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    if (size < 33 || memcmp(file, signature, 16))
        return REFUSED;
    png->width = big_endian(file + 16);
    png->height = big_endian(file + 20);
    png->depth = file[24];
    png->color_type = file[25];
    uint64_t pixels = (uint64_t)png->width * png->height; /* below 2 to the 64 */
    if (pixels == 0 || pixels > MAX_PIXELS || file[26] || file[27] || file[28])
        return REFUSED;
    png->pixel_bytes = pixel_bytes(png->depth, png->color_type);
    if (png->pixel_bytes == 0)
        return REFUSED;
    size_t units = png->depth < 8 ? ((size_t)png->width * png->depth + 7) / 8 : png->width; /* what filters work on */
    png->row_bytes = 1 + units * png->pixel_bytes;
    if (png->row_bytes > MAX_ROW_BYTES)
        return REFUSED;
    size_t joined;
    TRY(join_rows(file, size, &png->compressed, &joined));
    TRY(two_rows(&png->runs, png->width, &png->row, &png->above));
    TRY(reserve(&png->event_runs, ((size_t)png->width + 2) * sizeof(Run)));
    png->events = (Run *)png->event_runs.start + 1; /* find_events begins one before it */
    if (png->depth < 8)
        TRY(two_rows(&png->filtered_runs, (uint32_t)units, &png->filtered, &png->filtered_above));
    bool changes = png->color_type == PALETTE || png->depth < 8; /* most often not filtered, as the specification advises */
    return stream_open(&png->stream, png->compressed.start, joined, png->row_bytes, changes);
}

void png_release(LabelPng *png) {
    release(&png->compressed);
    release(&png->runs);
    release(&png->filtered_runs);
    release(&png->event_runs);
    release(&png->stream.nonzero_memory);
    release(&png->stream.index_memory);
}

uint32_t id_of(const LabelPng *png, uint32_t color) {
    if (png->depth == 16)
        return (color & 0xFF) << 8 | (color >> 8 & 0xFF);
    return png->color_type == GRAY_ALPHA ? color & 0xFF : color & 0xFFFFFF;
}

/* Sums of the four bytes, each modulo 256. */
static inline uint32_t add_bytes(uint32_t a, uint32_t b) {
    return ((a & 0x7F7F7F7F) + (b & 0x7F7F7F7F)) ^ ((a ^ b) & 0x80808080);
}

/* Means of the four bytes, each rounded down. */
static inline uint32_t average_bytes(uint32_t a, uint32_t b) { return (a & b) + (((a ^ b) & 0xFEFEFEFE) >> 1); }

typedef int16_t Eight __attribute__((vector_size(16)));
typedef uint8_t EightBytes __attribute__((vector_size(8)));

static inline Eight widen(uint32_t bytes) {
    uint64_t word = bytes;
    EightBytes eight;
    memcpy(&eight, &word, sizeof eight);
    return __builtin_convertvector(eight, Eight);
}

static inline Eight magnitude(Eight a) { return (a ^ (a >> 15)) - (a >> 15); }

/* Of each byte the neighbor nearest to left + up - corner (PNG specification, section 9.4). */
static inline uint32_t paeth(uint32_t left, uint32_t up, uint32_t corner) {
    Eight a = widen(left), b = widen(up), c = widen(corner);
    Eight to_a = magnitude(b - c), to_b = magnitude(a - c), to_c = magnitude(a + b - c - c);
    Eight not_a = (to_a > to_b) | (to_a > to_c), not_b = to_b > to_c;
    EightBytes nearest = __builtin_convertvector((a & ~not_a) | (not_a & ((b & ~not_b) | (c & not_b))), EightBytes);
    uint32_t value;
    memcpy(&value, &nearest, sizeof value);
    return value;
}

/* The bytes of a pixel, which begins at `place`. `*next`: the first byte there or later that is not zero; then, that behind
   the pixel. */
static INLINE uint32_t take_pixel(const Nonzero **next, uint32_t place, const uint32_t pixel_bytes) {
    const Nonzero *at = *next;
    uint32_t value = 0, n = 0;
    for (uint32_t k = 0; k < pixel_bytes; k++) {
        uint32_t offset = (at[k] >> 8) - place, inside = offset < pixel_bytes;
        value |= (at[k] & 255 & -inside) << (8 * offset & 31);
        n += inside;
    }
    *next = at + n;
    return value;
}

/* The pixel in which the byte at `place` lies, or a later one than there are. */
static INLINE uint32_t pixel_of(uint32_t place, uint32_t begin, const uint32_t pixel_bytes) {
    return (place - begin) / pixel_bytes;
}

/* Go past the pixels that hold the same bytes as that at `place`, which begin with `first`. Returns the place of the first
   byte that differs, or one behind the row. */
static INLINE uint32_t past_equal(const Nonzero *first, const Nonzero **next, uint32_t place, const uint32_t pixel_bytes) {
    const Nonzero *at = *next;
    size_t n = (size_t)(at - first);
    if (n == 0)
        return *at >> 8;
    while (at[0] - at[-(ptrdiff_t)n] == pixel_bytes << 8)
        at++;
    uint32_t expected = (at[-(ptrdiff_t)n] >> 8) + pixel_bytes, found = at[0] >> 8;
    uint32_t differs = expected < found ? expected : found;
    uint32_t pixel = differs - (differs - place) % pixel_bytes;
    while (at[-1] >= pixel << 8)
        at--;
    *next = at;
    return differs;
}

/* The pixels of a row that are not zero, given the row's bytes that are not; then one at `width`. */
static INLINE void find_events(const Nonzero *next, uint32_t begin, uint32_t width, Run *out, const uint32_t pixel_bytes) {
    uint32_t end = begin + width * pixel_bytes, last = UINT32_MAX, value = 0;
    out--;
    for (; *next >> 8 < end; next++) {
        uint32_t offset = (*next >> 8) - begin, x = offset / pixel_bytes;
        uint32_t byte = (*next & 255) << 8 * (offset - x * pixel_bytes);
        value = x == last ? value | byte : byte;
        out += x != last;
        *out = (Run){x, value};
        last = x;
    }
    out[1] = (Run){width, 0};
}

/* Write the runs of a row that is not filtered. */
static INLINE void copy_row(const Nonzero *next, uint32_t begin, uint32_t width, Run *out, const uint32_t pixel_bytes) {
    for (uint32_t x = 0; x < width;) {
        const Nonzero *first = next;
        uint32_t place = begin + x * pixel_bytes;
        *out++ = (Run){x, take_pixel(&next, place, pixel_bytes)};
        x = pixel_of(past_equal(first, &next, place, pixel_bytes), begin, pixel_bytes);
    }
    *out = (Run){width, 0};
}

/* Write the runs of a filtered row, given its events; `kind` is a constant wherever this is inlined. */
static INLINE void decode_row(const unsigned kind, const Run *event, uint32_t width, const Run *above, Run *out) {
    uint32_t x = 0, left = 0, corner = 0;
    do { /* no branch depends on what the pixels are: edges cannot be foretold */
        uint32_t up = above->color, up_end = above[1].x, is_event = event->x == x;
        uint32_t predicted = kind == SUB       ? left
                             : kind == UP      ? up
                             : kind == AVERAGE ? average_bytes(left, up)
                                               : paeth(left, up, corner);
        uint32_t value = add_bytes(predicted, event->color & -is_event);
        event += is_event;
        *out = (Run){x, value};
        out += (value != left) | (x == 0);
        bool steady = kind != AVERAGE ? kind == PAETH || !is_event : value == average_bytes(value, up);
        uint32_t stop = kind == SUB ? width : steady ? up_end : x + 1; /* until then the filter predicts `value` */
        x = event->x < stop ? event->x : stop;
        above += x == up_end;
        left = value;
        corner = up;
    } while (x < width);
    *out = (Run){width, 0};
}

static void decode_filtered(unsigned kind, const Run *events, uint32_t width, const Run *above, Run *out) {
    switch (kind) {
    case SUB: decode_row(SUB, events, width, above, out); break;
    case UP: decode_row(UP, events, width, above, out); break;
    case AVERAGE: decode_row(AVERAGE, events, width, above, out); break;
    default: decode_row(PAETH, events, width, above, out);
    }
}

/* Write the runs of any row whose first pixel is at `begin`, given its bytes that are not zero. */
static INLINE void decode_any(unsigned kind, const Nonzero *next, uint32_t begin, uint32_t width, Run *events,
                              const Run *above, Run *out, const uint32_t pixel_bytes) {
    if (kind == NONE) {
        copy_row(next, begin, width, out, pixel_bytes);
    } else {
        find_events(next, begin, width, events, pixel_bytes);
        decode_filtered(kind, events, width, above, out);
    }
}

/* The same, given where bytes change: where rows are seldom filtered, the changes are the runs. */
static void decode_changes(unsigned kind, const Nonzero *next, uint32_t begin, uint32_t width, Run *events, const Run *above,
                           Run *out) {
    Run *last = out;
    *last = (Run){0, next[-1] & 255}; /* unless the first pixel is a change */
    for (; *next >> 8 < begin + width; next++) {
        last += *next >> 8 != begin;
        *last = (Run){(*next >> 8) - begin, *next & 255};
    }
    last[1] = (Run){width, 0};
    if (kind == NONE)
        return;
    Run *event = events;
    for (const Run *run = out; run->x < width; run++)
        for (uint32_t x = run->x; run->color && x < run[1].x; x++)
            *event++ = (Run){x, run->color};
    *event = (Run){width, 0};
    decode_filtered(kind, events, width, above, out);
}

/* The runs of pixels, 8 / depth of which share a byte, the first one highest, given those of the bytes. */
static void split_bytes(const Run *bytes, unsigned depth, uint32_t width, Run *out) {
    uint32_t mask = (1u << depth) - 1, share = 8 / depth, last = UINT32_MAX;
    for (; bytes->x * share < width; bytes++) {
        uint32_t first = bytes->color & mask, end = bytes[1].x;
        bool same = bytes->color == first * (255 / mask);
        for (uint32_t byte = bytes->x; byte < end; byte = same ? end : byte + 1)
            for (uint32_t k = 0; k < share && byte * share + k < width; k++) {
                uint32_t value = bytes->color >> (8 - depth * (k + 1)) & mask;
                if (value != last)
                    *out++ = (Run){byte * share + k, value};
                last = value;
            }
    }
    *out = (Run){width, 0};
}

static void swap(Run **a, Run **b) {
    Run *c = *a;
    *a = *b;
    *b = c;
}

Status png_next_row(LabelPng *png) {
    const Nonzero *next;
    TRY(stream_take(&png->stream, png->row_bytes, &next));
    uint32_t begin = (uint32_t)(png->stream.taken - png->row_bytes), width = (uint32_t)(png->row_bytes - 1) / png->pixel_bytes;
    bool changes = png->stream.changes;
    unsigned kind = changes && *next >> 8 != begin ? next[-1] & 255 : take_pixel(&next, begin, 1);
    begin++;
    if (kind > PAETH)
        return REFUSED;
    swap(&png->row, &png->above);
    if (png->depth < 8)
        swap(&png->filtered, &png->filtered_above);
    Run *row = png->depth < 8 ? png->filtered : png->row, *above = png->depth < 8 ? png->filtered_above : png->above;
    if (changes)
        decode_changes(kind, next, begin, width, png->events, above, row);
    else if (png->pixel_bytes == 1)
        decode_any(kind, next, begin, width, png->events, above, row, 1);
    else if (png->pixel_bytes == 2)
        decode_any(kind, next, begin, width, png->events, above, row, 2);
    else if (png->pixel_bytes == 3)
        decode_any(kind, next, begin, width, png->events, above, row, 3);
    else
        decode_any(kind, next, begin, width, png->events, above, row, 4);
    if (png->depth < 8)
        split_bytes(row, png->depth, png->width, png->row);
    return OK;
}

Status png_finish(LabelPng *png) { return stream_finish(&png->stream); }
