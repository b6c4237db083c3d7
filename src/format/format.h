/* The .kfx model file: a program as JSON inside a safetensors container (docs/FORMAT.md).
 * Owner rule: written bytes belong to the caller (kf__mem_free, default allocator); a read program owns copies of all,
 * unless it borrows. */
#ifndef KF_FORMAT_H
#define KF_FORMAT_H

#include "program/program.h"

/** The newest version; the oldest is 1. A program that says nothing of what version 2 knows is written as version 1,
 * which readers of before take, and whose bytes stay as they were. */
#define KF_FORMAT_VERSION 2
/** How every model file continues after its 8 length bytes; 64 hex digits of the hash follow. */
#define KF_FORMAT_PREFIX "{\"__metadata__\":{\"kitfox.hash\":\""

/** Serialise; the same program gives the same bytes on every machine. */
kf_status kf__format_write(const kf__program *p, void **out, size_t *bytes, kf_error *err);
typedef enum kf__format_flags {
    KF_READ_SKIP_HASH = 1, /* the caller vouches for the bytes */
    KF_READ_BORROW =
        2, /* large constants stay in `data`, which must outlive them: until kf__model_create has packed them */
    KF_READ_DROPS = 4 /* nobody else reads `data`: pages of packed constants are returned to the system */
} kf__format_flags;

/** Read, check the hash of the whole file (unless told to skip it), validate the program. FORMAT: not such a file;
 * CORRUPT: hash or program; UNSUPPORTED: a newer version. `data` may be released afterwards, unless constants are
 * borrowed. `flags`: kf__format_flags. */
kf_status kf__format_read(const void *data, size_t bytes, const kf_allocator *a, unsigned flags, kf__program **out,
                          kf_error *err);

/* ---- shared by the files of this folder -------------------------------------------------------------------------- */

typedef struct kf__format_field {
    const char *name;
    size_t offset; /* into kf__step */
} kf__format_field;
extern const kf__format_field kf__format_ints[], kf__format_floats[], kf__format_acts[];
extern const size_t kf__format_n_ints, kf__format_n_floats, kf__format_n_acts;
extern const char *const kf__format_roles[KF_CONST_ROLES];
/** The golden vector as JSON (NULL when out of memory), and back; NULL, or an unknown formula of the input, gives none.
 * CORRUPT: not what docs/FORMAT.md says. */
struct json_t *kf__format_golden_json(const kf__golden *g);
kf_status kf__format_golden_read(const struct json_t *j, int32_t n_steps, kf__arena *arena, kf__golden *g,
                                 kf_error *err);
/** SHA-256 of the file with the hash digits taken as '0', as hex. */
void kf__format_hash(const void *data, size_t bytes, char out[65]);

#endif
