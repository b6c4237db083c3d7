/* Names of the enumerations of lab.h, one table each.
 * Owner rule: static data. */
#include <stdio.h>
#include <string.h>

#include "kitfox/lab.h"

enum { INPUTS = KF_INPUT_NV12 + 1, ENTRIES = KF_ENTRY_MAPPING + 1, STAGES = KF_RDK_WRITING + 1 };

static const char *const INPUT[INPUTS] = {[KF_INPUT_RGB] = "rgb",
                                          [KF_INPUT_BGR] = "bgr",
                                          [KF_INPUT_YUV444] = "yuv444",
                                          [KF_INPUT_GRAY] = "gray",
                                          [KF_INPUT_FEATUREMAP] = "featuremap",
                                          [KF_INPUT_NV12] = "nv12"};
static const char *const ENTRY[ENTRIES] = {
    [KF_ENTRY_NULL] = "null", [KF_ENTRY_BOOL] = "bool", [KF_ENTRY_INT] = "int",        [KF_ENTRY_FLOAT] = "float",
    [KF_ENTRY_TEXT] = "text", [KF_ENTRY_LIST] = "list", [KF_ENTRY_MAPPING] = "mapping"};
static const char *const STAGE[STAGES] = {
    [KF_RDK_READY] = "ready", [KF_RDK_QUANTIZED] = "quantized", [KF_RDK_WRITING] = "writing"};

/* The value below `n` that is called `name`, into *out, an enumeration of four bytes. */
static kf_status find(const char *what, const char *const *names, int32_t n, const char *name, void *out,
                      kf_error *err) {
    char known[160] = "";
    size_t at = 0;
    if (!out) KF_FAIL(err, KF_ERR_ARGUMENT, "%s: room for the value is needed", what);
    for (int32_t i = 0; i < n; i++) {
        if (name && strcmp(names[i], name) == 0) {
            memcpy(out, &i, sizeof i);
            return KF_OK;
        }
        if (at < sizeof known) at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", names[i]);
    }
    KF_FAIL(err, KF_ERR_ARGUMENT, "%s '%.60s': it is none of %s", what, name ? name : "", known);
}

const char *kf_input_kind_name(kf_input_kind kind) { return (unsigned)kind < INPUTS ? INPUT[kind] : NULL; }
const char *kf_entry_type_name(kf_entry_type type) { return (unsigned)type < ENTRIES ? ENTRY[type] : NULL; }
const char *kf_rdk_stage_name(kf_rdk_stage stage) { return (unsigned)stage < STAGES ? STAGE[stage] : NULL; }

kf_status kf_input_kind_from_name(const char *name, kf_input_kind *out, kf_error *err) {
    return find("kind of input", INPUT, INPUTS, name, out, err);
}

kf_status kf_entry_type_from_name(const char *name, kf_entry_type *out, kf_error *err) {
    return find("type of a value", ENTRY, ENTRIES, name, out, err);
}

kf_status kf_rdk_stage_from_name(const char *name, kf_rdk_stage *out, kf_error *err) {
    return find("stage", STAGE, STAGES, name, out, err);
}
