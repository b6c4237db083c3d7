/* Check of the kernels that go over every byte: NV12, the two passes of a filter, SHA-256. Every level gives the bytes
 * of the scalar kernel and touches nothing outside its rows (guard pages); every hash kernel gives the digests that
 * FIPS 180-4 publishes.
 * Owner rule: frees what each case maps. */
#include "harness.h"
#include "hash/sha256.h"
#include "lines.h"

static int failures, cases;

/* A block whose last byte touches an unreadable page. */
typedef struct bytes {
    guarded g;
    uint8_t *at;
    size_t n;
} bytes;

static bytes bytes_new(size_t n, kf__random *r) {
    bytes b = {.g = guard_new((n + 3) / 4), .n = n};
    b.at = (uint8_t *)b.g.at + (n + 3) / 4 * 4 - n;
    for (size_t i = 0; r && i < n; i++) b.at[i] = kf__random_range(r, 0, 7) ? (uint8_t)kf__random_u64(r) : 255;
    return b;
}

static void compare(const char *name, const bytes *want, const bytes *got, size_t a, size_t b) {
    cases++;
    if (memcmp(want->at, got->at, want->n) == 0 && guard_intact(&got->g)) return;
    if (failures++ < 10) printf("%s %zu, %zu: differs from scalar\n", name, a, b);
}

/* Levels that this machine may run; scalar first. */
#define EACH_LEVEL(k)                                                                                                  \
    for (int level_ = 0; level_ < KF_CPU_LEVELS; level_++)                                                             \
        if (kf__cpu_allowed((kf__cpu_level)level_) && kf__cpu_usable((kf__cpu_level)level_) &&                         \
            (kf__kernels_select_image((kf__cpu_level)level_, &(k)), true))

static void check_nv12(int32_t width, int limited, kf__random *r) {
    bytes luma = bytes_new((size_t)width, r), chroma = bytes_new((size_t)width, r);
    bytes want = bytes_new(3 * (size_t)width, NULL), got = bytes_new(want.n, NULL);
    kf__kernels_image k;
    kf_k_nv12_scalar(luma.at, chroma.at, width, limited, want.at);
    EACH_LEVEL(k) {
        memset(got.at, CANARY, got.n);
        k.nv12(luma.at, chroma.at, width, limited, got.at);
        MEET(k, nv12);
        compare(k.nv12_name, &want, &got, (size_t)width, (size_t)limited);
    }
    guard_free(&luma.g), guard_free(&chroma.g), guard_free(&want.g), guard_free(&got.g);
}

/* n coefficients with negative lobes that add up to one; zeros up to `size`. */
static void make_taps(int32_t n, int32_t size, int32_t *k, kf__random *r) {
    int32_t sum = 0;
    memset(k, 0, (size_t)size * sizeof *k);
    for (int32_t i = 0; i < n; i++)
        sum += k[i] = (int32_t)kf__random_range(r, -(1 << (KF_TAP_BITS - 3)), 1 << (KF_TAP_BITS - 1)) / n;
    k[n / 2] += (1 << KF_TAP_BITS) - sum;
}

static void check_across(int32_t width_in, int32_t rows, int32_t width, int32_t most, kf__random *r) {
    size_t stride = 3 * (size_t)width_in + (size_t)kf__random_range(r, 0, 5);
    bytes in = bytes_new((size_t)(rows - 1) * stride + 3 * (size_t)width_in, r);
    bytes want = bytes_new(3 * (size_t)(width * rows), NULL), got = bytes_new(want.n, NULL);
    kf__filter_taps t = {.size = (most + 3) / 4 * 4};
    kf__kernels_image k;
    t.bounds = malloc((size_t)width * 2 * sizeof *t.bounds), t.k = malloc((size_t)(width * t.size) * sizeof *t.k);
    for (int32_t x = 0; x < width; x++) {
        int32_t count = (int32_t)kf__random_range(r, 1, most < width_in ? most : width_in);
        t.bounds[2 * x] = (int32_t)kf__random_range(r, 0, width_in - count), t.bounds[2 * x + 1] = count;
        make_taps(count, t.size, t.k + x * t.size, r);
    }
    kf_k_across_scalar(in.at, stride, rows, width_in, &t, width, want.at);
    EACH_LEVEL(k) {
        memset(got.at, CANARY, got.n);
        k.across(in.at, stride, rows, width_in, &t, width, got.at);
        MEET(k, across);
        compare(k.across_name, &want, &got, (size_t)width_in, (size_t)width);
    }
    free(t.bounds), free(t.k);
    guard_free(&in.g), guard_free(&want.g), guard_free(&got.g);
}

