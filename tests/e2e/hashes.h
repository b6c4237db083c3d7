/* The bit contract's inputs, hashes and kernels: every tensor of the quantized built-in network on five pictures under
 * four whole-number transforms, on the kernels of every level, against tests/golden/everyday10_int8.hashes. For a test
 * with the runtime alone and one with the toolchain. Owner rule: tests free all. */
#ifndef KF_TESTS_HASHES_H
#define KF_TESTS_HASHES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "format/format.h"
#include "hash/sha256.h"
#include "kitfox/codec.h"
#include "kitfox/kitfox.h"
#include "os/file.h"
#include "runtime/session.h"

enum { SIDE = 64, SHRINK = 5, PICTURES = 5, TRANSFORMS = 4, INPUTS = PICTURES * TRANSFORMS, STEPS = 128, NAME = 160 };
static const char *const PICTURE[PICTURES] = {"airplane", "automobile", "frog", "ship", "truck"};
static const char *const TRANSFORM[TRANSFORMS] = {"identity", "mirror", "swap", "invert"};

typedef uint8_t picture[SIDE][SIDE][3];
static picture pictures[INPUTS];

/* One line of the hash file each. A step's hash goes over its bytes for all inputs in turn, an input's over all its
 * steps. */
typedef struct hash_table {
    int n;
    char name[1 + STEPS + INPUTS][NAME], hex[1 + STEPS + INPUTS][65];
} hash_table;

typedef struct run {
    const kf__program *p;
    kf__sha256 step[STEPS], input;
    int32_t next; /* step whose bytes come next */
} run;

static void in_source(char *to, size_t n, const char *name) {
    const char *source = getenv("KITFOX_SOURCE");
    snprintf(to, n, "%s/%s", source ? source : ".", name);
}

static void line(hash_table *t, kf__sha256 *hash, const char *format, ...) {
    uint8_t digest[32];
    va_list args;
    va_start(args, format);
    vsnprintf(t->name[t->n], NAME, format, args);
    va_end(args);
    kf__sha256_done(hash, digest);
    kf__sha256_hex(digest, t->hex[t->n++]);
}

/* The middle 320 x 320 pixels, each 5 x 5 of them rounded to their mean in whole numbers. */
static void shrink(const kf_image *in, picture out) {
    int32_t x0 = (in->width - SIDE * SHRINK) / 2, y0 = (in->height - SIDE * SHRINK) / 2;
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++) {
                int sum = SHRINK * SHRINK / 2;
                for (int k = 0; k < SHRINK * SHRINK; k++)
                    sum += in->pixels[(size_t)(y0 + y * SHRINK + k / SHRINK) * in->stride +
                                      (size_t)(x0 + x * SHRINK + k % SHRINK) * 3 + (size_t)c];
                out[y][x][c] = (uint8_t)(sum / (SHRINK * SHRINK));
            }
}

static uint8_t transformed(picture in, int transform, int y, int x, int c) {
    switch (transform) {
    case 1: return in[y][SIDE - 1 - x][c];
    case 2: return in[y][x][2 - c];
    case 3: return (uint8_t)(255 - in[y][x][c]);
    default: return in[y][x][c];
    }
}

static int load_inputs(void **state) {
    char path[700], name[100];
    kf_image image;
    kf_error err = {0};
    for (int p = 0; p < PICTURES; p++) {
        snprintf(name, sizeof name, "examples/pictures/%s.jpg", PICTURE[p]);
        in_source(path, sizeof path, name);
        if (kf_image_load(path, NULL, &image, &err) != KF_OK) return fprintf(stderr, "%s\n", err.text);
        if (image.width < SIDE * SHRINK || image.height < SIDE * SHRINK)
            return fprintf(stderr, "%s: too small\n", path);
        picture *own = &pictures[p * TRANSFORMS];
        shrink(&image, own[0]);
        kf_image_free(&image);
        for (int k = SIDE * SIDE * 3; k < TRANSFORMS * SIDE * SIDE * 3; k++) {
            int t = k / (SIDE * SIDE * 3), y = k / (SIDE * 3) % SIDE, x = k / 3 % SIDE, c = k % 3;
            own[t][y][x][c] = transformed(own[0], t, y, x, c);
        }
    }
    return 0;
}

