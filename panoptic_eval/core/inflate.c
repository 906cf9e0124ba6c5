/* Inflate (RFC 1950, RFC 1951), made for the filtered rows of label images, which are zeros but for a few bytes.

   Nearly all matches copy zeros. The stream knows where its last byte that is not zero lies, and so which matches those
   are; it keeps a map of the words of its output that hold anything else. Other matches, whoever reads the rows, and the
   checksum go from one of these words to the next. What is accepted is what zlib accepts. */
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

/* Adler-32 (RFC 1950, section 8.2) of what was made since the last call, whole words of it unless the stream ended.
   A byte adds itself to the first sum, and itself times the number of bytes from it to the end to the second, so that
   zeros add nothing. What is in memory is too little for the sums to exceed 64 bits. */
static void sum(Stream *s, bool ended) {
    size_t first = s->summed / 8, end = s->made / 8;
    uint64_t a = s->adler_a, b = s->adler_b + a * (8 * end - s->summed);
    for (size_t i = first / 64; 64 * i < end; i++) {
        uint64_t bits = s->map[i];
        if (64 * i < first)
            bits &= ~UINT64_C(0) << first % 64;
        if (64 * i + 64 > end)
            bits &= ~(~UINT64_C(0) << end % 64);
        for (; bits; bits &= bits - 1) {
            size_t at = 64 * i + (size_t)__builtin_ctzll(bits);
            uint64_t word = load64(s->data + 8 * at);
            uint64_t even = word & UINT64_C(0x00FF00FF00FF00FF), odd = word >> 8 & UINT64_C(0x00FF00FF00FF00FF);
            uint64_t bytes = (even + odd) * UINT64_C(0x0001000100010001) >> 48;
            /* The bytes times 8, 7, ... 1: pairs of them, whose sums arrive in the highest 16 bits. */
            b += (even * UINT64_C(0x0008000600040002) >> 48) + (odd * UINT64_C(0x0007000500030001) >> 48);
            b += bytes * 8 * (end - at - 1);
            a += bytes;
        }
    }
    s->summed = 8 * end;
    for (; ended && s->summed < s->made; s->summed++) {
        a += s->data[s->summed];
        b += a;
    }
    s->adler_a = (uint32_t)(a % 65521);
    s->adler_b = (uint32_t)(b % 65521);
}

/* Copy what lies `distance` back; up to 15 bytes more than `length` are written. */
static inline void copy(uint8_t *to, size_t distance, size_t length) {
    uint8_t *end = to + length;
    if (distance >= 16) {
        do {
            memcpy(to, to - distance, 16);
            to += 16;
        } while (to < end);
        return;
    }
    size_t period = distance; /* a multiple of the distance that eight bytes fit into */
    while (period < 8)
        period += distance;
    for (uint8_t *start = to; to < start + (period - distance); to++)
        *to = *(to - distance);
    while (to < end) {
        memcpy(to, to - period, 8);
        to += 8;
    }
}

static inline void set_map(uint64_t *map, size_t word, uint64_t bits) {
    map[word / 64] |= bits << word % 64;
    if (word % 64 > 61) /* at most three bits */
        map[word / 64 + 1] |= bits >> 1 >> (63 - word % 64);
}

/* Map what was written to [begin, end), behind which all is zero. Returns the end of what is not zero, so far `nonzero`. */
static size_t map_bytes(Stream *s, size_t nonzero, size_t begin, size_t end) {
    for (size_t i = begin / 8; 8 * i < end; i++) {
        uint64_t word = load64(s->data + 8 * i);
        set_map(s->map, i, word != 0);
        if (word)
            nonzero = 8 * i + 8 - ((size_t)__builtin_clzll(word) >> 3);
    }
    return nonzero;
}

/* Copy what lies `distance` back, at least eight bytes, to where all is zero, word by word, and map it. Returns the end of
   what is not zero, so far `nonzero`. */
