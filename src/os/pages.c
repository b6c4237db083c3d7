/* Huge pages by madvise, where the system has it.
 * Owner rule: see pages.h. */
#include "os/pages.h"

#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

size_t kf__pages_slack(size_t bytes) { return bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : 0; }

void *kf__pages_huge_end(void *block, size_t room, size_t bytes) {
    kf__pages_huge(block, room);
    if (room == bytes) return block;
    uintptr_t end = ((uintptr_t)block + room) / HUGE_PAGE * HUGE_PAGE;
    return (char *)block + (end - bytes - (uintptr_t)block);
}

void kf__pages_huge(void *block, size_t bytes) {
#if defined(MADV_HUGEPAGE)
    uintptr_t from = ((uintptr_t)block + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE,
              to = ((uintptr_t)block + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (bytes >= 2 * HUGE_PAGE && to > from)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* advice: failure changes nothing */
#else
    (void)block, (void)bytes;
#endif
}
