/* SHA-256 (FIPS 180-4) over streamed bytes: the integrity hash of model files and downloads. The work is in a kernel.
 * Kept here because the runtime library may depend on nothing but libc and the JSON reader.
 * Owner rule: state is the caller's. */
#include "hash/sha256.h"

void kf__sha256_init(kf__sha256 *s) {
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    kf__kernels_hash kernels;
    kf__kernels_select_hash(&kernels);
    s->blocks = kernels.sha256;
    memcpy(s->h, start, sizeof start);
    s->total = 0;
}

void kf__sha256_add(kf__sha256 *s, const void *data, size_t n) {
    const uint8_t *p = data;
    size_t have = (size_t)(s->total & 63);
    if (n == 0) return; /* `data` may be NULL then */
    s->total += n;
    if (have) {
        size_t take = n < 64 - have ? n : 64 - have;
        memcpy(s->buf + have, p, take);
        p += take, n -= take;
        if (have + take < 64) return;
        s->blocks(s->h, s->buf, 1);
    }
    s->blocks(s->h, p, n / 64);
    p += n / 64 * 64;
    n %= 64;
    if (n) memcpy(s->buf, p, n);
}

void kf__sha256_done(kf__sha256 *s, uint8_t out[32]) {
    uint64_t bits = s->total * 8;
    uint8_t pad[72] = {0x80}, length[8];
    size_t have = (size_t)(s->total & 63), n = have < 56 ? 56 - have : 120 - have;
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
    kf__sha256_add(s, pad, n);
    kf__sha256_add(s, length, 8);
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void kf__sha256_hex(const uint8_t digest[32], char out[65]) {
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[64] = '\0';
}
