/* Element types: size and name tables.
 * Owner rule: pure functions over static data. */
#include "base/base.h"
#include "tensor/tensor.h"

static const struct {
    size_t size;
    const char *name;
    const char *safetensors;
} TABLE[KF_DTYPE_COUNT] = {
    [KF_DTYPE_NONE] = {0, "none", ""}, [KF_F32] = {4, "f32", "F32"},    [KF_F16] = {2, "f16", "F16"},
    [KF_BF16] = {2, "bf16", "BF16"},   [KF_F64] = {8, "f64", "F64"},    [KF_U8] = {1, "u8", "U8"},
    [KF_I8] = {1, "i8", "I8"},         [KF_I16] = {2, "i16", "I16"},    [KF_I32] = {4, "i32", "I32"},
    [KF_I64] = {8, "i64", "I64"},      [KF_BOOL] = {1, "bool", "BOOL"},
};

size_t kf_dtype_size(kf_dtype dtype) { return (unsigned)dtype < KF_DTYPE_COUNT ? TABLE[dtype].size : 0; }

const char *kf_dtype_name(kf_dtype dtype) { return (unsigned)dtype < KF_DTYPE_COUNT ? TABLE[dtype].name : "?"; }

const char *kf__dtype_safetensors(kf_dtype dtype) {
    return (unsigned)dtype < KF_DTYPE_COUNT ? TABLE[dtype].safetensors : "";
}

kf_dtype kf__dtype_from_safetensors(const char *name) {
    for (int i = 1; i < KF_DTYPE_COUNT; i++)
        if (strcmp(TABLE[i].safetensors, name) == 0) return (kf_dtype)i;
    return KF_DTYPE_NONE;
}
