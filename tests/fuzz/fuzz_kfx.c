/* libFuzzer target: any bytes as a model file, hash unchecked; what loads runs on one level of the machine, by the
 * bytes. Built with clang -fsanitize=fuzzer,address; with -DKF_REPLAY it is a plain program that replays the files it
 * is given. Owner rule: everything is released after each input. */
#include <stdio.h>
#include <stdlib.h>

#include "format/format.h"
#include "kitfox/kitfox.h"
#include "program_work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_ENDS = 4 };

/* One of the usable levels. */
static void choose_level(const uint8_t *data, size_t size) {
    uint32_t h = 2166136261u;
    int usable[64], n = 0;
    for (size_t i = 0; i < size; i++) h = (h ^ data[i]) * 16777619u;
    for (int i = 0; n < 64 && kf_cpu_level_name(i); i++)
        if (kf_cpu_level_usable(i)) usable[n++] = i;
    if (n) kf_cpu_limit(kf_cpu_level_name(usable[(h >> 8) % (uint32_t)n]), NULL);
}

static bool room(kf_tensor *t) { return (t->data = calloc(1, t->bytes + 1)) != NULL; }

static void run(const kf_model *model) {
    kf_session_options o;
    kf_session *session;
    kf_tensor in[MOST_ENDS] = {{0}}, out[MOST_ENDS] = {{0}};
    kf_model_info info = {.size = sizeof info};
    kf_verify_report v = {.size = sizeof v};
    kf_session_options_init(&o);
    o.threads = 1;
    kf_model_get_info(model, &info, NULL);
    if (kf_session_create(model, &o, &session, NULL) != KF_OK) return;
    bool fine = true;
    for (int32_t i = 0; i < info.n_inputs; i++)
        fine = fine && kf_model_input(model, i, &in[i], NULL) == KF_OK && room(&in[i]);
    for (int32_t i = 0; i < info.n_outputs; i++)
        fine = fine && kf_model_output(model, i, &out[i], NULL) == KF_OK && room(&out[i]);
    for (int kind = 0; fine && kind < FILL_KINDS; kind++) {
        for (int32_t i = 0; i < info.n_inputs; i++) fill(&in[i], (fill_kind)kind);
        kf_session_run(session, in, (size_t)info.n_inputs, out, (size_t)info.n_outputs, NULL);
    }
    for (int i = 0; i < MOST_ENDS; i++) free(in[i].data), free(out[i].data);
    kf_session_destroy(&session);
    if (kf_model_verify(model, 1, &v, NULL) == KF_OK && (v.first >= info.n_steps || (v.first >= 0 && !v.name))) abort();
}

/* Is one run of the program cheap? Computed from the steps, because the file's own statements may be wrong. */
static bool bounded(const uint8_t *data, size_t size, kf_error *err) {
    kf__program *p;
    double bytes;
    if (kf__format_read(data, size, NULL, KF_READ_SKIP_HASH, &p, err) != KF_OK) return false;
    bool few = p->n_steps < 64 && p->n_inputs <= MOST_ENDS && p->n_outputs <= MOST_ENDS;
    bool small = few && work_of(p, &bytes) < 1e7 && bytes < 1 << 24;
    kf__program_destroy(&p);
    return small;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf_model_options o;
    kf_model *model;
    kf_error err = {0};
    kf_model_options_init(&o);
    o.skip_hash = 1;
    bool small = bounded(data, size, &err);
    choose_level(data, size);
    if (kf_model_load_memory(data, size, &o, &model, &err) == KF_OK) {
        if (small) run(model);
        kf_model_destroy(&model);
    } else if (!err.text[0]) {
        abort(); /* a refusal without a reason is a bug */
    }
    kf_cpu_limit(NULL, NULL);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