static inline size_t copy_words(Stream *s, size_t nonzero, size_t to, size_t distance, size_t length) {
    size_t from = to - distance, end = from + length, last = (end - 1) / 8;
    for (size_t i = next_word(s->map, from / 8, last + 1); i <= last; i = next_word(s->map, i + 1, last + 1)) {
        uint64_t word = load64(s->data + 8 * i);
        if (8 * i < from)
            word = word >> 8 * (from - 8 * i) << 8 * (from - 8 * i);
        if (8 * i + 8 > end)
            word = word << 8 * (8 * i + 8 - end) >> 8 * (8 * i + 8 - end);
        if (word == 0)
            continue;
        size_t at = 8 * i + distance, shift = at % 8 * 8;
        uint64_t there = load64(s->data + at) | word; /* the bytes of the word that are not copied stay */
        memcpy(s->data + at, &there, 8);
        set_map(s->map, at / 8, (word << shift != 0) | (uint64_t)(word >> 1 >> (63 - shift) != 0) << 1);
        nonzero = at + 8 - ((size_t)__builtin_clzll(word) >> 3);
    }
    return nonzero;
}

/* The same for at most 16 bytes that lie at least 16 back: two words, whatever they hold. */
static inline size_t copy_few(Stream *s, size_t nonzero, size_t to, size_t distance, size_t length) {
    const uint8_t *from = s->data + to - distance;
    uint64_t low = load64(from), high = load64(from + 8);
    low &= length < 8 ? ~(~UINT64_C(0) << 8 * length) : ~UINT64_C(0);
    high &= length <= 8 ? 0 : ~UINT64_C(0) >> (128 - 8 * length);
    memcpy(s->data + to, (uint64_t[]){low, high}, 16);
    size_t shift = to % 8 * 8;
    uint64_t middle = low >> 1 >> (63 - shift) | high << shift, last = high >> 1 >> (63 - shift);
    set_map(s->map, to / 8, (low << shift != 0) | (uint64_t)(middle != 0) << 1 | (uint64_t)(last != 0) << 2);
    if (high)
        return to + 16 - ((size_t)__builtin_clzll(high) >> 3);
    return low ? to + 8 - ((size_t)__builtin_clzll(low) >> 3) : nonzero;
}

