/* Memory, and sorting. */
#include <stdlib.h>

#include "core.h"

EXPORT int core_interface(void) { return INTERFACE; }

Status reserve(Memory *memory, size_t size) {
    if (size <= memory->size)
        return OK;
    void *start = realloc(memory->start, size);
    if (!start)
        return NO_MEMORY;
    memory->start = start;
    memory->size = size;
    return OK;
}

Status grow(Memory *memory, size_t size) {
    return size <= memory->size ? OK : reserve(memory, size > SIZE_MAX / 2 ? size : 2 * size);
}

void release(Memory *memory) {
    free(memory->start);
    *memory = (Memory){0};
}

/* Sort by key: by one byte after the other, the lowest first; bytes that are equal everywhere take no time. */
Key *sort_keys(Key *keys, Key *other, size_t n) {
    uint64_t all = ~UINT64_C(0), any = 0;
    for (size_t i = 0; i < n; i++) {
        all &= keys[i].key;
        any |= keys[i].key;
    }
    for (int shift = 0; shift < 64; shift += 8) {
        if (((all ^ any) >> shift & 255) == 0)
            continue;
        size_t first[257] = {0};
        for (size_t i = 0; i < n; i++)
            first[(keys[i].key >> shift & 255) + 1]++;
        for (int k = 0; k < 256; k++)
            first[k + 1] += first[k];
        for (size_t i = 0; i < n; i++)
            other[first[keys[i].key >> shift & 255]++] = keys[i];
        Key *swap = keys;
        keys = other;
        other = swap;
    }
    return keys;
}
