/* Bounded little-endian reader over a block of memory.
 * Every read says whether the bytes were there; the position moves only on success.
 * Owner rule: borrows the block it reads. */
#include "base/base.h"

bool kf__read_bytes(kf__reader *r, size_t n, const uint8_t **out) {
    if (r->pos > r->size || r->size - r->pos < n) return false;
    *out = r->data + r->pos;
    r->pos += n;
    return true;
}

static bool read_le(kf__reader *r, size_t n, uint64_t *out) {
    const uint8_t *p;
    if (!kf__read_bytes(r, n, &p)) return false;
    *out = 0;
    for (size_t i = 0; i < n; i++) *out |= (uint64_t)p[i] << (8 * i);
    return true;
}

bool kf__read_u16(kf__reader *r, uint16_t *out) {
    uint64_t v;
    if (!read_le(r, 2, &v)) return false;
    *out = (uint16_t)v;
    return true;
}

bool kf__read_u32(kf__reader *r, uint32_t *out) {
    uint64_t v;
    if (!read_le(r, 4, &v)) return false;
    *out = (uint32_t)v;
    return true;
}

bool kf__read_u64(kf__reader *r, uint64_t *out) { return read_le(r, 8, out); }