static void check_down(size_t n, int32_t count, kf__random *r) {
    bytes in = bytes_new(n * (size_t)count, r), want = bytes_new(n, NULL), got = bytes_new(n, NULL);
    int32_t taps[32];
    kf__kernels_image k;
    make_taps(count, 32, taps, r);
    kf_k_down_scalar(in.at, n, count, taps, want.at);
    EACH_LEVEL(k) {
        memset(got.at, CANARY, got.n);
        k.down(in.at, n, count, taps, got.at);
        MEET(k, down);
        compare(k.down_name, &want, &got, n, (size_t)count);
    }
    guard_free(&in.g), guard_free(&want.g), guard_free(&got.g);
}

static const struct {
    const char *name;
    kf__sha256_fn *blocks;
    uint32_t features;
} HASHES[] = {
#define KF_KERNEL_HASH(check, member, function, isa, features) {#function "_" #isa, kf_k_##function##_##isa, features},
#include "kernels/kernels.def"
};

static void check_digest(int which, const void *data, size_t n, size_t piece, const char *want) {
    kf__sha256 s;
    uint8_t digest[32];
    char hex[65];
    kf__sha256_init(&s);
    s.blocks = HASHES[which].blocks;
    for (size_t at = 0; at < n; at += piece)
        kf__sha256_add(&s, (const char *)data + at, n - at < piece ? n - at : piece);
    kf__sha256_done(&s, digest);
    kf__sha256_hex(digest, hex);
    cases++;
    if (strcmp(hex, want) == 0) return;
    failures++;
    printf("%s: %zu bytes in pieces of %zu give %s\n", HASHES[which].name, n, piece, hex);
}

static void check_hashes(void) {
    static const char TWO[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    for (int i = 0; i < (int)KF_COUNT(HASHES); i++) {
        if (!kf__cpu_has(HASHES[i].features)) continue;
        check_digest(i, "abc", 3, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check_digest(i, "", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check_digest(i, TWO, 56, 7, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        check_digest(i, million, 1000000, 997, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
        meet("sha256", HASHES[i].name);
    }
    free(million);
    kf__kernels_hash best;
    kf__kernels_select_hash(&best);
    for (size_t i = 0; i < KF_COUNT(HASHES); i++) /* the last one that the machine has */
        if (kf__cpu_has(HASHES[i].features)) failures += i + 1 == KF_COUNT(HASHES) && best.sha256 != HASHES[i].blocks;
}

/* Without a level: what is allowed and usable at this moment. */
static void check_choice(void) {
    kf__kernels_image now, want;
    for (int i = 0; i < KF_CPU_LEVELS; i++) {
        kf__cpu_set_limit((kf__cpu_level)i);
        kf__kernels_select_image(kf__cpu_level_now(), &want);
        kf__kernels_select_image(KF_CPU_LEVELS, &now);
        cases++;
        if (memcmp(&now, &want, sizeof now) != 0)
            failures++, printf("limit %s chooses %s\n", kf__cpu_level_name((kf__cpu_level)i), now.nv12_name);
    }
    kf__cpu_set_limit(KF_CPU_LEVELS);
}

int main(void) {
    kf__random nv12 = family("nv12"), across = family("across"), down = family("down");
    for (int32_t w = 2; w <= 100; w += 2)
        for (int limited = 0; limited < 2; limited++) check_nv12(w, limited, &nv12);
    for (unsigned i = 0; i < 300; i++)
        check_across((int32_t)kf__random_range(&across, 1, i % 4 ? 60 : 8), (int32_t)kf__random_range(&across, 1, 20),
                     (int32_t)kf__random_range(&across, 1, 40), (int32_t)kf__random_range(&across, 1, 20), &across);
    for (unsigned i = 0; i < 300; i++)
        check_down((size_t)kf__random_range(&down, 1, i % 4 ? 300 : 40), (int32_t)kf__random_range(&down, 1, 20),
                   &down);
    check_hashes();
    check_choice();
    failures += unmet(CHECK_BYTES);
    printf("bytes: %d cases, %d failures\n", cases, failures);
    return failures != 0;
}
