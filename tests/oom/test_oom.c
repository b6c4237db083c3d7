/* Out-of-memory sweep: each public call is repeated while the n-th allocation fails, until it succeeds.
 * malloc and its family are interposed, so third-party parsers fail too. A failure must be a clean status with a text,
 * and no call may leak: the number of live blocks after each failed round equals the number before.
 * Owner rule: single thread; each round releases what it made. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/compile.h"

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

/* Visible, so that the shared parsers call these too. */
#pragma GCC visibility push(default)
void *malloc(size_t);
void *calloc(size_t, size_t);
void *aligned_alloc(size_t, size_t);
void *realloc(void *, size_t);
void free(void *);
#pragma GCC visibility pop

static long countdown = -1; /* allocations until the failing one; -1: never */
static long live;
static int once; /* the failing one alone; else every later one too, as on a full machine */

static int fails_now(void) {
    if (countdown < 0) return 0;
    if (countdown == 0) {
        errno = ENOMEM;
        if (once) countdown = LONG_MIN;
        return 1;
    }
    countdown--;
    return 0;
}

static void *counted(void *p) {
    live += p != NULL;
    return p;
}

void *malloc(size_t n) { return fails_now() ? NULL : counted(__libc_malloc(n)); }
void *calloc(size_t n, size_t s) { return fails_now() ? NULL : counted(__libc_calloc(n, s)); }
void *aligned_alloc(size_t a, size_t n) { return fails_now() ? NULL : counted(__libc_memalign(a, n)); }
void *realloc(void *p, size_t n) {
    if (fails_now()) return NULL;
    void *q = __libc_realloc(p, n);
    live += p == NULL && q != NULL;
    return q;
}
void free(void *p) {
    live -= p != NULL;
    __libc_free(p);
}

typedef struct fixture {
    unsigned char *onnx, *kfx;
    size_t onnx_bytes, kfx_bytes;
    kf_model *model;
    const char *checkpoint; /* with its JSON file beside it */
    const char *yaml;
    kf_status yaml_status; /* of that file when memory is there */
} fixture;

