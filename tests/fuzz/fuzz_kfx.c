/* libFuzzer target: any bytes as a model file, hash unchecked, and one run of what loads.
 * Built with clang -fsanitize=fuzzer,address; with -DKF_REPLAY it is a plain program that replays the files it is
 * given.
 * Owner rule: everything is released after each input. */
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/kitfox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Multiply-adds and elements of all steps; what the file says about itself is not asked. */
static double work_of(const kf_model *model, int32_t n_steps) {
    double work = 0;
    for (int32_t i = 0; i < n_steps; i++) {
        kf_step_info s;
        if (kf_model_step(model, i, &s, NULL) != KF_OK) abort();
        work += (double)s.macs + (double)s.shape[0] * (double)s.shape[1] * (double)s.shape[2] * (double)s.shape[3];
    }
    return work;
}

static void run_once(const kf_model *model) {
    kf_session_options o;
    kf_session *session;
    kf_tensor in[4], out;
    kf_model_info info;
    kf_session_options_init(&o);
    o.threads = 1;
    kf_model_get_info(model, &info);
    if (info.n_inputs > 4 || work_of(model, info.n_steps) > 1e7 ||
        kf_session_create(model, &o, &session, NULL) != KF_OK)
        return;
    int ok = kf_model_output(model, 0, &out, NULL) == KF_OK && out.bytes < ((size_t)1 << 24);
    for (int32_t i = 0; i < info.n_inputs; i++) {
        ok = ok && kf_model_input(model, i, &in[i], NULL) == KF_OK && in[i].bytes < ((size_t)1 << 24);
        in[i].data = ok ? calloc(1, in[i].bytes) : NULL;
    }
    out.data = ok ? malloc(out.bytes) : NULL;
    if (ok) kf_session_run(session, in, (size_t)info.n_inputs, &out, 1, NULL);
    for (int32_t i = 0; i < info.n_inputs; i++) free(in[i].data);
    free(out.data);
    kf_session_destroy(&session);
    kf_verify_report v;
    if (kf_model_verify(model, 1, &v, NULL) == KF_OK && (v.first >= info.n_steps || (v.first >= 0 && !v.step.name))) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf_model_options o;
    kf_model *model;
    kf_error err = {0};
    kf_model_options_init(&o);
    o.skip_hash = 1;
    kf_model_info info;
    if (kf_model_load_memory(data, size, &o, &model, &err) != KF_OK) return 0;
    kf_model_get_info(model, &info);
    if (info.n_steps < 64 && kf_model_bytes(model) < ((size_t)1 << 24)) run_once(model);
    kf_model_destroy(&model);
    return 0;
}

#if defined(KF_REPLAY)
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) return 1;
        uint8_t *data = malloc(1 << 20);
        size_t n = data ? fread(data, 1, 1 << 20, f) : 0;
        fclose(f);
        if (data) LLVMFuzzerTestOneInput(data, n);
        free(data);
    }
    printf("%d files replayed\n", argc - 1);
    return 0;
}
#endif
