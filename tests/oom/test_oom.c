/* Out-of-memory sweep: every public call while an allocation fails. Arguments: the source root, and "all" for the long
 * form. Owner rule: see oom.h; what was written goes with the folder. */
#include "../temporary.h"
#include "oom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *path_of(const char *folder, const char *name) {
    char *p = malloc(strlen(folder) + strlen(name) + 2);
    if (!p) exit(1);
    sprintf(p, "%s/%s", folder, name);
    return p;
}

static unsigned char *file(const fixture *f, const char *name, size_t *n) {
    char *p = path_of(f->root, name);
    unsigned char *d = oom_slurp(p, n);
    free(p);
    return d;
}

static int prepare(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    f->written = path_of(f->folder, "written"), f->compiled = path_of(f->folder, "m.kfx");
    f->checkpoint = path_of(f->root, "data/everyday10.safetensors");
    f->onnx = file(f, "tests/fuzz/corpus/onnx/se.onnx", &f->onnx_bytes);
    f->golden = file(f, "tests/golden/int8_v1.kfx", &f->golden_bytes);
    f->checked = file(f, "tests/golden/verified_small_v1.kfx", &f->checked_bytes);
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &g, err);
    if (st == KF_OK) st = kf_graph_save(g, f->compiled, err);
    kf_graph_destroy(&g);
    if (st == KF_OK) f->kfx = oom_slurp(f->compiled, &f->kfx_bytes);
    if (st == KF_OK) st = kf_model_load_memory(f->kfx, f->kfx_bytes, NULL, &f->model, err);
    return st == KF_OK && kf_session_create(f->model, NULL, &f->session, err) == KF_OK;
}

int main(int argc, char **argv) {
    char folder[256];
    fixture f = {.root = argc > 1 ? argv[1] : ".", .folder = temporary_folder(folder, sizeof folder, "kitfox-oom")};
    kf_error err = {KF_OK, ""};
    const oom_case *const ALL[] = {oom_runtime, oom_images, oom_codecs, oom_toolchain, oom_lab};
    int bad = 0;
    setenv("KITFOX_THREADS", "1", 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int ready = f.folder && prepare(&f, &err);
    if (!ready) bad++, printf("%s\n", err.text);
    for (size_t i = 0; ready && i < sizeof ALL / sizeof *ALL; i++)
        for (const oom_case *c = ALL[i]; c->name; c++)
            if (argc < 4 || strcmp(c->name, argv[3]) == 0) bad += oom_sweep(c, &f, argc > 2);
    kf_session_destroy(&f.session);
    kf_model_destroy(&f.model);
    if (f.written) remove(f.written);
    if (f.compiled) remove(f.compiled);
    if (f.folder && rmdir(folder) != 0) bad++, printf("FAIL  something else is left in %s\n", folder);
    printf("%d failures\n", bad);
    return bad != 0;
}
