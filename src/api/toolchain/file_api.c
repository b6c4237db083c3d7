/* Public calls for files: opening, writing whole, and what a handler of a signal may do.
 * Validates arguments, calls os.
 * Owner rule: see compile.h. */
#include "base/base.h"
#include "kitfox/compile.h"
#include "os/file.h"

kf_status kf_file_open(const char *path, int *fd, uint64_t *bytes, kf_error *err) {
    if (!path || !fd || !bytes) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_file_open: path, fd and bytes are needed");
    *fd = -1;
    return kf__file_open(path, fd, bytes, err);
}

kf_status kf_file_write(const char *path, const void *data, size_t bytes, int32_t sync, kf_error *err) {
    if (!path || (!data && bytes)) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_file_write: path and data are needed");
    return kf__file_write(path, data, bytes, sync != 0, err);
}

kf_status kf_file_check(const char *path, kf_error *err) {
    if (!path) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_file_check: path is needed");
    return kf__file_check(path, err);
}

void kf_file_abandon(void) { kf__file_abandon(); }
