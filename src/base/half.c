/* IEEE-754 binary16 conversion, exact in both directions (round to nearest even when narrowing).
 * Portable integer code: the same result with or without F16C.
 * Owner rule: pure functions. */
#include "base/base.h"

float kf__half_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = (h >> 10) & 0x1fu, man = h & 0x3ffu, bits;
    if (exp == 31) {
        bits = sign | 0x7f800000u | man << 13;
    } else if (exp != 0) {
        bits = sign | (exp + 112) << 23 | man << 13;
    } else if (man == 0) {
        bits = sign;
    } else { /* subnormal half: normalise */
        uint32_t shift = (uint32_t)__builtin_clz(man) - 21;
        bits = sign | (113 - shift) << 23 | ((man << (13 + shift)) & 0x7fffffu);
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t kf__f32_to_half(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    uint32_t abs = bits & 0x7fffffffu;
    if (abs >= 0x7f800000u) return (uint16_t)(sign | 0x7c00u | (abs > 0x7f800000u ? 0x200u : 0));
    if (abs >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to infinity */
    if (abs < 0x33000001u) return sign;                        /* rounds to zero */
    uint32_t exp = abs >> 23, man = (abs & 0x7fffffu) | 0x800000u;
    uint32_t shift = exp < 113 ? 126 - exp : 13; /* subnormal results lose more bits */
    uint32_t base = exp < 113 ? 0 : (exp - 113) << 10;
    uint32_t half = man >> shift, rest = man & ((1u << shift) - 1), mid = 1u << (shift - 1);
    half += rest > mid || (rest == mid && (half & 1));
    return (uint16_t)(sign | (base + half));
}
