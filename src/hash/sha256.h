/* SHA-256 (FIPS 180-4) over streamed bytes.
 * Owner rule: state is the caller's; nothing is allocated. */
#ifndef KF_SHA256_H
#define KF_SHA256_H

#include "kernels/kernels_bytes.h"

typedef struct kf__sha256 {
    kf__sha256_fn *blocks; /* set by kf__sha256_init to the fastest one here */
    uint32_t h[8];
    uint64_t total;
    uint8_t buf[64];
} kf__sha256;
void kf__sha256_init(kf__sha256 *s);
void kf__sha256_add(kf__sha256 *s, const void *data, size_t n);
void kf__sha256_done(kf__sha256 *s, uint8_t out[32]);
/** Digest as 64 lower-case hex digits and NUL. */
void kf__sha256_hex(const uint8_t digest[32], char out[65]);

#endif
