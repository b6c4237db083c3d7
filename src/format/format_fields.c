/* Names of the program's fields in the model file, in one table for writer and reader, and the file's hash.
 * Owner rule: constant data. */
#include "format/format.h"

#include "hash/sha256.h"

#define FIELD(f)                                                                                                       \
    { #f, offsetof(kf__step, f) }
#define WINDOW(f)                                                                                                      \
    { #f, offsetof(kf__step, window.f) }
const kf__format_field kf__format_ints[] = {
    WINDOW(kh),         WINDOW(kw),    WINDOW(sh), WINDOW(sw), WINDOW(dh),       WINDOW(dw),
    WINDOW(group),      WINDOW(pt),    WINDOW(pl), WINDOW(pb), WINDOW(pr),       FIELD(count_include_pad),
    FIELD(border_bias), FIELD(direct), FIELD(qlo), FIELD(qhi), FIELD(pool_qmax), FIELD(hidden_qmax),
    FIELD(selects)};
const kf__format_field kf__format_floats[] = {FIELD(pool_mul), FIELD(hidden_inv)};
const kf__format_field kf__format_acts[] = {FIELD(act), FIELD(post_act), FIELD(gate_act)};
const size_t kf__format_n_ints = KF_COUNT(kf__format_ints), kf__format_n_floats = KF_COUNT(kf__format_floats),
             kf__format_n_acts = KF_COUNT(kf__format_acts);

const char *const kf__format_roles[KF_CONST_ROLES] = {
    [KF_CONST_W] = "w",   [KF_CONST_BIAS] = "bias",   [KF_CONST_MUL] = "mul",
    [KF_CONST_K] = "k",   [KF_CONST_INV] = "inv",     [KF_CONST_FBIAS] = "fbias",
    [KF_CONST_W2] = "w2", [KF_CONST_BIAS2] = "bias2", [KF_CONST_MUL2] = "mul2"};

void kf__format_hash(const void *data, size_t bytes, char out[65]) {
    static const char zeros[64] = {'0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0',
                                   '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0',
                                   '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0',
                                   '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0'};
    size_t at = 8 + sizeof KF_FORMAT_PREFIX - 1;
    uint8_t digest[32];
    kf__sha256 s;
    kf__sha256_init(&s);
    kf__sha256_add(&s, data, at);
    kf__sha256_add(&s, zeros, 64);
    kf__sha256_add(&s, (const uint8_t *)data + at + 64, bytes - at - 64);
    kf__sha256_done(&s, digest);
    kf__sha256_hex(digest, out);
}
