/* The limits of limit.c as one JSON line: most multiply-adds per nanosecond of this CPU, f32 and bytes. bench/run.sh
 * reads it for the table of steps; KITFOX_CPU lowers the level.
 * Owner rule: pure measurement. */
#include "harness.h"

int main(void) {
    kf__cpu_level level = kf__cpu_level_now();
    bool vnni = level == KF_CPU_AVX512VNNI || level == KF_CPU_AVXVNNI;
    double f32 = fma_limit(level), u8 = dot_limit(level, level != KF_CPU_AVXVNNI);
    /* A dot product sums two products of i16 where it sums four of bytes; without, bytes are widened and cost the same.
     */
    printf("{\"isa\":\"%s\",\"f32\":%.2f,\"u8\":%.2f,\"i16\":%.2f}\n", kf__cpu_level_name(level), f32, u8,
           vnni ? u8 / 2 : u8);
    return 0;
}