/* Decode symbols until `limit` bytes are there, which the last match may exceed, or the block ends. */
static Status inflate_codes(Stream *s, size_t limit) {
    Bits in = s->input; /* local, as a byte that is stored might else change it */
    uint8_t *data = s->data;
    size_t made = s->made, nonzero = s->nonzero;
    uint32_t next; /* the next symbol's entry: it arrives while something is copied */
    refill(&in);
    next = look_up(&in, s->literals, LITERAL_BITS);
    while (made < limit) {
        Bits before = in;
        uint32_t e = take_code(&in, s->literals, LITERAL_BITS, next);
        if (e & LITERAL) {
            uint8_t literal = (uint8_t)(e >> 16);
            data[made] = literal;
            if (literal) {
                set_map(s->map, made / 8, 1);
                nonzero = made + 1;
            }
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
        if (made - distance >= nonzero) { /* zeros, which are there already */
            made += length;
            /* Often the same match follows again and again: while bits equal those `spent` before, it does. */
            unsigned spent = before.count - in.count;
            unsigned equal = (unsigned)__builtin_ctzll((before.waiting ^ in.waiting) | UINT64_C(1) << in.count);
            if (equal >= spent) {
                unsigned again = equal / spent;
                in.waiting >>= again * spent;
                in.count -= again * spent;
                made += again * length; /* at most 28 times 258, as a match takes two bits: less than SLACK */
            }
            refill(&in);
            next = look_up(&in, s->literals, LITERAL_BITS);
            continue;
        }
        refill(&in);
        next = look_up(&in, s->literals, LITERAL_BITS);
        if (length <= 16 && distance >= 16) {
            nonzero = copy_few(s, nonzero, made, distance, length);
        } else if (distance < 8 || ((const uint8_t *)s->map)[(made - distance) / 64] == 255) { /* short, or dense */
            copy(data + made, distance, length);
            memset(data + made + length, 0, 16);
            nonzero = map_bytes(s, nonzero, made, made + length);
        } else {
            nonzero = copy_words(s, nonzero, made, distance, length);
        }
        made += length;
    }
    s->input = in;
    s->made = made;
    s->nonzero = nonzero;
    return OK;
}

static Status inflate_stored(Stream *s, size_t limit) {
    Bits *in = &s->input;
    size_t n = min_size(s->stored, limit - s->made);
    if (n > in->size - in->at)
        return REFUSED;
    memcpy(s->data + s->made, in->bytes + in->at, n);
    s->nonzero = map_bytes(s, s->nonzero, s->made, s->made + n);
    in->at += n;
    s->made += n;
    s->stored -= n;
    if (s->stored == 0)
        s->state = BETWEEN;
    return OK;
}

static Status start_block(Stream *s) {
    Bits *in = &s->input;
    if (s->final) {
        TRY(to_bytes(in));
        sum(s, true);
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
        TRY(s->state == BETWEEN ? start_block(s) : s->state == STORED ? inflate_stored(s, limit) : inflate_codes(s, limit));
        if (used(&s->input) > s->input.size)
            return REFUSED;
    }
    if (s->state != ENDED)
        sum(s, false);
    return OK;
}

/* Make a block zero; what it held goes to `to`, which is zero, if that is not NULL. */
static void empty_block(Stream *s, size_t block, uint8_t *to) {
    uint8_t *from = s->data + block * BLOCK;
    uint64_t bits = s->map[block];
    s->map[block] = 0;
    if (~bits == 0) { /* dense */
        if (to)
            memcpy(to, from, BLOCK);
        memset(from, 0, BLOCK);
    }
    for (; ~bits && bits; bits &= bits - 1) {
        size_t at = 8 * (size_t)__builtin_ctzll(bits);
        if (to)
            memcpy(to + at, from + at, 8);
        memset(from + at, 0, 8);
    }
}

Status stream_open(Stream *s, const uint8_t *input, size_t size, size_t most) {
    size_t capacity = (HISTORY + AHEAD + most + SLACK) / BLOCK * BLOCK + BLOCK;
    size_t there = s->map_memory.size;
    TRY(reserve(&s->memory, capacity + SLACK));
    TRY(reserve(&s->map_memory, (capacity + SLACK) / 64));
    s->data = s->memory.start;
    s->map = s->map_memory.start;
    if (s->map_memory.size > there) {
        memset(s->data, 0, s->memory.size);
        memset(s->map, 0, s->map_memory.size);
    } else { /* what an earlier stream left */
        for (size_t i = 0; i < there / 8; i++)
            empty_block(s, i, NULL);
    }
    s->capacity = capacity;
    s->input = (Bits){.bytes = input, .size = size, .at = 2};
    s->taken = s->made = s->nonzero = s->summed = 0;
    s->adler_a = 1;
    s->adler_b = 0;
    s->state = BETWEEN;
    s->final = false;
    /* RFC 1950, section 2.2: deflate with a window of at most 32768 bytes, no preset dictionary. */
    bool right = size >= 2 && (input[0] & 15) == 8 && input[0] >> 4 <= 7 && (input[0] * 256 + input[1]) % 31 == 0;
    return right && !(input[1] & 32) ? OK : REFUSED;
}

/* Make room: forget what neither a match nor a row will reach. */
static void slide(Stream *s) {
    size_t gone = s->made > HISTORY ? min_size(s->taken, s->made - HISTORY) / BLOCK : 0;
    for (size_t i = 0; gone && i <= s->made / BLOCK; i++) {
        if (i >= gone)
            s->map[i - gone] = s->map[i];
        empty_block(s, i, i >= gone ? s->data + (i - gone) * BLOCK : NULL);
    }
    gone *= BLOCK;
    s->taken -= gone;
    s->made -= gone;
    s->summed -= gone;
    s->nonzero = s->nonzero > gone ? s->nonzero - gone : 0;
}

Status stream_take(Stream *s, size_t size, const uint8_t **data) {
    if (s->made - s->taken < size) {
        slide(s);
        TRY(inflate_to(s, s->capacity - SLACK));
        if (s->made - s->taken < size)
            return REFUSED;
    }
    *data = s->data + s->taken;
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
