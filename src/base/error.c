/* Error objects: formatting and prefixing.
 * The only place that writes kf_error, so the text is always terminated and fits.
 * Owner rule: writes only into the caller's object. */
#include "base/base.h"

#include <stdio.h>

const char *kf_status_name(kf_status status) {
    static const char *const names[] = {"ok",     "argument", "io",      "format",   "unsupported", "limit",
                                        "memory", "shape",    "corrupt", "internal", "cancelled"};
    return (size_t)status < KF_COUNT(names) ? names[status] : "unknown";
}

const char *kf_version(void) { return KF_VERSION_STRING; }

kf_status kf_error_set(kf_error *err, kf_status status, const char *fmt, ...) {
    if (!err) return status;
    va_list args;
    va_start(args, fmt);
    err->status = status;
    kf__text_vprint(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return status;
}

kf_status kf_error_prefix(kf_error *err, kf_status status, const char *fmt, ...) {
    if (!err) return status;
    char prefix[KF_ERROR_TEXT], joined[2 * KF_ERROR_TEXT + 4];
    va_list args;
    va_start(args, fmt);
    kf__text_vprint(prefix, sizeof prefix, fmt, args);
    va_end(args);
    snprintf(joined, sizeof joined, "%s: %s", prefix, err->text);
    memcpy(err->text, joined, sizeof err->text - 1);
    err->text[sizeof err->text - 1] = '\0';
    return err->status;
}

kf_status kf__error_limit(kf_error *err, const char *what, double have, double most, const char *option) {
    if (!option) return kf_error_set(err, KF_ERR_LIMIT, "%s: %.0f; at most %.0f are accepted", what, have, most);
    return kf_error_set(err, KF_ERR_LIMIT, "%s: %.0f; at most %.0f are accepted; to raise that: %s", what, have, most,
                        option);
}
