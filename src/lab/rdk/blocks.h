/* Memory of one configuration: many blocks of the heap, released together.
 * Owner rule: kf__rdk_memory_free releases everything that the other calls returned. */
#ifndef KF_RDK_BLOCKS_H
#define KF_RDK_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "kitfox/status.h"

/** Zero-initialise it. */
typedef struct kf__rdk_memory {
    struct kf__rdk_block *blocks;
    size_t used; /**< bytes that were asked for */
} kf__rdk_memory;

/** Zeroed memory of count * size bytes, or NULL. */
void *kf__rdk_alloc(kf__rdk_memory *m, size_t count, size_t size);
/** Copy of `n` bytes with a zero behind them, or NULL. */
char *kf__rdk_text(kf__rdk_memory *m, const char *text, size_t n);
/** Formatted text, or NULL. */
char *kf__rdk_printf(kf__rdk_memory *m, const char *fmt, ...) KF_PRINTF(2, 3);
void kf__rdk_memory_free(kf__rdk_memory *m);

#define KF_RDK_COUNT(array) (sizeof(array) / sizeof((array)[0]))
/** Return from the calling function because memory ran out. */
#define KF_RDK_FAIL_MEMORY(err) KF_FAIL((err), KF_ERR_MEMORY, "out of memory; close other programs")

#endif
