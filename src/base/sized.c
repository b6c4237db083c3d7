/* Structures that begin with their own size: options copied in over defaults, information copied out.
 * The one place that decides what a caller of another version may set or gets.
 * Owner rule: keeps nothing. */
#include "base/base.h"

/* No structure of any version is longer: what says more was not initialised. */
enum { MOST_BYTES = 4096 };

static kf_status read_size(const void *from, const char *type, size_t *size, kf_error *err) {
    memcpy(size, from, sizeof *size);
    if (*size < sizeof *size || *size > MOST_BYTES)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%s: size %zu; sizeof is needed", type, *size);
    return KF_OK;
}

kf_status kf_options_read(void *to, const void *from, const char *type, kf_error *err) {
    size_t ours, theirs;
    if (!to) KF_FAIL(err, KF_ERR_ARGUMENT, "%s is NULL", type);
    if (!from) return KF_OK;
    memcpy(&ours, to, sizeof ours);
    KF_TRY(read_size(from, type, &theirs, err));
    for (size_t i = ours; i < theirs; i++)
        if (((const char *)from)[i])
            KF_FAIL(err, KF_ERR_ARGUMENT,
                    "%s: size %zu; of these this library knows %zu, and one beyond is set; use a newer library", type,
                    theirs, ours);
    memcpy(to, from, theirs < ours ? theirs : ours);
    memcpy(to, &ours, sizeof ours);
    return KF_OK;
}

kf_status kf_info_write(void *to, const void *from, const char *type, kf_error *err) {
    size_t ours, theirs;
    if (!to || !from) KF_FAIL(err, KF_ERR_ARGUMENT, "%s is NULL", type);
    memcpy(&ours, from, sizeof ours);
    KF_TRY(read_size(to, type, &theirs, err));
    if (theirs > ours) memset((char *)to + ours, 0, theirs - ours);
    memcpy(to, from, theirs < ours ? theirs : ours);
    memcpy(to, &theirs, sizeof theirs);
    return KF_OK;
}
