/* SHA-256 with the instructions of Armv8's optional extension: four rounds a step.
 * Owner rule: pure functions. */
#include <arm_neon.h>

#include "kernels/kernels_bytes.h"

void kf_k_sha256_sha2(uint32_t h[8], const uint8_t *p, size_t n) {
    uint32x4_t abcd = vld1q_u32(h), efgh = vld1q_u32(h + 4);
    for (; n; n--, p += 64) {
        const uint32x4_t abcd0 = abcd, efgh0 = efgh;
        uint32x4_t w[4];
        for (int i = 0; i < 4; i++) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p + 16 * i)));
        for (int r = 0; r < 16; r++) {
            uint32x4_t *now = &w[r & 3];
            if (r >= 4) *now = vsha256su1q_u32(vsha256su0q_u32(*now, w[(r + 1) & 3]), w[(r + 2) & 3], w[(r + 3) & 3]);
            const uint32x4_t k = vaddq_u32(*now, vld1q_u32(kf__sha256_k + 4 * r)), before = abcd;
            abcd = vsha256hq_u32(abcd, efgh, k);
            efgh = vsha256h2q_u32(efgh, before, k);
        }
        abcd = vaddq_u32(abcd, abcd0);
        efgh = vaddq_u32(efgh, efgh0);
    }
    vst1q_u32(h, abcd);
    vst1q_u32(h + 4, efgh);
}
