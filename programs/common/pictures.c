/* Listing and loading of calibration data.
 * Owner rule: see pictures.h. */
#include "common/pictures.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/files.h"
#include "kitfox/image.h"

static bool known(const char *name) {
    static const char *const SUFFIX[] = {".jpg", ".jpeg", ".png", ".webp", ".ppm", ".pgm", ".npy"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof SUFFIX / sizeof *SUFFIX; i++)
        if (strcasecmp(dot, SUFFIX[i]) == 0) return true;
    return false;
}

bool pictures_add(pictures *p, const char *folder, const char *name) {
    char **grown = realloc(p->paths, (p->n + 1) * sizeof *grown);
    size_t size = strlen(folder) + strlen(name) + 2;
    if (!grown) return false;
    p->paths = grown;
    if (!(p->paths[p->n] = malloc(size))) return false;
    snprintf(p->paths[p->n++], size, "%s/%s", folder, name);
    return true;
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

static bool walk(pictures *p, const char *folder, int depth) {
    struct dirent **entries;
    int n = scandir(folder, &entries, visible, alphasort);
    bool ok = n >= 0;
    for (int i = 0; i < n; i++) {
        char sub[4096];
        struct stat st;
        int len = snprintf(sub, sizeof sub, "%s/%s", folder, entries[i]->d_name);
        if (ok && len < (int)sizeof sub && stat(sub, &st) == 0) {
            if (S_ISDIR(st.st_mode)) ok = depth < 8 ? walk(p, sub, depth + 1) : true;
            else if (known(entries[i]->d_name)) ok = pictures_add(p, folder, entries[i]->d_name);
        }
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    return ok;
}

static kf_status read_list(pictures *p, const char *folder, const char *list, kf_error *err) {
    char *text, *line;
    size_t bytes, n;
    bool ok = true;
    kf_status st = cli_read(list, CLI_MAX_LIST, &text, &bytes, err);
    if (st != KF_OK) return st;
    for (char *at = text; ok && (line = cli_line(&at, text + bytes, &n)) != NULL;) {
        line[strcspn(line, ",\r")] = '\0'; /* a labels.csv serves as a list too */
        if (line[0] && line[0] != '#' && known(line)) ok = pictures_add(p, folder, line);
    }
    free(text);
    return ok ? KF_OK : cli_error_at(err, KF_ERR_MEMORY, list, "out of memory for the list of pictures; free some");
}

void pictures_keep(pictures *p, size_t limit) {
    size_t kept = limit && limit < p->n ? limit : p->n;
    for (size_t i = 0, next = 0; i < p->n; i++) {
        char *path = p->paths[i];
        if (next < kept && i == next * p->n / kept) p->paths[next++] = path;
        else free(path);
    }
    p->n = kept;
}

kf_status pictures_find(const char *folder, const char *list, size_t limit, pictures *out, kf_error *err) {
    *out = (pictures){0};
    errno = 0;
    kf_status st = list ? read_list(out, folder, list, err) : KF_OK;
    if (st != KF_OK) return st;
    bool ok = list || walk(out, folder, 0);
    if (!ok) return cli_error_at(err, KF_ERR_IO, folder, errno ? strerror(errno) : "cannot be listed");
    if (out->n == 0)
        return cli_error_at(
            err, KF_ERR_IO, list ? list : folder,
            "holds no pictures (JPEG, PNG, WebP, PPM) and no .npy files; calibration needs 50 to 200 typical ones");
    pictures_keep(out, limit);
    return KF_OK;
}

static kf_status load_picture(const char *path, const kf_preprocess *how, kf_tensor *t, kf_error *err) {
    kf_image_options io;
    kf_image full = {0}, crop = {0};
    kf_image_options_init(&io);
    io.no_exif = 1; /* as training pipelines read pictures */
    kf_status st = kf_image_load(path, &io, &full, err);
    if (st != KF_OK) return st;
    st = kf_image_preprocess(&full, how, &crop, err);
    kf_image_free(&full);
    if (st != KF_OK) return st;
    size_t w = (size_t)crop.width, h = (size_t)crop.height, row = w * (size_t)kf_color_channels(how->color);
    *t = (kf_tensor){.dtype = KF_U8, .rank = 3, .bytes = h * row};
    t->shape[0] = crop.height;
    t->shape[1] = crop.width;
    t->shape[2] = kf_color_channels(how->color);
    uint8_t *to = t->data = malloc(t->bytes);
    for (size_t y = 0; to && y < h; y++) kf_color_from_rgb(how->color, crop.pixels + y * crop.stride, w, to + y * row);
    kf_image_free(&crop);
    return t->data ? KF_OK : cli_error_at(err, KF_ERR_MEMORY, path, "out of memory");
}

kf_status pictures_load(pictures *p, const kf_preprocess *how, kf_error *err) {
    p->tensors = calloc(p->n, sizeof *p->tensors);
    if (!p->tensors) return cli_error_at(err, KF_ERR_MEMORY, p->paths[0], "out of memory");
    for (size_t i = 0; i < p->n; i++) {
        const char *dot = strrchr(p->paths[i], '.');
        bool npy = dot && strcasecmp(dot, ".npy") == 0;
        kf_status st = KF_OK;
        if (npy) st = cli_npy_read(p->paths[i], &p->tensors[i], err);
        else if (!how->valid)
            st = cli_error_at(err, KF_ERR_ARGUMENT, p->paths[i],
                              "the network has no picture preprocessing; give .npy files, or --preprocess");
        else st = load_picture(p->paths[i], how, &p->tensors[i], err);
        if (st == KF_OK && p->tensors[i].dtype != p->tensors[0].dtype)
            st = cli_error_at(err, KF_ERR_ARGUMENT, p->paths[i],
                              "pictures and .npy files are mixed; calibrate with one kind");
        if (st != KF_OK) return st;
    }
    return KF_OK;
}

void pictures_free(pictures *p) {
    for (size_t i = 0; i < p->n; i++) {
        free(p->paths[i]);
        if (p->tensors) free(p->tensors[i].data);
    }
    free(p->paths);
    free(p->tensors);
    *p = (pictures){0};
}
