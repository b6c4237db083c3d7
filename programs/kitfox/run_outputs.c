/* Names of the files of kitfox run, made from -o and the outputs of the model.
 * Owner rule: see run_outputs.h. */
#include "kitfox/run_outputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"

enum { NAME_ROOM = 128 };

bool run_output_is_plain(const char *name) { return !strstr(name, "%s") && !strstr(name, "%d"); }

static bool is_npz(const char *name) {
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".npz") == 0;
}

/* Letters, digits, point, dash and underscore stay; a point in front becomes an underscore, too. */
static void safe_name(const char *from, char to[NAME_ROOM]) {
    static const char KEPT[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = 0;
    for (; n < NAME_ROOM - 1 && from[n]; n++) to[n] = strchr(KEPT, from[n]) ? from[n] : '_';
    to[n] = '\0';
    if (to[0] == '.') to[0] = '_';
}

/* `pattern` with %s and %d replaced; the caller frees it. */
static char *expand(const char *pattern, const char *name, int index) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return NULL;
    for (const char *p = pattern; *p; p++) {
        bool mark = p[0] == '%' && (p[1] == 's' || p[1] == 'd');
        if (!mark) fputc(*p, f);
        else if (*++p == 's') fputs(name, f);
        else fprintf(f, "%d", index);
    }
    bool ok = !ferror(f);
    if (fclose(f) == 0 && ok) return text;
    free(text);
    return NULL;
}

/* Of outputs whose names become one, the later ones get their index. */
static char *path_of(const run_outputs *o, const char *declared, int k) {
    char name[NAME_ROOM], numbered[NAME_ROOM + 16];
    safe_name(declared && *declared ? declared : "output", name);
    char *path = expand(o->given[0], name, k);
    bool taken = false;
    for (int i = 0; path && i < k; i++) taken = taken || strcmp(o->paths[i], path) == 0;
    if (!taken) return path;
    free(path);
    snprintf(numbered, sizeof numbered, "%s_%d", name, k);
    return expand(o->given[0], numbered, k);
}

static kf_status check_forms(const run_outputs *o, kf_error *err) {
    if (o->n_given == o->n || (o->n_given == 1 && !run_output_is_plain(o->given[0]))) return KF_OK;
    if (o->n_given == 1)
        return cli_error(err, KF_ERR_ARGUMENT,
                         "-o %.400s: the model has %d outputs; give -o out.npz for all in one file, -o out_%%s.npy or "
                         "out_%%d.npy (name or index) for one file each, or -o %d times",
                         o->given[0], o->n, o->n);
    return cli_error(err, KF_ERR_ARGUMENT,
                     "-o is given %d times; the model has %d outputs; give one for each, or -o out.npz for all",
                     o->n_given, o->n);
}

static kf_status name_one(run_outputs *o, const kf_model *m, int k, kf_error *err) {
    kf_tensor t;
    KF_TRY(kf_model_output(m, k, &t, err));
    bool own = o->n_given == o->n && (o->n > 1 || run_output_is_plain(o->given[0]));
    o->paths[k] = own ? strdup(o->given[k]) : path_of(o, t.name, k);
    return o->paths[k] ? KF_OK : cli_error(err, KF_ERR_MEMORY, "out of memory for the names of %d files", o->n);
}

kf_status run_outputs_name(run_outputs *o, const kf_model *m, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    KF_TRY(kf_model_get_info(m, &info, err));
    o->n = info.n_outputs;
    if (o->n_given == 1 && is_npz(o->given[0]) && run_output_is_plain(o->given[0])) return KF_OK;
    KF_TRY(check_forms(o, err));
    o->paths = calloc((size_t)o->n, sizeof *o->paths);
    if (!o->paths) return cli_error(err, KF_ERR_MEMORY, "out of memory for the names of %d files", o->n);
    for (int k = 0; k < o->n; k++) KF_TRY(name_one(o, m, k, err));
    return KF_OK;
}

const char *run_outputs_path(const run_outputs *o, size_t k) { return o->paths ? o->paths[k] : o->given[0]; }

kf_status run_outputs_check(const run_outputs *o, const char *const *inputs, size_t n, kf_error *err) {
    size_t files = o->paths ? (size_t)o->n : 1;
    cli_output *list = calloc(files, sizeof *list);
    if (!list) return cli_error(err, KF_ERR_MEMORY, "out of memory for the names of %zu files", files);
    for (size_t k = 0; k < files; k++) list[k] = (cli_output){run_outputs_path(o, k), "-o", true};
    kf_status st = cli_outputs_check(list, files, inputs, n, err);
    free(list);
    return st;
}

/* An .npz name is an archive, also where it is meant for one output. */
static kf_status write_one(const char *path, const kf_tensor *t, kf_error *err) {
    const char *name = cli_output_name(path);
    return is_npz(path) ? kf_npz_write(name, t, 1, err) : kf_npy_write(name, t, err);
}

kf_status run_outputs_write(const run_outputs *o, const kf_run_result *r, kf_error *err) {
    if (!o->paths) return kf_npz_write(cli_output_name(o->given[0]), r->outputs, r->n_outputs, err);
    for (size_t k = 0; k < r->n_outputs; k++) KF_TRY(write_one(o->paths[k], &r->outputs[k], err));
    return KF_OK;
}

void run_outputs_free(run_outputs *o) {
    for (int k = 0; o->paths && k < o->n; k++) free(o->paths[k]);
    free(o->paths);
    o->paths = NULL;
}
