/* Selection: for each entry, the last line of kernels.def whose level the wanted level contains.
 * Owner rule: fills the caller's table. */
#include "kernels/kernels.h"
#include "kernels/kernels_bytes.h"
#include "kernels/kernels_int.h"

/* The levels that `cpu` contains. */
static void contained(kf__cpu_level cpu, bool has[KF_CPU_LEVELS]) {
    for (int i = 0; i < KF_CPU_LEVELS; i++) has[i] = kf__cpu_level_contains(cpu, (kf__cpu_level)i);
}

static bool may_run(kf__cpu_level level) { return kf__cpu_allowed(level) && kf__cpu_usable(level); }

#define TAKE(member, function, isa, facts)                                                                             \
    do {                                                                                                               \
        out->member = kf_k_##function##_##isa;                                                                         \
        out->member##_name = #function "_" #isa;                                                                       \
        facts                                                                                                          \
    } while (0)
#define FACT(field, value) out->field = value;

void kf__kernels_select(kf__cpu_level cpu, kf__kernels *out) {
    bool has[KF_CPU_LEVELS];
    contained(cpu, has);
#define KF_FACT FACT
#define KF_KERNEL_F32(check, member, function, isa, level, facts)                                                      \
    if (has[KF_CPU_##level]) TAKE(member, function, isa, facts);
#include "kernels/kernels.def"
}

void kf__kernels_select_int(kf__cpu_level cpu, kf__kernels_int *out) {
    bool has[KF_CPU_LEVELS];
    contained(cpu, has);
#define KF_FACT FACT
#define KF_KERNEL_INT(check, member, function, isa, level, facts)                                                      \
    if (has[KF_CPU_##level]) TAKE(member, function, isa, facts);
#define KF_KERNEL_PROVED(check, member, function, isa, level, facts)                                                   \
    if (has[KF_CPU_##level]) {                                                                                         \
        const kf__kernels_int before = *out;                                                                           \
        TAKE(member, function, isa, facts);                                                                            \
        has[KF_CPU_##level] = kf__kernels_proved(out, KF_CPU_##level);                                                 \
        if (!has[KF_CPU_##level]) *out = before;                                                                       \
    }
#include "kernels/kernels.def"
}

/* kf__kernels_proved keeps one verdict. */
enum {
    PROVED = 0
#define KF_KERNEL_PROVED(check, member, function, isa, level, facts) +1
#include "kernels/kernels.def"
};
_Static_assert(PROVED <= 1, "a second kernel that is proved before use needs a verdict of its own");

void kf__kernels_select_image(kf__cpu_level cpu, kf__kernels_image *out) {
#define KF_KERNEL_IMAGE(check, member, function, isa, level, facts)                                                    \
    if (cpu == KF_CPU_LEVELS ? may_run(KF_CPU_##level) : kf__cpu_level_contains(cpu, KF_CPU_##level))                  \
        TAKE(member, function, isa, facts);
#include "kernels/kernels.def"
}

void kf__kernels_select_hash(kf__kernels_hash *out) {
#define KF_KERNEL_HASH(check, member, function, isa, features)                                                         \
    if (kf__cpu_has(features)) TAKE(member, function, isa, );
#include "kernels/kernels.def"
}
