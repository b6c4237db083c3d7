/* The outputs of a quantization: a compiled model, four ONNX files, a log, and the calibration data if asked for.
 * Owner rule: outputs get their names only after all of them are written; until then nothing of them is to be seen. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/text.h"
#include "rdk/rdk.h"

enum { N_OUTPUTS = 6, MOST = 4096 };
static const char *const SUFFIX[N_OUTPUTS] = {
    ".kfx",          "_original_float_model.onnx", "_optimized_float_model.onnx", KF_RDK_QUANTIZED_ONNX,
    "_quantize.log", "_calibrated_model.onnx"};

typedef struct outputs {
    char path[N_OUTPUTS][MOST], part[N_OUTPUTS][MOST + 16], dump[MOST + 64], dump_part[MOST + 96];
} outputs;

bool kf__rdk_output_model(const kf_rdk_config *c, char *to, size_t room) {
    return snprintf(to, room, "%s/%s%s", c->working_dir, c->prefix, SUFFIX[0]) < (int)room;
}

static kf_status name_outputs(const kf_rdk_config *c, outputs *o, kf_error *err) {
    snprintf(o->dump, sizeof o->dump, "%.4095s/calibration_data", c->working_dir);
    snprintf(o->dump_part, sizeof o->dump_part, "%s.part", o->dump);
    for (int i = 0; i < N_OUTPUTS; i++) {
        int n = snprintf(o->path[i], sizeof o->path[i], "%s/%s%s", c->working_dir, c->prefix, SUFFIX[i]);
        if (n >= (int)sizeof o->path[i]) KF_FAIL(err, KF_ERR_IO, "%.600s: the name is too long", o->path[i]);
        snprintf(o->part[i], sizeof o->part[i], "%.4095s.part", o->path[i]);
    }
    return KF_OK;
}

/* ---- before the work --------------------------------------------------------------------------------------------- */

/* The folder need not be there yet: then the first one that has to be made is tried. */
static kf_status check_folder(char *path, kf_error *err) {
    struct stat there;
    for (char *slash = path; (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        if (stat(path, &there) != 0) break;
        *slash = '/';
    }
    return kf_file_check(path, err);
}

static kf_status check(const kf__rdk_job *j, outputs *o, kf_error *err) {
    const char *const files[] = {j->c->model, kf_rdk_place(j->c, NULL)};
    KF_TRY(name_outputs(j->c, o, err));
    for (int i = 0; i < N_OUTPUTS; i++) {
        KF_TRY(kf__output_apart(o->path[i], files, 2, err));
        KF_TRY(kf__output_apart(o->path[i], j->o.inputs, j->o.n_inputs, err));
        KF_TRY(kf__output_apart(o->path[i], (const char *const *)j->samples->paths, j->samples->n, err));
    }
    return check_folder(o->path[0], err);
}

kf_status kf__rdk_outputs_check(const kf__rdk_job *j, kf_error *err) {
    outputs *o = malloc(sizeof *o);
    if (!o) KF_RDK_FAIL_MEMORY(err);
    kf_status st = check(j, o, err);
    free(o);
    return st == KF_OK ? st : kf__rdk_at(j, "working_dir", st, err);
}

/* ---- calibration data -------------------------------------------------------------------------------------------- */

/* Names of ONNX values may hold slashes. */
static void dump_folder(const char *folder, const char *input, char to[MOST + 512]) {
    int n = snprintf(to, MOST + 512, "%.4200s/%.200s", folder, *input && *input != '.' ? input : "input");
    for (char *p = to + strlen(folder) + 1; n > 0 && *p; p++)
        if (*p == '/') *p = '_';
}

/* The numbered .npy files, then the folders themselves if nothing else is there. */
static void remove_dump(const char *folder, const char *input) {
    char sub[MOST + 512], path[MOST + 600];
    dump_folder(folder, input, sub);
    for (size_t i = 0;; i++) {
        snprintf(path, sizeof path, "%s/%zu.npy", sub, i);
        if (unlink(path) != 0) break;
    }
    rmdir(sub);
    rmdir(folder);
}

/* The samples as 0.npy, 1.npy.. into folder/input, both made. */
static kf_status write_dump(const kf_samples *p, const char *folder, const char *input, kf_error *err) {
    char sub[MOST + 512], path[MOST + 600];
    dump_folder(folder, input, sub);
    remove_dump(folder, input); /* left by a run that was killed */
    if (mkdir(folder, 0777) != 0 || mkdir(sub, 0777) != 0)
        KF_FAIL(err, KF_ERR_IO, "%.600s: cannot be made; %s", sub, strerror(errno));
    for (size_t i = 0; i < p->n; i++) {
        snprintf(path, sizeof path, "%s/%zu.npy", sub, i);
        KF_TRY(kf_npy_write(path, &p->tensors[i], err));
    }
    return KF_OK;
}

/* ---- after it ---------------------------------------------------------------------------------------------------- */

kf_status kf_file_replace(const char *part, const char *path, kf_error *err) {
    struct stat old;
    if (!part || !path) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_file_replace: part and path are needed");
    bool exists = stat(path, &old) == 0;
    if (exists && !S_ISREG(old.st_mode))
        KF_FAIL(err, KF_ERR_IO, "%.600s: cannot write; not a regular file; choose another name", path);
    char *to = exists ? realpath(path, NULL) : NULL;
    bool ok = !exists || (to && chmod(part, old.st_mode & 07777) == 0);
    if (ok && exists && chown(part, old.st_uid, old.st_gid) != 0) errno = 0; /* only root gives files away */
    ok = ok && rename(part, to ? to : path) == 0;
    int why = errno;
    free(to);
    if (!ok) KF_FAIL(err, KF_ERR_IO, "%.600s: cannot write; %s; check the folder", path, strerror(why));
    return KF_OK;
}

/* Like mkdir -p; *made says whether the last one is new. */
static kf_status make_folder(const char *path, bool *made, kf_error *err) {
    char part[MOST];
    size_t n = strlen(path);
    if (n >= sizeof part) KF_FAIL(err, KF_ERR_IO, "%.600s: the name is too long", path);
    for (size_t i = 1; i <= n; i++)
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            *made = mkdir(part, 0777) == 0;
            if (!*made && errno != EEXIST) KF_FAIL(err, KF_ERR_IO, "%.600s: cannot be made; %s", part, strerror(errno));
        }
    return KF_OK;
}

