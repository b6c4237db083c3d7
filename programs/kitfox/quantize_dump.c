/* debug_mode dump_calibration_data: what the quantizer saw, one .npy file a sample.
 * Owner rule: a folder is complete or not there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kitfox/quantize.h"

/* Names of ONNX values may hold slashes. */
static void inner(const char *folder, const char *input, char to[4096 + 512]) {
    int n = snprintf(to, 4096 + 512, "%.4200s/%.200s", folder, *input && *input != '.' ? input : "input");
    for (char *p = to + strlen(folder) + 1; n > 0 && *p; p++)
        if (*p == '/') *p = '_';
}

void quantize_dump_remove(const char *folder, const char *input) {
    char sub[4096 + 512], path[4096 + 600];
    inner(folder, input, sub);
    for (size_t i = 0;; i++) {
        snprintf(path, sizeof path, "%s/%zu.npy", sub, i);
        if (unlink(path) != 0) break;
    }
    rmdir(sub);
    rmdir(folder);
}

kf_status quantize_dump(const pictures *p, const char *folder, const char *input, kf_error *err) {
    char sub[4096 + 512], path[4096 + 600];
    kf_status st = KF_OK;
    inner(folder, input, sub);
    quantize_dump_remove(folder, input); /* of a run that was killed */
    if (mkdir(folder, 0777) != 0 || mkdir(sub, 0777) != 0)
        st = cli_error(err, KF_ERR_IO, "%.600s: cannot be made; %s", sub, strerror(errno));
    for (size_t i = 0; st == KF_OK && i < p->n; i++) {
        snprintf(path, sizeof path, "%s/%zu.npy", sub, i);
        st = kf_npy_write(path, &p->tensors[i], err);
        if (st != KF_OK) unlink(path);
    }
    if (st != KF_OK) quantize_dump_remove(folder, input);
    return st;
}
