/* Reading files whole, POSIX. Mapping would be simpler. But if a mapped file is truncated, the process ends; and if
 * it is written to, it changes after it was checked. Owner rule: the caller closes and frees. */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static kf_status open_regular(const char *path, int *fd, struct stat *st, kf_error *err) {
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0) KF_FAIL(err, KF_ERR_IO, "%s: cannot open; %s; check the path", path, strerror(errno));
    const char *why = fstat(*fd, st) != 0 ? strerror(errno) : NULL;
    if (!why && S_ISDIR(st->st_mode)) why = "is a directory; a file is needed";
    if (!why && !S_ISREG(st->st_mode)) why = "not a regular file";
    if (!why) return KF_OK;
    close(*fd);
    KF_FAIL(err, KF_ERR_IO, "%s: %s", path, why);
}

kf_status kf__file_open(const char *path, int *fd, uint64_t *bytes, kf_error *err) {
    struct stat st;
    KF_TRY(open_regular(path, fd, &st, err));
    *bytes = (uint64_t)st.st_size;
    return KF_OK;
}

kf_status kf__file_read_at(int fd, const char *path, uint64_t at, void *to, size_t bytes, kf_error *err) {
    for (size_t have = 0; have < bytes;) {
        ssize_t n = pread(fd, (char *)to + have, bytes - have, (off_t)(at + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) KF_FAIL(err, KF_ERR_IO, "%s: cannot read; %s", path, strerror(errno));
        if (n == 0) KF_FAIL(err, KF_ERR_IO, "%s: changed while it was read; try again", path);
        have += (size_t)n;
    }
    return KF_OK;
}

/* Are size and time of change the same after the last byte as before the first? */
static kf_status read_all(int fd, const char *path, const struct stat *before, char *to, kf_error *err) {
    struct stat after;
    size_t size = (size_t)before->st_size;
    KF_TRY(kf__file_read_at(fd, path, 0, to, size, err));
    to[size] = '\0';
    bool same = fstat(fd, &after) == 0 && after.st_size == before->st_size &&
                after.st_mtim.tv_sec == before->st_mtim.tv_sec && after.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
    if (same) return KF_OK;
    KF_FAIL(err, KF_ERR_IO, "%s: changed while it was read; try again", path);
}

kf_status kf__file_read(const char *path, size_t max_bytes, kf__file *out, kf_error *err) {
    *out = (kf__file){0};
    int fd;
    struct stat st;
    KF_TRY(open_regular(path, &fd, &st, err));
    kf_status status = KF_OK;
    size_t size = (size_t)st.st_size; /* 32 bits hold it where the limit does, but for the byte behind the last */
    if (max_bytes == SIZE_MAX) max_bytes--;
    if ((uintmax_t)st.st_size > max_bytes) {
        status = kf_error_set(err, KF_ERR_LIMIT, "%s: %llu bytes; at most %zu are accepted", path,
                              (unsigned long long)st.st_size, max_bytes);
    } else if (!(out->data = kf__mem_alloc(NULL, size + 1))) {
        status = kf_error_set(err, KF_ERR_MEMORY, "%s: out of memory; %zu bytes were asked for", path, size);
    } else {
        out->size = size;
        status = read_all(fd, path, &st, out->data, err);
    }
    close(fd);
    if (status != KF_OK) kf__file_free(out);
    return status;
}

void kf__file_free(kf__file *file) {
    kf__mem_free(NULL, file->data);
    *file = (kf__file){0};
}

void kf__file_drop(const void *data, size_t bytes) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = ((uintptr_t)data + page - 1) / page * page, to = ((uintptr_t)data + bytes) / page * page;
    if (to > from) (void)madvise((void *)from, to - from, MADV_DONTNEED);
}