static kf_status write_onnx(const char *path, const kf__rdk_onnx *x, kf_error *err) {
    return kf_file_write(path, x->data, x->bytes, 0, err);
}

static kf_status write_parts(const kf__rdk_job *j, const outputs *o, const char *input, kf_error *err) {
    KF_TRY(kf_graph_save(j->g, o->part[0], err));
    KF_TRY(write_onnx(o->part[1], &j->original, err));
    KF_TRY(write_onnx(o->part[2], &j->optimized, err));
    KF_TRY(write_onnx(o->part[3], &j->quantized, err));
    KF_TRY(kf_file_write(o->part[4], j->report, j->report_bytes, 0, err));
    KF_TRY(write_onnx(o->part[5], &j->quantized, err)); /* quantization nodes around float operators: both are that */
    return j->c->dump ? write_dump(j->samples, o->dump_part, input, err) : KF_OK;
}

static kf_status give_names(const kf__rdk_job *j, const outputs *o, const char *input, kf_error *err) {
    for (int i = 0; i < N_OUTPUTS; i++) KF_TRY(kf_file_replace(o->part[i], o->path[i], err));
    if (!j->c->dump) return KF_OK;
    remove_dump(o->dump, input);
    if (rename(o->dump_part, o->dump) != 0)
        KF_FAIL(err, KF_ERR_IO, "%.600s: cannot be written; %s", o->dump, strerror(errno));
    return KF_OK;
}

static kf_status write_all(const kf__rdk_job *j, outputs *o, const char *input, kf_error *err) {
    bool made = false;
    KF_TRY(name_outputs(j->c, o, err));
    KF_TRY(make_folder(j->c->working_dir, &made, err));
    kf_status st = write_parts(j, o, input, err);
    if (st == KF_OK) st = give_names(j, o, input, err);
    if (st == KF_OK) return st;
    if (j->c->dump) remove_dump(o->dump_part, input);
    for (int i = 0; i < N_OUTPUTS; i++) unlink(o->part[i]);
    if (made) rmdir(j->c->working_dir);
    return st;
}

kf_status kf__rdk_outputs_write(kf__rdk_job *j, const char *input, kf_error *err) {
    outputs *o = malloc(sizeof *o);
    if (!o) KF_RDK_FAIL_MEMORY(err);
    kf_status st = kf__rdk_report(j, input, err);
    if (st == KF_OK) st = write_all(j, o, input, err);
    free(o);
    return st == KF_OK ? st : kf__rdk_at(j, "working_dir", st, err);
}
