/* Files that a model names, read from its own folder alone. The path without links decides where a file lies, and
 * device and inode of the opened file have to match it.
 * Owner rule: nothing is kept, and no memory is taken. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

/* The folder of the model with a slash, without links; with `own` that of the file which the model's name leads to. */
static bool folder_of(const char *model, bool own, char out[PATH_MAX + 1]) {
    char named[PATH_MAX];
    const char *slash = strrchr(model, '/');
    int n = slash ? snprintf(named, sizeof named, "%.*s", (int)(slash + 1 - model), model) : snprintf(named, 2, ".");
    if (n >= PATH_MAX || !realpath(own ? model : named, out)) return false;
    if (own) {
        strrchr(out, '/')[1] = '\0';
        return true;
    }
    size_t end = strlen(out);
    if (out[end - 1] != '/') memcpy(out + end, "/", 2);
    return true;
}

static bool is_inside(const char *real, const char *model) {
    char folder[PATH_MAX + 1];
    for (int own = 0; own < 2; own++)
        if (folder_of(model, own, folder) && strncmp(real, folder, strlen(folder)) == 0) return true;
    return false;
}

/* Checked before it is opened, because opening a device has effects, and again afterwards, because links may have
 * changed. */
static kf_status open_inside(const char *model, const char *path, int *fd, uint64_t *size, kf_error *err) {
    char real[PATH_MAX];
    struct stat opened, named;
    if (!realpath(path, real)) KF_FAIL(err, KF_ERR_IO, "%s: cannot open; %s; check the path", path, strerror(errno));
    bool inside = is_inside(real, model);
    if (inside) {
        KF_TRY(kf__file_open(real, fd, size, err));
        inside = fstat(*fd, &opened) == 0 && lstat(real, &named) == 0 && opened.st_dev == named.st_dev &&
                 opened.st_ino == named.st_ino;
        if (inside) return KF_OK;
        close(*fd);
    }
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
        st = kf_error_set(err, KF_ERR_FORMAT, "%s has %llu bytes; %zu from offset %llu are needed", path,
                          (unsigned long long)size, bytes, (unsigned long long)at);
    else st = kf__file_read_at(fd, path, at, to, bytes, err);
    close(fd);
    return st;
}
