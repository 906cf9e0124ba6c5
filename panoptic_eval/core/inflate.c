/* Inflate (RFC 1950, RFC 1951), made for the filtered rows of label images, which are zeros but for a few bytes.

   No rows are written: what is kept of them is a list of the bytes that are not zero, each with its place. A match appends
   those that it copies, often none, as most matches copy zeros; the checksum and whoever reads the rows go through the
   list. Rows that are not filtered, as those with a palette, have hardly a zero, but bytes that repeat: of them the list has
   those that differ from the byte before (`changes`). What is accepted is what zlib accepts. */
#include "core.h"

/* An entry of a table: the bits of the code (or of the part that found the entry) in bits 0 to 4, a kind, then the number
   of extra bits in bits 8 to 11, and a value above bit 16: a literal, a base, or the index of a second table. */
enum { LITERAL = 1 << 5, SECOND = 1 << 6, STOP = 1 << 7 };
enum { INVALID = STOP, END_OF_BLOCK = STOP | 1 << 16 };

typedef enum { LENGTHS, LITERALS, DISTANCES } Alphabet;

static uint32_t entry(Alphabet alphabet, unsigned symbol) {
    static const uint16_t length_base[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                           31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t length_extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                           2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t distance_base[] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                             193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    switch (alphabet) {
    case LENGTHS:
        return symbol << 16;
    case DISTANCES:
        return symbol > 29 ? INVALID : (uint32_t)distance_base[symbol] << 16 | (symbol < 2 ? 0 : symbol / 2 - 1) << 8;
    default:
        if (symbol < 256)
            return symbol << 16 | LITERAL;
        if (symbol == 256)
            return END_OF_BLOCK;
        return symbol > 285 ? INVALID : (uint32_t)length_base[symbol - 257] << 16 | length_extra[symbol - 257] << 8;
    }
}

/* The table of a canonical Huffman code, given the length of each symbol's code; REFUSED if there is no such code. */
static Status make_table(uint32_t *table, unsigned table_bits, Alphabet alphabet, const uint8_t *lengths, unsigned n) {
    unsigned count[16] = {0}, first[16], longest = 0;
    uint16_t sorted[288];
    for (unsigned i = 0; i < n; i++)
        count[lengths[i]]++;
    count[0] = 0;
    int left = 1;
    for (unsigned bits = 1; bits < 16; bits++) {
        left = 2 * left - (int)count[bits];
        if (left < 0)
            return REFUSED; /* more codes than there are */
        if (count[bits])
            longest = bits;
    }
    if (left > 0) {
        if (alphabet == LENGTHS || longest > 1)
            return REFUSED; /* only a single code of one bit may leave codes unused */
        for (unsigned i = 0; i < 1u << table_bits; i++)
            table[i] = INVALID | 1;
    }
    first[1] = 0;
    for (unsigned bits = 1; bits < 15; bits++)
        first[bits + 1] = first[bits] + count[bits];
    for (unsigned i = 0; i < n; i++)
        if (lengths[i])
            sorted[first[lengths[i]]++] = (uint16_t)i;

    unsigned second_bits = longest > table_bits ? longest - table_bits : 0;
    unsigned next = 1u << table_bits; /* where the next second table goes */
    unsigned code = 0, at = 0;        /* the code's first bit is its lowest, as in the stream */
    for (unsigned bits = 1; bits <= longest; bits++)
        for (unsigned k = 0; k < count[bits]; k++) {
            uint32_t what = entry(alphabet, sorted[at++]);
            if (bits <= table_bits) {
                for (unsigned i = code; i < 1u << table_bits; i += 1u << bits)
                    table[i] = what | bits;
            } else {
                unsigned head = code & ((1u << table_bits) - 1), tail = code >> table_bits;
                if (tail == 0) { /* the first code that starts like this */
                    table[head] = next << 16 | second_bits << 8 | SECOND | table_bits;
                    next += 1u << second_bits;
                }
                uint32_t *second = table + (table[head] >> 16);
                for (unsigned i = tail; i < 1u << second_bits; i += 1u << (bits - table_bits))
                    second[i] = what | (bits - table_bits);
            }
            unsigned bit = 1u << (bits - 1); /* add one, from the highest bit down */
            while (code & bit)
                bit >>= 1;
            code = bit ? (code & (bit - 1)) | bit : 0;
        }
    return OK;
}

/* At least 56 bits; after the input's end they are zero. */
static inline void refill(Bits *in) {
    if (in->at <= in->size)
        in->waiting |= load64(in->bytes + in->at) << in->count;
    in->at += (63 - in->count) >> 3;
    in->count |= 56;
}

static inline unsigned take_bits(Bits *in, unsigned n) {
    unsigned value = (unsigned)(in->waiting & ((1u << n) - 1));
    in->waiting >>= n;
    in->count -= n;
    return value;
}

/* The first entry of the next code. */
static inline uint32_t look_up(const Bits *in, const uint32_t *table, unsigned table_bits) {
    return table[in->waiting & ((1u << table_bits) - 1)];
}

/* Take the next code, given its first entry. Returns its last one. */
static inline uint32_t take_code(Bits *in, const uint32_t *table, unsigned table_bits, uint32_t e) {
    if (e & SECOND) {
        take_bits(in, table_bits);
        e = table[(e >> 16) + (in->waiting & ((1u << (e >> 8 & 15)) - 1))];
    }
    take_bits(in, e & 31);
    return e;
}

static inline uint32_t decode(Bits *in, const uint32_t *table, unsigned table_bits) {
    return take_code(in, table, table_bits, look_up(in, table, table_bits));
}

/* Bytes that are used up, whole or in part. */
static inline size_t used(const Bits *in) { return in->at - (in->count >> 3); }

/* Give whole bytes back, and drop the bits before them. */
static Status to_bytes(Bits *in) {
    in->at = used(in);
    in->waiting = 0;
    in->count = 0;
    return in->at > in->size ? REFUSED : OK;
}

static Status read_codes(Stream *s) {
    static const uint8_t order[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[288 + 32] = {0};
    Bits *in = &s->input;
    refill(in);
    unsigned literals = 257 + take_bits(in, 5), distances = 1 + take_bits(in, 5), n = 4 + take_bits(in, 4);
    if (literals > 286 || distances > 30)
        return REFUSED;
    for (unsigned i = 0; i < n; i++) {
        refill(in);
        lengths[order[i]] = (uint8_t)take_bits(in, 3);
    }
    uint32_t table[128];
    TRY(make_table(table, 7, LENGTHS, lengths, 19));
    memset(lengths, 0, 19);
    for (unsigned i = 0; i < literals + distances;) {
        refill(in);
        unsigned symbol = decode(in, table, 7) >> 16, again = 1;
        uint8_t length = (uint8_t)symbol;
        if (symbol == 16) {
            if (i == 0)
                return REFUSED;
            length = lengths[i - 1];
            again = 3 + take_bits(in, 2);
        } else if (symbol > 16) {
            length = 0;
            again = symbol == 17 ? 3 + take_bits(in, 3) : 11 + take_bits(in, 7);
        }
        if (i + again > literals + distances)
            return REFUSED;
        memset(lengths + i, length, again);
        i += again;
    }
    if (lengths[256] == 0)
        return REFUSED; /* no code for the end of the block */
    TRY(make_table(s->literals, LITERAL_BITS, LITERALS, lengths, literals));
    return make_table(s->distances, DISTANCE_BITS, DISTANCES, lengths + literals, distances);
}

static Status fixed_codes(Stream *s) {
    uint8_t lengths[288];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    TRY(make_table(s->literals, LITERAL_BITS, LITERALS, lengths, 288));
    memset(lengths, 5, 32);
    return make_table(s->distances, DISTANCE_BITS, DISTANCES, lengths, 32);
}

/* The first byte that is not zero at `place` or later; END if there is none yet. */
static inline Nonzero *seek(const Stream *s, size_t place) {
    Nonzero *at = s->nonzero + s->index[place / PART];
    while (*at < place << 8)
        at++;
    return at;
}

/* Adler-32 (RFC 1950, section 8.2) of what was made since the last call: a byte adds itself to the first sum, and itself
   times the number of bytes from it to the end to the second. What is kept is too little for the sums to exceed 64 bits. */
static void sum(Stream *s) {
    uint32_t made = (uint32_t)s->made;
    uint64_t a = s->adler_a, b = s->adler_b + a * (s->made - s->summed);
    const Nonzero *at = seek(s, s->summed), *end = s->nonzero + s->count;
    if (s->changes) { /* a change adds its step to all bytes from it to the end */
        uint64_t last = 0, value = at[-1] & 255, n = s->made - s->summed;
        for (;; at++) {
            a += (value - last) * n;
            b += (value - last) * (n * (n + 1) / 2);
            if (at == end)
                break;
            last = value;
            value = *at & 255;
            n = made - (*at >> 8);
        }
    } else {
        for (; at < end; at++) {
            uint32_t byte = *at & 255;
            a += byte;
            b += (uint64_t)byte * (made - (*at >> 8));
        }
    }
    s->summed = s->made;
    s->adler_a = (uint32_t)(a % 65521);
    s->adler_b = (uint32_t)(b % 65521);
}

/* Note where the parts begin that the next 258 bytes reach into. */
static inline void note(uint32_t *index, size_t made, size_t count) {
    uint32_t *part = index + made / PART;
    for (int k = 1; k <= REACH; k++)
        part[k] = (uint32_t)count;
}

/* End a list, so that AT_ONCE can be read from its end. */
static inline void set_end(Nonzero *end) {
    for (int k = 0; k < AT_ONCE; k++)
        end[k] = END;
}

static void set_count(Stream *s, Nonzero *end) {
    s->count = (size_t)(end - s->nonzero);
    set_end(end);
}

typedef uint32_t Four __attribute__((vector_size(16)));
typedef uint64_t Two __attribute__((vector_size(16)));

/* How many of the AT_ONCE numbers from `at` on are below `limit`: all before those that are not. */
static inline size_t count_below(const Nonzero *at, Nonzero limit) {
    Four a, b;
    memcpy(&a, at, sizeof a);
    memcpy(&b, at + 4, sizeof b);
    Two below = (Two)(((a - limit) >> 31) + ((b - limit) >> 31)); /* all numbers are below 2 to the 31 */
    uint64_t sums = below[0] + below[1];
    return (uint32_t)sums + (sums >> 32);
}

static inline void copy_at_once(Nonzero *to, const Nonzero *from, Nonzero distance) {
    Four copied[AT_ONCE / 4];
    memcpy(copied, from, sizeof copied);
    for (int k = 0; k < AT_ONCE / 4; k++)
        copied[k] += distance;
    memcpy(to, copied, sizeof copied);
}

/* Append, `distance` farther on, those from `source` on that are not before `from` and before `behind`, to the list that
   ends at `end`. Most often they are few: AT_ONCE are written, whatever they are, and those counted that are meant. */
static inline Nonzero *copy(const Nonzero *source, Nonzero from, Nonzero behind, Nonzero distance, Nonzero *end) {
    set_end(end);
    while (source[AT_ONCE - 1] < from)
        source += AT_ONCE;
    source += count_below(source, from);
    if ((behind - from > distance) & (*source < behind)) { /* it overlaps itself: what is appended here is copied, too */
        for (; *source < behind; source++) {
            Nonzero copied = *source + distance;
            *end++ = copied;
            *end = END;
        }
        return end;
    }
    for (; source[AT_ONCE - 1] < behind; source += AT_ONCE, end += AT_ONCE)
        copy_at_once(end, source, distance);
    size_t n = count_below(source, behind); /* before it is written to: `source` may reach beyond `end` */
    copy_at_once(end, source, distance);
    return end + n;
}

/* Decode symbols until `limit` bytes are there, which the last match may exceed, or the block ends. `changes` is a constant
   wherever this is inlined. */
static INLINE Status inflate_codes(Stream *s, size_t limit, const bool changes) {
    Bits in = s->input; /* local, as a number that is stored might else change it */
    Nonzero *end = s->nonzero + s->count;
    size_t made = s->made;
    uint32_t next; /* the next symbol's entry: it arrives while something is copied */
    refill(&in);
    next = look_up(&in, s->literals, LITERAL_BITS);
    while (made < limit) {
        Bits before = in;
        uint32_t e = take_code(&in, s->literals, LITERAL_BITS, next);
        note(s->index, made, (size_t)(end - s->nonzero));
        if (e & LITERAL) {
            uint32_t literal = e >> 16;
            *end = (Nonzero)(made << 8) | literal;
            end += literal != (changes ? end[-1] & 255 : 0);
            made++;
            refill(&in);
            next = look_up(&in, s->literals, LITERAL_BITS);
            continue;
        }
        if (e & STOP) {
            if (e >> 16 == 0)
                return REFUSED;
            s->state = BETWEEN;
            break;
        }
        size_t length = (e >> 16) + take_bits(&in, e >> 8 & 15);
        e = decode(&in, s->distances, DISTANCE_BITS);
        if (e & STOP)
            return REFUSED;
        size_t distance = (e >> 16) + take_bits(&in, e >> 8 & 15);
        if (distance > made)
            return REFUSED; /* before the stream's start: later on, at least 32768 bytes are kept */
        Nonzero from = (Nonzero)((made - distance) << 8), behind = from + (Nonzero)(length << 8);
        if (length == 258 && end[-1] < from) { /* one value; often the same match follows again and again */
            unsigned spent = before.count - in.count; /* while bits equal those so many before, it does */
            unsigned equal = (unsigned)__builtin_ctzll((before.waiting ^ in.waiting) | UINT64_C(1) << in.count);
            for (; equal >= spent; equal -= spent) { /* at most 28 times, as a match takes two bits: less than SLACK */
                in.waiting >>= spent;
                in.count -= spent;
                made += length;
                note(s->index, made, (size_t)(end - s->nonzero));
            }
        }
        refill(&in);
        next = look_up(&in, s->literals, LITERAL_BITS);
        const Nonzero *source = s->nonzero + s->index[(made - distance) / PART];
        if (changes) { /* how the first byte differs from that before it depends on where it is copied to */
            set_end(end);
            while (*source <= (from | 255))
                source++;
            *end = (Nonzero)(made << 8) | (source[-1] & 255);
            end += ((source[-1] ^ end[-1]) & 255) != 0;
            from += 256;
        }
        end = copy(source, from, behind, (Nonzero)(distance << 8), end);
        made += length;
    }
    s->input = in;
    s->made = made;
    set_count(s, end);
    return OK;
}

static Status inflate_stored(Stream *s, size_t limit) {
    Bits *in = &s->input;
    Nonzero *end = s->nonzero + s->count;
    size_t n = min_size(s->stored, limit - s->made);
    if (n > in->size - in->at)
        return REFUSED;
    s->stored -= n;
    for (; n; n--) {
        uint8_t byte = in->bytes[in->at++];
        note(s->index, s->made, (size_t)(end - s->nonzero));
        *end = (Nonzero)(s->made++ << 8) | byte;
        end += byte != (s->changes ? end[-1] & 255 : 0);
    }
    set_count(s, end);
    if (s->stored == 0)
        s->state = BETWEEN;
    return OK;
}

static Status start_block(Stream *s) {
    Bits *in = &s->input;
    if (s->final) {
        TRY(to_bytes(in));
        sum(s);
        if (in->size - in->at != 4 || big_endian(in->bytes + in->at) != (s->adler_b << 16 | s->adler_a))
            return REFUSED;
        s->state = ENDED;
        return OK;
    }
    refill(in);
    s->final = take_bits(in, 1);
    switch (take_bits(in, 2)) {
    case 0:
        TRY(to_bytes(in));
        if (in->size - in->at < 4)
            return REFUSED;
        s->stored = load32(in->bytes + in->at) & 0xFFFF;
        if ((s->stored ^ load32(in->bytes + in->at) >> 16) != 0xFFFF)
            return REFUSED;
        in->at += 4;
        s->state = s->stored ? STORED : BETWEEN;
        return OK;
    case 1:
        s->state = CODED;
        return fixed_codes(s);
    case 2:
        s->state = CODED;
        return read_codes(s);
    default:
        return REFUSED;
    }
}

/* Inflate until `limit` bytes are in memory, a few more, or the stream ends. */
static Status inflate_to(Stream *s, size_t limit) {
    while (s->made < limit && s->state != ENDED) {
        TRY(s->state == BETWEEN  ? start_block(s)
            : s->state == STORED ? inflate_stored(s, limit)
            : s->changes         ? inflate_codes(s, limit, true)
                                 : inflate_codes(s, limit, false));
        if (used(&s->input) > s->input.size)
            return REFUSED;
    }
    if (s->state != ENDED)
        sum(s);
    return OK;
}

Status stream_open(Stream *s, const uint8_t *input, size_t size, size_t most, bool changes) {
    s->capacity = HISTORY + AHEAD + most + SLACK;
    TRY(reserve(&s->nonzero_memory, (1 + s->capacity + 2 * AT_ONCE) * sizeof(Nonzero)));
    TRY(reserve(&s->index_memory, (s->capacity / PART + 1 + REACH) * sizeof(uint32_t)));
    s->nonzero = (Nonzero *)s->nonzero_memory.start + 1;
    s->nonzero[-1] = 0;
    set_count(s, s->nonzero);
    s->index = s->index_memory.start;
    s->index[0] = 0;
    s->input = (Bits){.bytes = input, .size = size, .at = 2};
    s->taken = s->made = s->summed = 0;
    s->adler_a = 1;
    s->adler_b = 0;
    s->state = BETWEEN;
    s->final = false;
    s->changes = changes;
    /* RFC 1950, section 2.2: deflate with a window of at most 32768 bytes, no preset dictionary. */
    bool right = size >= 2 && (input[0] & 15) == 8 && input[0] >> 4 <= 7 && (input[0] * 256 + input[1]) % 31 == 0;
    return right && !(input[1] & 32) ? OK : REFUSED;
}

/* Make room: forget what neither a match nor a row will reach. */
static void slide(Stream *s) {
    size_t parts = s->made > HISTORY ? min_size(s->taken, s->made - HISTORY) / PART : 0, gone = parts * PART;
    const Nonzero *kept = seek(s, gone);
    uint32_t dropped = (uint32_t)(kept - s->nonzero);
    size_t count = s->count - dropped;
    s->nonzero[-1] = s->changes ? kept[-1] & 255 : 0;
    for (size_t i = 0; i < count; i++)
        s->nonzero[i] = kept[i] - (Nonzero)(gone << 8);
    set_count(s, s->nonzero + count);
    for (size_t i = parts; i <= s->made / PART; i++)
        s->index[i - parts] = s->index[i] > dropped ? s->index[i] - dropped : 0;
    s->taken -= gone;
    s->made -= gone;
    s->summed -= gone;
}

Status stream_take(Stream *s, size_t size, const Nonzero **first) {
    if (s->made - s->taken < size) {
        slide(s);
        TRY(inflate_to(s, s->capacity - SLACK));
        if (s->made - s->taken < size)
            return REFUSED;
    }
    *first = seek(s, s->taken);
    s->taken += size;
    return OK;
}

Status stream_finish(Stream *s) {
    if (s->made == s->taken)
        slide(s);
    while (s->made == s->taken && s->state != ENDED)
        TRY(inflate_to(s, s->made + 1));
    return s->made == s->taken ? OK : REFUSED;
}
