/* A plugin of qemu-aarch64 (user mode, QEMU 6.0 and later) that counts executed A64 instructions by kind, for
 * tools/count_instructions.py, which builds it. Argument: out=FILE. Programs with one thread only: counters are shared.
 * Owner rule: counters live as long as the process. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What is used of QEMU's interface, version 1 (docs/devel/tcg-plugins.rst): Debian has no package with its header. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
#define SHOWN __attribute__((visibility("default")))
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                                  void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
SHOWN int qemu_plugin_version = 1;

/* A kind of instruction: (word & mask) == bits. From the encodings of the Arm ARM, C4.1. */
static const struct {
    const char *kind;
    uint32_t mask, bits;
} KINDS[] = {
    {"loads", 0x3a400000, 0x28400000},                                     /* pairs */
    {"stores", 0x3a400000, 0x28000000}, {"loads", 0xbe400000, 0x0c400000}, /* structures of vectors */
    {"stores", 0xbe400000, 0x0c000000}, {"loads", 0x3f400000, 0x08400000}, /* exclusive, acquire */
    {"stores", 0x3f400000, 0x08000000}, {"loads", 0x3b000000, 0x18000000}, /* literals */
    {"stores", 0x3ec00000, 0x38000000},                                    /* one general register */
    {"loads", 0x3e000000, 0x38000000},  {"loads", 0x3e400000, 0x3c400000}, /* one vector register */
    {"stores", 0x3e400000, 0x3c000000}, {"dot", 0x9fe0fc00, 0x0e809400},   /* SDOT, UDOT */
    {"dot", 0x9fc0f400, 0x0f80e000},                                       /* by element */
    {"dot", 0xbfe0fc00, 0x0e809c00},                                       /* USDOT */
    {"dot", 0xbf40f400, 0x0f00f000},                                       /* USDOT and SUDOT by element */
    {"mmla", 0x9fe0f400, 0x0e80a400},                                      /* SMMLA, UMMLA, USMMLA */
    {"fmla", 0xbf20fc00, 0x0e20cc00},   {"fmla", 0xbf80f400, 0x0f801000},  /* by element */
    {"mlal", 0x9f20dc00, 0x0e208000},                                      /* SMLAL, UMLAL, SMLSL, UMLSL */
    {"mlal", 0x9f20fc00, 0x0e20c000},                                      /* SMULL, UMULL */
    {"mlal", 0x9f007400, 0x0f002000},                                      /* the same by element */
};
enum { N = sizeof KINDS / sizeof *KINDS };
static uint64_t all, counts[N];
static char out[512];

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    uint64_t here[N] = {0};
    size_t n = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), sizeof word);
        for (size_t k = 0; k < N; k++)
            if ((word & KINDS[k].mask) == KINDS[k].bits) {
                here[k]++;
                break;
            }
    }
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &all, n);
    for (size_t k = 0; k < N; k++)
        if (here[k]) qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &counts[k], here[k]);
    (void)id;
}

static void ended(qemu_plugin_id_t id, void *user) {
    FILE *f = *out ? fopen(out, "w") : stderr;
    if (!f) return;
    fprintf(f, "{\"all\":%llu", (unsigned long long)all);
    for (size_t k = 0; k < N; k++) {
        uint64_t sum = 0;
        size_t first = 0;
        while (strcmp(KINDS[first].kind, KINDS[k].kind) != 0) first++;
        if (first < k) continue;
        for (size_t i = k; i < N; i++)
            if (strcmp(KINDS[i].kind, KINDS[k].kind) == 0) sum += counts[i];
        fprintf(f, ",\"%s\":%llu", KINDS[k].kind, (unsigned long long)sum);
    }
    fprintf(f, "}\n");
    if (*out) fclose(f);
    (void)id, (void)user;
}

SHOWN int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0) snprintf(out, sizeof out, "%s", argv[i] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    (void)info;
    return 0;
}
