/* The hash of a file, for what was fetched and for provenance.
 * Reads in pieces, so that a file of any size costs one buffer.
 * Owner rule: nothing is kept. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "hash/sha256.h"
#include "kitfox/compile.h"
#include "os/file.h"

kf_status kf_file_sha256(const char *path, char hex[65], kf_error *err) {
    if (!path || !hex) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_file_sha256: path and hex are needed");
    unsigned char buffer[16384];
    uint8_t digest[32];
    kf__sha256 s;
    int fd;
    uint64_t size;
    KF_TRY(kf__file_open(path, &fd, &size, err));
    kf__sha256_init(&s);
    ssize_t n;
    do {
        n = read(fd, buffer, sizeof buffer);
        if (n > 0) kf__sha256_add(&s, buffer, (size_t)n);
    } while (n > 0 || (n < 0 && errno == EINTR));
    close(fd);
    if (n < 0) KF_FAIL(err, KF_ERR_IO, "%s: cannot read; check the disk", path);
    kf__sha256_done(&s, digest);
    kf__sha256_hex(digest, hex);
    return KF_OK;
}
