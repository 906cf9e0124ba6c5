/* Memory that is not there when a test wants it so, and a count of what was not given back. */
#undef malloc
#undef calloc
#undef realloc
#undef free
#include <stdint.h>
#include <stdlib.h>

static int64_t until_failure = INT64_MAX, blocks;

__attribute__((visibility("default"))) void fail_after(int64_t calls) { until_failure = calls; }
__attribute__((visibility("default"))) int64_t blocks_in_use(void) { return blocks; }

void *failing_realloc(void *old, size_t size) {
    void *memory = until_failure-- > 0 ? realloc(old, size ? size : 1) : NULL;
    blocks += memory && !old;
    return memory;
}

void *failing_malloc(size_t size) { return failing_realloc(NULL, size); }

void *failing_calloc(size_t n, size_t size) {
    void *memory = until_failure-- > 0 ? calloc(n, size) : NULL;
    blocks += memory != NULL;
    return memory;
}

void failing_free(void *memory) {
    blocks -= memory != NULL;
    free(memory);
}
