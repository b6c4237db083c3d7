/* Files that a model names, read from its own folder alone.
 * Where a file lies is told by its path without links, and its device and inode have to be those of what was opened.
 * Owner rule: nothing is kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

/* Is `path` below the folder of `model`? Both without links. */
static bool is_below(const char *path, const char *model) {
    const char *slash = strrchr(model, '/');
    size_t folder = slash ? (size_t)(slash + 1 - model) : 0;
    return folder && strncmp(path, model, folder) == 0;
}

/* The model's name without links, its folder first alone and then with its own name. */
static char *without_links(const char *model, bool own) {
    if (own) return realpath(model, NULL);
    const char *slash = strrchr(model, '/');
    char *named = slash ? strndup(model, (size_t)(slash + 1 - model)) : strdup("."), *out = NULL;
    char *folder = named ? realpath(named, NULL) : NULL;
    if (folder && asprintf(&out, "%s/", strcmp(folder, "/") ? folder : "") < 0) out = NULL;
    free(folder);
    free(named);
    return out;
}

static bool is_inside(const char *real, const char *model) {
    bool inside = false;
    for (int own = 0; !inside && own < 2; own++) {
        char *at = without_links(model, own);
        inside = at && is_below(real, at);
        free(at);
    }
    return inside;
}

/* Judged before it is opened, for devices act when they are; and again after, for links may have changed. */
static kf_status open_inside(const char *model, const char *path, int *fd, uint64_t *size, kf_error *err) {
    struct stat opened, named;
    char *real = realpath(path, NULL);
    if (!real && errno == ENOMEM) KF_FAIL_MEMORY(err, strlen(path));
    if (!real) KF_FAIL(err, KF_ERR_IO, "%s: cannot open; %s; check the path", path, strerror(errno));
    kf_status st = KF_ERR_FORMAT;
    bool inside = is_inside(real, model);
    if (inside && (st = kf__file_open(real, fd, size, err)) == KF_OK) {
        inside = fstat(*fd, &opened) == 0 && lstat(real, &named) == 0 && opened.st_dev == named.st_dev &&
                 opened.st_ino == named.st_ino;
        if (!inside) close(*fd);
    }
    free(real);
    if (inside) return st;
    KF_FAIL(err, KF_ERR_FORMAT, "%s: a link leads out of the model's folder; refused; copy the file into the folder",
            path);
}

kf_status kf__file_read_beside(const char *model, const char *path, uint64_t at, void *to, size_t bytes,
                               kf_error *err) {
    int fd;
    uint64_t size;
    KF_TRY(open_inside(model, path, &fd, &size, err));
    kf_status st = KF_OK;
    if (at > size || size - at < bytes)
        st = kf__error_set(err, KF_ERR_FORMAT, "%s has %llu bytes; %zu from offset %llu are needed", path,
                           (unsigned long long)size, bytes, (unsigned long long)at);
    else st = kf__file_read_at(fd, path, at, to, bytes, err);
    close(fd);
    return st;
}