static kf_status do_import(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &g, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_save_onnx(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &g, err);
    if (st == KF_OK) st = kf_graph_save_onnx(g, "oom-sweep.onnx", err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_export(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    void *data = NULL;
    size_t bytes;
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &g, err);
    if (st == KF_OK) st = kf_graph_optimize(g, KF_OPTIMIZE_FUSE, err);
    if (st == KF_OK) st = kf_graph_write_onnx(g, &data, &bytes, err);
    free(data);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_compile(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    kf_model *m = NULL;
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &g, err);
    if (st == KF_OK) st = kf_graph_compile(g, NULL, &m, err);
    kf_model_destroy(&m);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_save(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &g, err);
    if (st == KF_OK) st = kf_graph_save(g, "oom-sweep.kfx", err);
    kf_graph_destroy(&g);
    return st;
}

/* Parser and all: what a full machine refuses is never called a fault of the file. */
static kf_status do_yaml(fixture *f, kf_error *err) {
    kf_quantize_config *c = NULL;
    kf_status st = kf_quantize_config_load(f->yaml, NULL, NULL, &c, err);
    kf_quantize_config_free(&c);
    if (st == f->yaml_status) return KF_OK;
    if (st != KF_ERR_MEMORY) err->text[0] = 0;
    return st;
}

static int sweep(const char *name, kf_status (*call)(fixture *, kf_error *), fixture *f);

/* Good files and broken ones. */
static int sweep_yaml(fixture *f, char **files) {
    int bad = 0;
    kf_error err;
    for (; (f->yaml = *files); files++) {
        kf_quantize_config *c = NULL;
        f->yaml_status = kf_quantize_config_load(f->yaml, NULL, NULL, &c, &err);
        kf_quantize_config_free(&c);
        for (once = 0; once < 2; once++) bad += sweep(strrchr(f->yaml, '/') + 1, do_yaml, f);
    }
    once = 0;
    return bad;
}

static kf_status do_checkpoint(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    kf_status st = kf_graph_import(f->checkpoint, NULL, &g, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_raise(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    (void)f;
    kf_status st = kf_graph_import("oom-model.kfx", NULL, &g, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_load(fixture *f, kf_error *err) {
    kf_model *m = NULL;
    kf_status st = kf_model_load_memory(f->kfx, f->kfx_bytes, NULL, &m, err);
    kf_model_destroy(&m);
    return st;
}

static kf_status do_classify(fixture *f, kf_error *err) {
    kf_session *s = NULL;
    kf_session_options o;
    unsigned char pixels[20 * 10 * 3] = {0};
    kf_image im = {20, 10, 60, pixels};
    kf_score top[3];
    size_t n;
    kf_session_options_init(&o);
    o.threads = 1;
    kf_status st = kf_session_create(f->model, &o, &s, err);
    if (st == KF_OK) st = kf_session_classify(s, &im, 3, top, &n, err);
    kf_session_destroy(&s);
    return st;
}

static unsigned char *slurp(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    unsigned char *d = malloc(1 << 20);
    if (!f || !d) {
        fprintf(stderr, "%s is missing\n", path);
        exit(1);
    }
    *n = fread(d, 1, 1 << 20, f);
    fclose(f);
    return d;
}

/* 0 when every failing round was clean. */
static int sweep(const char *name, kf_status (*call)(fixture *, kf_error *), fixture *f) {
    for (long n = 0; n < 100000; n++) {
        kf_error err = {KF_OK, ""};
        long before = live;
        countdown = n;
        kf_status st = call(f, &err);
        int reached = countdown == 0 || countdown == LONG_MIN;
        countdown = -1;
        if (live != before) return printf("%s: %ld blocks leaked when allocation %ld failed\n", name, live - before, n), 1;
        if (st != KF_OK && !err.text[0]) return printf("%s: allocation %ld: status %s without a text\n", name, n, kf_status_name(st)), 1;
        if (st == KF_OK && !reached) return printf("%s: clean after %ld failing allocations\n", name, n), 0;
        if (st == KF_OK && n == 0) return printf("%s: reported success although nothing could be allocated\n", name), 1;
    }
    return printf("%s: never succeeded\n", name), 1;
}

int main(int argc, char **argv) {
    fixture f = {0};
    kf_error err = {KF_OK, ""};
    kf_graph *g = NULL;
    if (argc < 5) return 2;
    f.checkpoint = argv[2];
    f.onnx = slurp(argv[1], &f.onnx_bytes);
    int bad = kf_graph_import_onnx_memory(f.onnx, f.onnx_bytes, NULL, &g, &err) != KF_OK || kf_graph_save(g, "oom-model.kfx", &err) != KF_OK;
    kf_graph_destroy(&g);
    if (bad) return printf("%s\n", err.text), 1;
    f.kfx = slurp("oom-model.kfx", &f.kfx_bytes);
    if (kf_model_load_memory(f.kfx, f.kfx_bytes, NULL, &f.model, &err) != KF_OK) return printf("%s\n", err.text), 1;
    bad += sweep_yaml(&f, argv + 4);
    bad += sweep("import", do_import, &f);
    bad += sweep("checkpoint", do_checkpoint, &f);
    bad += sweep("save onnx", do_save_onnx, &f);
    bad += sweep("export", do_export, &f);
    bad += sweep("compile", do_compile, &f);
    bad += sweep("save", do_save, &f);
    bad += sweep("raise", do_raise, &f);
    bad += sweep("load", do_load, &f);
    free(f.kfx);
    f.kfx = slurp(argv[3], &f.kfx_bytes);
    bad += sweep("load integers", do_load, &f);
    bad += sweep("classify", do_classify, &f);
    kf_model_destroy(&f.model);
    remove("oom-model.kfx");
    remove("oom-sweep.kfx");
    remove("oom-sweep.onnx");
    free(f.onnx);
    free(f.kfx);
    return bad != 0;
}
