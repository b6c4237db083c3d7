/* Levels of instruction sets and what limits them. How many threads one image gets: affinity mask, control groups of
 * both versions, the environment. The groups are files that the kernel's documentation describes, laid below a folder
 * of our own.
 * Owner rule: the folder is removed. */
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../temporary.h"
#include "base/fp.h"
#include "cpu/cpu.h"
#include "kitfox/kitfox.h"

static char root[256];

static void put(const char *path, const char *text) {
    char full[600];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') *p = '\0', mkdir(full, 0755);
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int fresh(void **state) {
    (void)state;
    return temporary_folder(root, sizeof root, "kitfox-cpu") ? 0 : -1;
}

static int clean(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void no_groups(void **state) {
    (void)state;
    assert_int_equal(kf__cpu_quota(root), 0);
    put("/proc/self/cgroup", "0::/\n");
    assert_int_equal(kf__cpu_quota(root), 0);
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_int_equal(kf__cpu_quota(root), 0);
}

/* A service with CPUQuota= has its quota in its own group, which is not the root of the mount. */
static void version_2(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/system.slice/camera.service\n");
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/system.slice/camera.service/cpu.max", "250000 100000\n");
    assert_int_equal(kf__cpu_quota(root), 3);
    put("/sys/fs/cgroup/system.slice/cpu.max", "100000 100000\n");
    assert_int_equal(kf__cpu_quota(root), 1);
    put("/sys/fs/cgroup/system.slice/camera.service/cpu.max", "50000 100000\n");
    put("/sys/fs/cgroup/system.slice/cpu.max", "max 100000\n");
    assert_int_equal(kf__cpu_quota(root), 1);
}

/* In a container the file names the host's group, of which only the root is mounted. */
static void container(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/kubepods/pod1/abc\n");
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    assert_int_equal(kf__cpu_quota(root), 2);
}

static void version_1(void **state) {
    (void)state;
    put("/proc/self/cgroup", "5:memory:/a\n4:cpuset:/a\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/a\n0::/a\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    assert_int_equal(kf__cpu_quota(root), 0);
    put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "150000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "50000\n");
    assert_int_equal(kf__cpu_quota(root), 3);
    put("/sys/fs/cgroup/cpuset/a/cpu.cfs_quota_us", "1\n");
    put("/sys/fs/cgroup/cpuset/a/cpu.cfs_period_us", "1\n");
    assert_int_equal(kf__cpu_quota(root), 3);
}

static void strange_files(void **state) {
    (void)state;
    static const char *const CGROUP[] = {"", "\n", "::\n", "0:\n", "0::", "a:b:c:d\n"};
    static const char *const MAX[] = {"", "max", "0 100000", "-5 100000", "5 0", "5", "9223372036854775807 1", "x y"};
    for (size_t i = 0; i < sizeof CGROUP / sizeof *CGROUP; i++)
        for (size_t k = 0; k < sizeof MAX / sizeof *MAX; k++) {
            put("/proc/self/cgroup", CGROUP[i]);
            put("/sys/fs/cgroup/cpu.max", MAX[k]);
            int q = kf__cpu_quota(root);
            assert_true(q == 0 || (k == 6 && q == 1 << 20));
        }
}

static void affinity_and_environment(void **state) {
    (void)state;
    cpu_set_t before, one;
    unsetenv("KITFOX_THREADS");
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    int n = kf__cpu_default_threads();
    assert_in_range(n, 1, CPU_COUNT(&before) < 4 ? CPU_COUNT(&before) : 4);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
            break;
        }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(kf__cpu_default_threads(), 1);
    setenv("KITFOX_THREADS", "3", 1);
    assert_int_equal(kf__cpu_default_threads(), 3);
    setenv("KITFOX_THREADS", "4294967297", 1); /* 2^32 + 1 */
    assert_int_equal(kf__cpu_default_threads(), KF_MAX_THREADS);
    unsetenv("KITFOX_THREADS");
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* A level is a set of features. */
static void levels_contain(void **state) {
    (void)state;
    for (int i = 0; i < KF_CPU_LEVELS; i++) {
        kf__cpu_level level = (kf__cpu_level)i;
        assert_true(kf__cpu_level_contains(level, level) && kf__cpu_level_contains(level, KF_CPU_SCALAR));
        assert_true(kf__cpu_level_contains(KF_CPU_LEVELS, level) && !kf__cpu_level_contains(level, KF_CPU_LEVELS));
        assert_int_equal(kf__cpu_level_from_name(kf__cpu_level_name(level)), level);
        for (int k = 0; k < i; k++) { /* no two are the same, and the better one comes later */
            assert_string_not_equal(kf__cpu_level_name((kf__cpu_level)k), kf__cpu_level_name(level));
            assert_false(kf__cpu_level_contains((kf__cpu_level)k, level));
        }
    }
    assert_true(kf__cpu_level_contains(KF_CPU_AMX, KF_CPU_AVX512VNNI) &&
                kf__cpu_level_contains(KF_CPU_AVXVNNI, KF_CPU_AVX2));
    assert_false(kf__cpu_level_contains(KF_CPU_AMX, KF_CPU_AVXVNNI)); /* AVX-512 does not bring AVX-VNNI */
    assert_int_equal(kf__cpu_level_from_name("avx3"), -1);
}

/* The best usable level within KITFOX_CPU, the limit and the disabled level. */
static void limits_are_sets(void **state) {
    (void)state;
    kf__cpu_level best = kf__cpu_level_best();
    for (int i = 0; i < KF_CPU_LEVELS; i++) {
        kf__cpu_level level = (kf__cpu_level)i, want = KF_CPU_SCALAR;
        for (int k = 0; k < KF_CPU_LEVELS; k++)
            if (kf__cpu_level_contains(level, (kf__cpu_level)k) && kf__cpu_usable((kf__cpu_level)k))
                want = (kf__cpu_level)k;
        assert_true(!kf__cpu_usable(level) || want == level);
        kf__cpu_set_limit(level);
        assert_int_equal(kf__cpu_level_now(), want);
        kf__cpu_set_limit(KF_CPU_LEVELS);
        setenv("KITFOX_CPU", kf__cpu_level_name(level), 1); /* one of another architecture is ignored */
        assert_int_equal(kf__cpu_level_now(), kf__cpu_foreign(level) ? best : want);
        assert_true(kf__cpu_allowed(level) && kf__cpu_allowed(KF_CPU_SCALAR));
        unsetenv("KITFOX_CPU");
        kf__cpu_bar(level);
        assert_true(level == KF_CPU_SCALAR || !kf__cpu_usable(level));
        for (int k = 1; k < KF_CPU_LEVELS; k++)
            if (kf__cpu_level_contains((kf__cpu_level)k, level)) assert_false(kf__cpu_usable((kf__cpu_level)k));
        kf__cpu_bar(KF_CPU_LEVELS);
        assert_int_equal(kf__cpu_level_now(), best);
    }
    setenv("KITFOX_CPU", "avx3", 1); /* unknown words are ignored */
    assert_int_equal(kf__cpu_level_now(), best);
    unsetenv("KITFOX_CPU");
}

/* The public list: this architecture's levels, in order; any of them, and no other word, is a limit. */
static void public_list(void **state) {
    (void)state;
    kf_error err = {0};
    int n = 0;
    assert_string_equal(kf_cpu_level_name(0), "scalar");
    for (; kf_cpu_level_name(n); n++) {
        int level = kf__cpu_level_from_name(kf_cpu_level_name(n));
        assert_in_range(level, 0, KF_CPU_LEVELS - 1);
        assert_int_equal(kf_cpu_level_usable(n), kf__cpu_usable((kf__cpu_level)level));
        assert_int_equal(kf_cpu_limit(kf_cpu_level_name(n), &err), kf_cpu_level_usable(n) ? KF_OK : KF_ERR_UNSUPPORTED);
        if (kf_cpu_level_usable(n)) assert_string_equal(kf_cpu_name(), kf_cpu_level_name(n));
        assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
    }
    assert_true(n >= 1 && n <= KF_CPU_LEVELS);
    assert_null(kf_cpu_level_name(-1));
    assert_null(kf_cpu_level_name(n + 1));
    assert_false(kf_cpu_level_usable(n) || kf_cpu_level_usable(-1));
    assert_int_equal(kf_cpu_limit("avx3", &err), KF_ERR_ARGUMENT);
    for (int i = 0; i < n; i++) assert_non_null(strstr(err.text, kf_cpu_level_name(i)));
    for (int i = 0; i < KF_CPU_LEVELS; i++) {
        const char *name = kf__cpu_level_name((kf__cpu_level)i);
        if (!kf__cpu_foreign((kf__cpu_level)i)) continue;
        assert_int_equal(kf_cpu_limit(name, &err), KF_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, "another architecture"));
        for (int k = 0; k < n; k++) assert_non_null(strstr(err.text, kf_cpu_level_name(k)));
    }
}

/* 1 + 2^-24 is a tie, so rounding shows; 2^-140 is a denormal, so flushing shows. */
static float tie(void) {
    volatile float a = 1, b = 0x1p-24f;
    return a + b;
}
static float denormal(void) {
    volatile float a = 0x1p-100f, b = 0x1p-40f;
    return a * b;
}
static bool reads_denormals(void) {
    volatile float a = 0x1p-140f, b = 0x1p100f;
    return a * b != 0;
}

/* Of FPCR beside rounding and flushing: the default NaN and the alternative half floats. */
#if defined(__aarch64__)
enum { OTHER_BITS = 1 << 25 | 1 << 26 };
#else
enum { OTHER_BITS = 0 };
#endif

/* Whatever the caller's environment is, the contract's is set in between and the caller's given back. */
static void floating_point(void **state) {
    (void)state;
    static const int MODES[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    uint64_t before = kf__fp_control();
    for (size_t i = 0; i < 2 * KF_COUNT(MODES); i++) {
        fesetround(MODES[i / 2]);
        if (i % 2) kf__fp_set_control(kf__fp_control() | KF_FP_FLUSH | OTHER_BITS);
        uint64_t control = kf__fp_control();
        bool flushed = denormal() == 0, nearest, kept, cleared;
        {
            KF_FP_CONTRACT();
            nearest = fegetround() == FE_TONEAREST && tie() == 1.0f;
            kept = denormal() == 0x1p-140f && reads_denormals();
            cleared = (kf__fp_control() & (KF_FP_FLUSH | OTHER_BITS)) == 0;
        }
        int mode = fegetround();
        uint64_t after = kf__fp_control();
        kf__fp_set_control(before);
        fesetround(FE_TONEAREST);
        assert_true(nearest && kept && cleared);
        assert_int_equal(mode, MODES[i / 2]);
        assert_int_equal(after & (KF_FP_FLUSH | OTHER_BITS), control & (KF_FP_FLUSH | OTHER_BITS));
        assert_true(KF_FP_FLUSH == 0 || flushed == (i % 2 == 1));
    }
}

int main(void) {
    unsetenv("KITFOX_CPU"); /* the tiers of ./test.sh set it */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_contain),
        cmocka_unit_test(limits_are_sets),
        cmocka_unit_test(public_list),
        cmocka_unit_test(floating_point),
        cmocka_unit_test_setup_teardown(no_groups, fresh, clean),
        cmocka_unit_test_setup_teardown(version_2, fresh, clean),
        cmocka_unit_test_setup_teardown(container, fresh, clean),
        cmocka_unit_test_setup_teardown(version_1, fresh, clean),
        cmocka_unit_test_setup_teardown(strange_files, fresh, clean),
        cmocka_unit_test(affinity_and_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
