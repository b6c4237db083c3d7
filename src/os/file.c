/* Read-only file maps and atomic replacement, POSIX.
 * Owner rule: the caller closes maps; temporary files are removed on every failure. */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

kf_status kf__file_map_open(const char *path, size_t max_bytes, kf__file_map *out, kf_error *err) {
    *out = (kf__file_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) KF_FAIL(err, KF_ERR_IO, "%s: cannot open; %s; check the path", path, strerror(errno));
    struct stat st;
    kf_status status = KF_OK;
    if (fstat(fd, &st) != 0) status = kf__error_set(err, KF_ERR_IO, "%s: cannot stat; %s", path, strerror(errno));
    else if (S_ISDIR(st.st_mode)) status = kf__error_set(err, KF_ERR_IO, "%s: is a directory; a file is needed", path);
    else if (!S_ISREG(st.st_mode)) status = kf__error_set(err, KF_ERR_IO, "%s: not a regular file", path);
    else if ((uintmax_t)st.st_size > max_bytes)
        status = kf__error_set(err, KF_ERR_LIMIT, "%s: %jd bytes; at most %zu are accepted", path, (intmax_t)st.st_size, max_bytes);
    else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) status = kf__error_set(err, KF_ERR_IO, "%s: cannot map; %s", path, strerror(errno));
        else *out = (kf__file_map){p, (size_t)st.st_size};
    }
    close(fd);
    return status;
}

void kf__file_map_close(kf__file_map *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (kf__file_map){0};
}

void kf__file_map_drop(const void *data, size_t bytes) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)data / page * page, to = kf__round_up((uintptr_t)data + bytes, page);
    if (to > from) (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

bool kf__file_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static bool write_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

kf_status kf__file_replace(const char *path, const void *data, size_t bytes, kf_error *err) {
    size_t len = strlen(path) + 16;
    char *tmp = malloc(len);
    if (!tmp) KF_FAIL_MEMORY(err, len);
    snprintf(tmp, len, "%s.XXXXXX", path);
    int fd = mkostemp(tmp, O_CLOEXEC);
    kf_status st = KF_OK;
    if (fd < 0) {
        st = kf__error_set(err, KF_ERR_IO, "%s: cannot write here; %s; check the folder", path, strerror(errno));
        free(tmp);
        return st;
    }
    mode_t mask = umask(0);
    umask(mask);
    bool ok = fchmod(fd, 0666 & ~mask) == 0 && write_all(fd, data, bytes) && fsync(fd) == 0;
    int why = errno;
    if (close(fd) != 0 && ok) ok = false, why = errno;
    if (ok && rename(tmp, path) != 0) ok = false, why = errno;
    if (!ok) {
        unlink(tmp);
        st = kf__error_set(err, KF_ERR_IO, "%s: cannot write; %s; free some space or check permissions", path, strerror(why));
    }
    free(tmp);
    return st;
}
