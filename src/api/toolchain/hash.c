/* The hash of a file, for what was fetched and for provenance.
 * Reads in pieces, so that a file of any size costs one buffer.
 * Owner rule: nothing is kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "hash/sha256.h"
#include "kitfox/compile.h"

kf_status kf_file_sha256(const char *path, char hex[65], kf_error *err) {
    if (!path || !hex) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_file_sha256: path and hex are needed");
    unsigned char buffer[16384];
    uint8_t digest[32];
    kf__sha256 s;
    FILE *f = fopen(path, "rbe");
    if (!f) KF_FAIL(err, KF_ERR_IO, "%s: cannot open; %s; check the path", path, strerror(errno));
    kf__sha256_init(&s);
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) kf__sha256_add(&s, buffer, n);
    int bad = ferror(f);
    fclose(f);
    if (bad) KF_FAIL(err, KF_ERR_IO, "%s: cannot read; check the disk", path);
    kf__sha256_done(&s, digest);
    kf__sha256_hex(digest, hex);
    return KF_OK;
}
