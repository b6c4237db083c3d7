/* Names of the toolchain's public enumerations, one table each.
 * Calls base.
 * Owner rule: static data. */
#include "base/base.h"
#include "kitfox/compile.h"

#include <stdio.h>

typedef const char *name_fn(int32_t value);

/* The value below `n` that is called `name`, into *out, an enumeration of four bytes. */
static kf_status find(const char *what, name_fn *name_of, int32_t n, const char *name, void *out, kf_error *err) {
    char known[160] = "";
    size_t at = 0;
    if (!out) KF_FAIL(err, KF_ERR_ARGUMENT, "%s: room for the value is needed", what);
    for (int32_t i = 0; i < n; i++) {
        if (name && strcmp(name_of(i), name) == 0) {
            memcpy(out, &i, sizeof i);
            return KF_OK;
        }
        if (at < sizeof known) at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", name_of(i));
    }
    KF_FAIL(err, KF_ERR_ARGUMENT, "%s '%.60s': it is none of %s", what, name ? name : "", known);
}

#define FROM_NAME(type, what, count)                                                                                   \
    static const char *type##_at(int32_t value) { return kf_##type##_name((kf_##type)value); }                         \
    kf_status kf_##type##_from_name(const char *name, kf_##type *out, kf_error *err) {                                 \
        return find(what, type##_at, count, name, out, err);                                                           \
    }

static const char *const RANGES[] = {
    [KF_RANGE_MSE] = "mse", [KF_RANGE_MAX] = "max", [KF_RANGE_PERCENTILE] = "percentile", [KF_RANGE_KL] = "kl"};
static const char *const LEVELS[] = {[KF_OPTIMIZE_SIMPLIFY] = "simplify", [KF_OPTIMIZE_FUSE] = "fuse"};
static const char *const KINDS[] = {[KF_FIELD_INTEGER] = "integer", [KF_FIELD_REAL] = "real", [KF_FIELD_WORD] = "word"};
static const char *const FORMS[] = {[KF_QDQ_EXACT] = "exact", [KF_QDQ_SCALES] = "scales"};

_Static_assert(KF_COUNT(RANGES) == KF_RANGE_COUNT && KF_COUNT(LEVELS) == KF_OPTIMIZE_COUNT &&
                   KF_COUNT(FORMS) == KF_QDQ_COUNT && KF_COUNT(KINDS) == KF_FIELD_WORD + 1,
               "every enumerator has a name");

const char *kf_range_method_name(kf_range_method method) {
    return (unsigned)method < KF_RANGE_COUNT ? RANGES[method] : NULL;
}

const char *kf_optimize_level_name(kf_optimize_level level) {
    return (unsigned)level < KF_OPTIMIZE_COUNT ? LEVELS[level] : NULL;
}

const char *kf_qdq_form_name(kf_qdq_form form) { return (unsigned)form < KF_QDQ_COUNT ? FORMS[form] : NULL; }

const char *kf_field_kind_name(kf_field_kind kind) { return (unsigned)kind < KF_COUNT(KINDS) ? KINDS[kind] : NULL; }

static const char *const PILLOWS[] = {[KF_PILLOW_BEFORE_13] = "before-13", [KF_PILLOW_13] = "13"};
_Static_assert(KF_COUNT(PILLOWS) == KF_PILLOW_COUNT, "every enumerator has a name");

const char *kf_pillow_name(kf_pillow pillow) { return (unsigned)pillow < KF_PILLOW_COUNT ? PILLOWS[pillow] : NULL; }

FROM_NAME(range_method, "range method", KF_RANGE_COUNT)
FROM_NAME(optimize_level, "level of optimization", KF_OPTIMIZE_COUNT)
FROM_NAME(qdq_form, "form of QDQ", KF_QDQ_COUNT)
FROM_NAME(field_kind, "kind of member", KF_COUNT(KINDS))
FROM_NAME(pillow, "version of Pillow", KF_PILLOW_COUNT)
FROM_NAME(dtype, "element type", KF_DTYPE_COUNT)
FROM_NAME(status, "status", KF_ERR_CANCELLED + 1)