static kf__program *program(void) {
    char path[700];
    kf__file map;
    kf__program *p;
    kf_error err = {0};
    in_source(path, sizeof path, "tests/golden/everyday10_int8_v1.kfx");
    if (kf__file_read(path, 1 << 24, &map, &err) != KF_OK ||
        kf__format_read(map.data, map.size, NULL, false, &p, &err) != KF_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    kf__file_free(&map);
    if (p->n_steps > STEPS) exit(1);
    return p;
}

static void start(run *r, hash_table *t, const kf__program *p) {
    kf__sha256 hash;
    *r = (run){.p = p};
    t->n = 0;
    kf__sha256_init(&hash);
    kf__sha256_add(&hash, pictures, sizeof pictures);
    line(t, &hash, "pixels");
    t->n += p->n_steps; /* the steps' lines are filled in by finish */
    for (int i = 0; i < p->n_steps; i++) kf__sha256_init(&r->step[i]);
}

static void finish(run *r, hash_table *t) {
    int n = t->n;
    t->n = 1;
    for (int i = 0; i < r->p->n_steps; i++) line(t, &r->step[i], "step %d %s", i, r->p->steps[i].name);
    t->n = n;
}

static void add(run *r, int32_t step, const void *data, size_t bytes) {
    kf__sha256_add(&r->step[step], data, bytes);
    kf__sha256_add(&r->input, data, bytes);
    r->next = step + 1;
}

static void line_of_input(run *r, hash_table *t, int i) {
    line(t, &r->input, "input %s %s", PICTURE[i / TRANSFORMS], TRANSFORM[i % TRANSFORMS]);
}

/* ---- the kernels ------------------------------------------------------------------------------------------------- */

static void see_step(void *user, int32_t step, const float *data) {
    run *r = user;
    const kf__ptensor *t = &r->p->tensors[r->p->steps[step].out];
    assert_int_equal(step, r->next);
    add(r, step, data, (size_t)t->n * (size_t)t->h * (size_t)t->w * (size_t)t->c * kf_dtype_size(t->dtype));
}

/* `gemm`: instead of the level's own, or NULL. */
static void by_kernels(kf__cpu_level level, kf__gemm_u8_fn *gemm, int threads, hash_table *t) {
    kf_model *m;
    kf_session *s;
    kf_error err = {0};
    run r;
    kf__program *p = program();
    if (kf__model_create(p, NULL, &m, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(m->cpu, level);
    if (gemm) m->kernels_int.gemm_u8 = gemm;
    assert_int_equal(kf__session_create(m, threads, false, NULL, &s, &err), KF_OK);
    start(&r, t, p);
    s->probe = see_step, s->probe_user = &r;
    for (int i = 0; i < INPUTS; i++) {
        kf__sha256_init(&r.input);
        r.next = 0;
        kf__session_put_pixels(s, 0, pictures[i], false, true);
        kf__session_steps(s);
        assert_int_equal(r.next, p->n_steps);
        line_of_input(&r, t, i);
    }
    finish(&r, t);
    kf__session_destroy(&s);
    kf_model_destroy(&m);
}

/* ---- against the file -------------------------------------------------------------------------------------------- */

static void read_table(hash_table *t) {
    char path[700], text[400];
    in_source(path, sizeof path, "tests/golden/everyday10_int8.hashes");
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("%s: cannot open", path);
    t->n = 0;
    while (fgets(text, sizeof text, f)) {
        if (*text == '#') continue;
        size_t end = strcspn(text, "\n");
        assert_true(end > 66 && end - 65 < NAME && t->n < (int)KF_COUNT(t->hex) && text[64] == ' ');
        text[end] = 0;
        memcpy(t->hex[t->n], text, 64), t->hex[t->n][64] = 0;
        strcpy(t->name[t->n++], text + 65);
    }
    fclose(f);
}

/* First line of the kind that differs; NULL when none does. */
static const char *differs(const hash_table *want, const hash_table *got, const char *kind) {
    for (int i = 0; i < want->n; i++)
        if (strncmp(want->name[i], kind, strlen(kind)) == 0 && strcmp(want->hex[i], got->hex[i]) != 0)
            return want->name[i];
    return NULL;
}

static void compare(const hash_table *got, const char *who, int threads) {
    hash_table *want = calloc(1, sizeof *want);
    read_table(want);
    assert_int_equal(want->n, got->n);
    for (int i = 0; i < want->n; i++) assert_string_equal(want->name[i], got->name[i]);
    if (differs(want, got, "pixels"))
        fail_msg("the decoder gives other pixels than when the hashes were made; nothing is said about the network");
    const char *step = differs(want, got, "step"), *input = differs(want, got, "input");
    if (step || input)
        fail_msg("%s, %d threads: first differs %s, of inputs %s", who, threads, step ? step : "no step",
                 input ? input : "none");
    free(want);
}

static void kernels_give_the_hashes(void **state) {
    hash_table *t = calloc(1, sizeof *t);
    const char *before = getenv("KITFOX_CPU");
    char *kept = before ? strdup(before) : NULL;
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        const char *name = kf__cpu_level_name((kf__cpu_level)level);
        if (!kf__cpu_usable((kf__cpu_level)level)) {
            printf("%s: not on this machine\n", name);
            continue;
        }
        setenv("KITFOX_CPU", name, 1);
        for (int threads = 1; threads <= 2; threads++) {
            by_kernels((kf__cpu_level)level, NULL, threads, t);
            compare(t, name, threads);
        }
        printf("%s: %d lines agree on 1 and 2 threads\n", name, t->n);
    }
    if (kept) setenv("KITFOX_CPU", kept, 1);
    else unsetenv("KITFOX_CPU");
    free(kept);
    free(t);
}

#endif
