/* Listing and loading of calibration data.
 * Owner rule: see lab.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data/samples.h"
#include "data/text.h"
#include "data/plain.h"

static bool known(const char *name) {
    const char *dot = strrchr(name, '.');
    return kf_image_has_suffix(name) || (dot && kf__lab_same(dot, ".npy", SIZE_MAX));
}

bool kf__samples_add(kf_samples *p, const char *folder, const char *name) {
    char **grown = realloc(p->paths, (p->n + 1) * sizeof *grown);
    size_t size = strlen(folder) + strlen(name) + 2;
    if (!grown) return false;
    p->paths = grown;
    if (!(p->paths[p->n] = malloc(size))) return false;
    snprintf(p->paths[p->n++], size, "%s/%s", folder, name);
    return true;
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

static kf_status walk(kf_samples *p, const char *folder, int depth, kf_error *err) {
    struct dirent **entries;
    int n = scandir(folder, &entries, visible, alphasort);
    if (n < 0 && errno == ENOMEM) return kf__no_memory(folder, err);
    if (n < 0) KF_FAIL(err, KF_ERR_IO, "%.600s: cannot be listed; %s", folder, strerror(errno));
    kf_status st = KF_OK;
    for (int i = 0; i < n; i++) {
        char sub[4096];
        struct stat is;
        int len = snprintf(sub, sizeof sub, "%s/%s", folder, entries[i]->d_name);
        if (st == KF_OK && len < (int)sizeof sub && stat(sub, &is) == 0) {
            bool down = S_ISDIR(is.st_mode);
            if (down && depth < 8) st = walk(p, sub, depth + 1, err);
            else if (!down && known(sub) && !kf__samples_add(p, folder, entries[i]->d_name))
                st = kf__no_memory(folder, err);
        }
        free(entries[i]);
    }
    free(entries);
    return st;
}

static kf_status read_list(kf_samples *p, const char *folder, const char *list, kf_error *err) {
    char *text, *line;
    size_t bytes, n;
    bool ok = true;
    kf_status st = kf__text_read(list, KF__MAX_LIST, &text, &bytes, err);
    if (st != KF_OK) return st;
    for (char *at = text; ok && (line = kf__text_line(&at, text + bytes, &n)) != NULL;) {
        line[strcspn(line, ",\r")] = '\0'; /* a labels.csv serves as a list too */
        if (line[0] && line[0] != '#' && known(line)) ok = kf__samples_add(p, folder, line);
    }
    free(text);
    return ok ? KF_OK
              : kf_error_set(err, KF_ERR_MEMORY, "%.600s: out of memory for the list of pictures; free some", list);
}

void kf__samples_keep(kf_samples *p, size_t limit) {
    size_t kept = limit && limit < p->n ? limit : p->n;
    for (size_t i = 0, next = 0; i < p->n; i++) {
        char *path = p->paths[i];
        if (next < kept && i == next * p->n / kept) p->paths[next++] = path;
        else free(path);
    }
    p->n = kept;
}

