/* Advice to the system about memory.
 * Owner rule: borrows the block. */
#ifndef KF_PAGES_H
#define KF_PAGES_H

#include "base/base.h"

/** Ask for huge pages inside a block that nothing has been written to yet. Advice only: no effect where the system has
 * none, and on blocks of less than 4 MiB. Streaming weights of one-row products from memory is a quarter faster with
 * them. */
void kf__pages_huge(void *block, size_t bytes);

/** Bytes to allocate in addition to `bytes` for kf__pages_huge_end. */
size_t kf__pages_slack(size_t bytes);
/** The same for a block of `room`, bytes plus slack, that may be used from the place that is returned: its last byte
 * is the last of a huge page. So only its beginning is in small pages, and nothing after it is ever touched. */
void *kf__pages_huge_end(void *block, size_t room, size_t bytes);

#endif
