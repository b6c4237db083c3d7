/* Check of what stands around the tiles' kernel: the model's own arithmetic and refusals, and that the kernel passes
 * the proof before its use (check_proof has kernels that must fail it). The kernel itself is checked by check_int.
 * Owner rule: nothing is kept. */
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/kernels_int.h"
#include "kitfox/kitfox.h"
#include "tile_model.h"

extern kf__gemm_u8_fn kf_k_gemm_u8_amx_model;

static int failures;

static void expect(bool good, const char *what) {
    if (good) return;
    printf("FAIL %s\n", what);
    failures++;
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

typedef struct config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} config;

/* As the kernel's: 5 rows of A, 3 quads of k. */
static config good_config(void) {
    config c = {.palette = 1};
    for (int t = 0; t < 8; t++) c.bytes[t] = (t & ~1) == 4 ? 12 : 64, c.rows[t] = t < 6 ? 5 : 3;
    return c;
}

static void arithmetic(void) {
    uint8_t a[16 * 20], b[16 * 64];
    int32_t sums[16 * 16], want[16 * 16];
    kf__random r = {3};
    config c = good_config();
    for (size_t i = 0; i < sizeof a; i++) a[i] = (uint8_t)kf__random_u64(&r);
    for (size_t i = 0; i < sizeof b; i++) b[i] = (uint8_t)kf__random_u64(&r);
    for (int i = 0; i < 256; i++) want[i] = sums[i] = i % 3 ? i * 1000 : INT32_MAX; /* sums wrap */
    for (int m = 0; m < 5; m++)
        for (int n = 0; n < 16; n++) {
            int64_t sum = want[m * 16 + n];
            for (int k = 0; k < 12; k++) sum += a[m * 20 + k] * (int8_t)b[k / 4 * 64 + n * 4 + k % 4];
            want[m * 16 + n] = (int32_t)(uint32_t)sum;
        }
    _tile_loadconfig(&c);
    _tile_loadd(0, sums, 64);
    _tile_loadd(4, a, 20);
    _tile_loadd(6, b, 64);
    _tile_dpbusd(0, 4, 6);
    for (int i = 0; i < 16 * 64; i++)
        expect(tiles.data[0][i / 64][i % 64] == 0 || i < 5 * 64, "rows beyond the configured are zero");
    for (int i = 0; i < 16 * 64; i++)
        expect(tiles.data[4][i / 64][i % 64] == 0 || (i < 5 * 64 && i % 64 < 12),
               "bytes beyond the configured are zero");
    _tile_stored(0, sums, 64);
    expect(memcmp(sums, want, sizeof sums) == 0, "products, and rows that are not stored");
    _tile_loadd(1, want + 16, 0);
    expect(memcmp(tiles.data[1][4], want + 16, 64) == 0, "stride 0 repeats a row");
    _tile_zero(1);
    expect(tiles.data[1][0][0] == 0 && tiles.data[1][4][63] == 0, "zero");
    _tile_release();
}

/* Wrong uses; each has to end the program. */
static void misuse(int n) {
    static char memory[1024];
    volatile int none = 8;
    config c = good_config();
    switch (n) {
    case 0: _tile_loadd(0, memory, 64); return; /* nothing configured */
    case 1: _tile_loadconfig(&c), _tile_release(), _tile_stored(0, memory, 64); return;
    case 2: c.palette = 2; break;
    case 3: c.bytes[3] = 68; break;
    case 4: c.rows[3] = 17; break;
    case 5: c.rows[7] = 0; break;
    case 6: c.reserved[13] = 1; break;
    case 7: c.bytes[8] = 64; break;
    case 8: c.start_row = 1; break;
    case 9: _tile_loadconfig(&c), _tile_dpbusd(0, 4, 4); return;
    case 10: c.rows[0] = 4, _tile_loadconfig(&c), _tile_dpbusd(0, 4, 6); return;
    case 11: c.rows[6] = 4, _tile_loadconfig(&c), _tile_dpbusd(0, 4, 6); return;
    case 12: c.bytes[6] = 60, _tile_loadconfig(&c), _tile_dpbusd(0, 4, 6); return;
    case 13: c.bytes[4] = 13, _tile_loadconfig(&c), _tile_loadd(4, memory, 64); return;
    case 14: c.rows[2] = 0, c.bytes[2] = 0, _tile_loadconfig(&c), _tile_zero(2); return;
    case 15: c.palette = 0, _tile_loadconfig(&c), _tile_zero(0); return;
    default: _tile_loadconfig(&c), _tile_zero(none); return;
    }
    _tile_loadconfig(&c);
}

static void refusals(void) {
    for (int n = 0; n <= 16; n++) {
        int status = 0;
        char what[40];
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            if (!freopen("/dev/null", "w", stderr)) _exit(1);
            misuse(n);
            _exit(0);
        }
        snprintf(what, sizeof what, "misuse %d is refused", n);
        expect(child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status), what);
    }
}

/* ---- the proof --------------------------------------------------------------------------------------------------- */

static void proof(void) {
    kf__kernels_int k;
    if (!kf__cpu_usable(KF_CPU_AVX512VNNI)) {
        puts("tiles: the model's kernel needs AVX-512 VNNI for the rest; not on this machine");
        return;
    }
    kf__kernels_select_int(KF_CPU_AVX512VNNI, &k);
    kf__cpu_level best = kf__cpu_level_best();
    expect(kf__gemm_u8_agrees(&k), "the kernel of AVX-512 VNNI agrees");
    k.gemm_u8 = kf_k_gemm_u8_amx_model;
    expect(kf__kernels_prove(&k, KF_CPU_AMX) && kf__cpu_level_best() == best, "the tiles' kernel is proved");
    k.gemm_input_offset = 128;
    expect(!kf__gemm_u8_agrees(&k), "a wrong offset is seen");
}

int main(void) {
    arithmetic();
    refusals();
    proof();
    printf("tiles: %d failures; level amx is %susable here\n", failures, kf__cpu_usable(KF_CPU_AMX) ? "" : "not ");
    return failures != 0;
}