kf_status kf_samples_find(const char *folder, const char *list, size_t limit, kf_samples *out, kf_error *err) {
    if (!folder || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_samples_find: folder and out are needed");
    *out = (kf_samples){0};
    kf_status st = list ? read_list(out, folder, list, err) : walk(out, folder, 0, err);
    if (st == KF_OK && out->n == 0)
        st = kf_error_set(err, KF_ERR_IO,
                          "%.600s: holds no pictures (JPEG, PNG, WebP, BMP, GIF, PPM, TIFF, AVIF, HEIC) and no .npy "
                          "files; calibration needs 50 to 200 typical ones",
                          list ? list : folder);
    if (st == KF_OK) kf__samples_keep(out, limit);
    else kf_samples_free(out);
    return st;
}

static kf_status load_picture(const char *path, const kf_preprocess *how, kf_tensor *t, kf_error *err) {
    kf_image_options io;
    kf_image full = {0}, crop = {0};
    kf_image_options_init(&io);
    io.no_exif = 1; /* as training pipelines read pictures */
    kf_status st = kf_image_load(path, &io, &full, err);
    if (st != KF_OK) return kf_file_explain(path, KF_FILE_PICTURE, st, err);
    st = kf_image_preprocess(&full, how, &crop, err);
    kf_image_free(&full);
    if (st != KF_OK) return kf_error_prefix(err, st, "%.600s", path);
    size_t w = (size_t)crop.width, h = (size_t)crop.height, row = 3 * w;
    *t = (kf_tensor){.dtype = KF_U8, .rank = 3, .shape = {crop.height, crop.width, 3}, .bytes = h * row};
    uint8_t *to = t->data = malloc(t->bytes);
    for (size_t y = 0; to && y < h; y++) memcpy(to + y * row, crop.pixels + y * crop.stride, row);
    kf_image_free(&crop);
    return t->data ? KF_OK : kf_error_set(err, KF_ERR_MEMORY, "%.600s: out of memory", path);
}

static kf_status load_one(const char *path, const kf_preprocess *how, kf_tensor *t, kf_error *err) {
    const char *dot = strrchr(path, '.');
    if (dot && kf__lab_same(dot, ".npy", SIZE_MAX)) return kf_npy_read(path, t, err);
    if (how->valid) return load_picture(path, how, t, err);
    KF_FAIL(err, KF_ERR_ARGUMENT,
            "%.600s: the network has no picture preprocessing; give .npy files, or --preprocess (one channel: --color "
            "gray, --mean and --std)",
            path);
}

bool kf__samples_broken(kf_status st) {
    return st == KF_ERR_IO || st == KF_ERR_FORMAT || st == KF_ERR_LIMIT || st == KF_ERR_UNSUPPORTED ||
           st == KF_ERR_SHAPE;
}

kf_status kf_samples_load_some(kf_samples *p, const kf_preprocess *how,
                               int (*progress)(void *user, size_t done, size_t total), kf_message_fn skipped,
                               void *user, kf_error *err) {
    kf_error why = {KF_OK, ""};
    size_t kept = 0;
    if (!p || !how) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_samples_load: samples and how are needed");
    p->tensors = calloc(p->n, sizeof *p->tensors);
    if (!p->tensors) return kf_error_set(err, KF_ERR_MEMORY, "%.600s: out of memory", p->paths[0]);
    for (size_t i = 0; i < p->n; i++) {
        kf_tensor t = {0};
        char *path = p->paths[i];
        kf_status st = load_one(path, how, &t, &why);
        if (st == KF_OK) {
            p->paths[i] = p->paths[kept], p->paths[kept] = path;
            t.name = path; /* for messages of kf_graph_quantize */
            p->tensors[kept++] = t;
            if (t.dtype != p->tensors[0].dtype)
                KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: pictures and .npy files are mixed; calibrate with one kind",
                        path);
        } else if (skipped && kf__samples_broken(st)) {
            skipped(user, why.text);
        } else {
            return kf_error_set(err, st, "%s", why.text);
        }
        if (progress && progress(user, i + 1, p->n) != 0)
            KF_FAIL(err, KF_ERR_CANCELLED, "%.600s: stopped by the caller after %zu of %zu files", path, i + 1, p->n);
    }
    while (kept && p->n > kept) free(p->paths[--p->n]);
    return kept ? KF_OK : kf_error_set(err, why.status, "%s", why.text);
}

kf_status kf_samples_load(kf_samples *p, const kf_preprocess *how,
                          int (*progress)(void *user, size_t done, size_t total), void *user, kf_error *err) {
    return kf_samples_load_some(p, how, progress, NULL, user, err);
}

void kf_samples_free(kf_samples *p) {
    if (!p) return;
    for (size_t i = 0; i < p->n; i++) {
        free(p->paths[i]);
        if (p->tensors) free(p->tensors[i].data);
    }
    free(p->paths);
    free(p->tensors);
    *p = (kf_samples){0};
}
