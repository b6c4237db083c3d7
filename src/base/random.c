/* Seeded pseudo-random numbers (SplitMix64, Steele, Lea and Flood 2014): tests, checks and synthetic inputs.
 * The same sequence on every machine; not for cryptography.
 * Owner rule: state is the caller's. */
#include "base/base.h"

uint64_t kf__random_u64(kf__random *r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double kf__random_unit(kf__random *r) { return (double)(kf__random_u64(r) >> 11) * 0x1p-53; }

int64_t kf__random_range(kf__random *r, int64_t lo, int64_t hi) {
    return lo + (int64_t)(kf__random_u64(r) % (uint64_t)(hi - lo + 1));
}
