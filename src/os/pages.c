/* Huge pages by madvise, where the system has it.
 * Floor 2.
 * Owner rule: see pages.h. */
#include "os/pages.h"

#include <sys/mman.h>

void kf__pages_huge(void *block, size_t bytes) {
#if defined(MADV_HUGEPAGE)
    const uintptr_t page = 2u << 20;
    uintptr_t from = ((uintptr_t)block + page - 1) / page * page, to = ((uintptr_t)block + bytes) / page * page;
    if (bytes >= 2 * page && to > from) (void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* advice: failure changes nothing */
#else
    (void)block, (void)bytes;
#endif
}
