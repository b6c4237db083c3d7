/* The table of published weights (published.def), and where the cache keeps them.
 * Owner rule: static data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pull/pull.h"

static const kf_weights TABLE[] = {
#define W(name, repository, licence) {0, name, repository, "model.safetensors", licence, 0},
#include "pull/published.def"
#undef W
};
enum { N_TABLE = sizeof TABLE / sizeof *TABLE };

bool kf__pull_cache(const char *name, char out[KF__PULL_PATH]) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/') return snprintf(out, KF__PULL_PATH, "%s/kitfox/weights/%s", xdg, name) < KF__PULL_PATH;
    if (home && home[0]) return snprintf(out, KF__PULL_PATH, "%s/.cache/kitfox/weights/%s", home, name) < KF__PULL_PATH;
    return false;
}

bool kf__pull_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static kf_status hand_out(const kf_weights *from, kf_weights *out, kf_error *err) {
    kf_weights full = *from;
    char folder[KF__PULL_PATH], path[KF__PULL_PATH + 32];
    full.size = sizeof full;
    if (kf__pull_cache(full.name, folder)) {
        snprintf(path, sizeof path, "%s/%s", folder, full.file);
        full.cached = kf__pull_exists(path);
    }
    return kf_info_write(out, &full, "kf_weights", err);
}

kf_status kf_weights_get(int32_t index, kf_weights *out, kf_error *err) {
    if (!out || index < 0 || index >= N_TABLE)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_weights_get: `out` and an index of 0 to %d are needed", N_TABLE - 1);
    return hand_out(&TABLE[index], out, err);
}

static bool is_called(const kf_weights *w, const char *name) {
    const char *slash = strchr(w->repository, '/');
    return strcmp(name, w->name) == 0 || strcmp(name, w->repository) == 0 || (slash && strcmp(name, slash + 1) == 0);
}

kf_status kf_weights_find(const char *name, kf_weights *out, kf_error *err) {
    if (!name || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_weights_find: `name` and `out` are needed");
    const kf_weights none = {.size = sizeof none};
    KF_TRY(kf_info_write(out, &none, "kf_weights", err));
    for (size_t i = 0; i < N_TABLE; i++)
        if (is_called(&TABLE[i], name)) return hand_out(&TABLE[i], out, err);
    KF_FAIL(err, KF_ERR_ARGUMENT,
            "%.600s: no published weights by this name; kitfox pull --list prints those there are", name);
}
