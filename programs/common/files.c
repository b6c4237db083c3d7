/* Reading by kf_file_read and kf_file_open, writing by kf_file_write; here are the standard streams and the judgements.
 * Owner rule: see files.h. */
#include "common/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli.h"

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool is_dash(const char *path) { return strcmp(path, "-") == 0; }

FILE *cli_open(const char *path, kf_error *err) {
    int fd;
    uint64_t bytes;
    if (is_dash(path)) return stdin;
    if (kf_file_open(path, &fd, &bytes, err) != KF_OK) return NULL;
    FILE *f = fdopen(fd, "rb");
    if (f) return f;
    close(fd);
    cli_error_at(err, KF_ERR_MEMORY, path, "out of memory to read it");
    return NULL;
}

void cli_close(FILE *f) {
    if (f && f != stdin) fclose(f);
}

json_t *cli_read_json(const char *path) {
    void *text = NULL;
    size_t n;
    json_t *j = kf_file_read(path, CLI_MAX_JSON, &text, &n, NULL) == KF_OK ? json_loadb(text, n, 0, NULL) : NULL;
    free(text);
    return j;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

bool cli_is_stdout(const char *path) {
    struct stat a, b;
    if (is_dash(path)) return true;
    return stat(path, &a) == 0 && fstat(STDOUT_FILENO, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

const char *cli_output_name(const char *path) { return is_dash(path) ? "/proc/self/fd/1" : path; }

FILE *cli_talk(const char *path) { return cli_is_stdout(path) ? stderr : stdout; }

kf_status cli_write(const char *path, const void *data, size_t bytes, kf_error *err) {
    return kf_file_write(cli_output_name(path), data, bytes, 0, err);
}

kf_status cli_write_stream(const char *path, FILE *f, char **text, size_t *bytes, kf_error *err) {
    bool ok = !ferror(f);
    if (fclose(f) != 0 || !*text) ok = false;
    kf_status st = ok ? cli_write(path, *text, *bytes, err)
                      : cli_error_at(err, KF_ERR_MEMORY, path, "out of memory for its text; free some");
    free(*text);
    *text = NULL;
    return st;
}

static kf_status check_one(const cli_output *o, kf_error *err) {
    if (!o->stream && cli_is_stdout(o->path)) {
        struct stat st;
        bool sink =
            !is_dash(o->path) && fstat(STDOUT_FILENO, &st) == 0 && S_ISCHR(st.st_mode) && !isatty(STDOUT_FILENO);
        if (!sink)
            return cli_error(err, KF_ERR_ARGUMENT,
                             "%s %.600s: standard output has other text here; give the name of a file", o->option,
                             o->path);
    }
    return kf_file_check(cli_output_name(o->path), err);
}

kf_status cli_output_apart(const cli_output *o, const char *const *inputs, size_t n, kf_error *err) {
    struct stat out, in;
    if (!o->path || is_dash(o->path) || stat(o->path, &out) != 0 || !S_ISREG(out.st_mode)) return KF_OK;
    for (size_t i = 0; i < n; i++) {
        if (!inputs[i] || is_dash(inputs[i]) || stat(inputs[i], &in) != 0) continue;
        if (in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return cli_error(err, KF_ERR_ARGUMENT,
                             "%s %.400s: that is the input %.400s; it would be lost; give another name", o->option,
                             o->path, inputs[i]);
    }
    return KF_OK;
}

kf_status cli_outputs_apart(const cli_output *o, size_t n, const kf_dataset *data, kf_error *err) {
    kf_dataset_item it;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; o[k].path && i < kf_dataset_count(data); i++) {
            KF_TRY(kf_dataset_get(data, i, &it, err));
            KF_TRY(cli_output_apart(&o[k], &it.path, 1, err));
        }
    return KF_OK;
}

static bool same_output(const char *a, const char *b) {
    struct stat x, y;
    if (strcmp(a, b) == 0) return true;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

kf_status cli_outputs_check(const cli_output *o, size_t n, const char *const *inputs, size_t n_inputs, kf_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (!o[i].path) continue;
        kf_status st = cli_output_apart(&o[i], inputs, n_inputs, err);
        for (size_t k = 0; st == KF_OK && k < i; k++)
            if (o[k].path && same_output(o[k].path, o[i].path))
                st = cli_error(err, KF_ERR_ARGUMENT, "%s %.600s: that is %s too; give another name", o[i].option,
                               o[i].path, o[k].option);
        if (st == KF_OK) st = check_one(&o[i], err);
        if (st != KF_OK) return st;
    }
    return KF_OK;
}
