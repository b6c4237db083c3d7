/* kitfox run MODEL IN.npy -o OUT.npy: raw tensors or a picture, for comparing with other engines.
 * Owner rule: tensors read here are freed here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"
#include "kitfox/batch.h"

enum { MAX_TENSORS = 16 };

typedef struct options {
    cli_common common;
    const char *out;
    char **args;
    int n_args;
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.npy", 0, "where the first output goes (required)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: cli_inputs(state, &o->common, 4); return 0;
    case 'o': o->out = arg; return 0;
    case ARGP_KEY_ARGS:
        o->args = state->argv + state->next;
        o->n_args = state->argc - state->next;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* What a run gets, and the room for what it gives. */
typedef struct tensors {
    kf_tensor in[MAX_TENSORS], out;
    char names[MAX_TENSORS][256];
    size_t n, images;
} tensors;

static kf_status read_inputs(const options *o, tensors *t, kf_error *err) {
    for (int i = 1; i < o->n_args; i++) {
        const char *arg = o->args[i], *eq = strchr(arg, '=');
        kf_tensor *in = &t->in[t->n];
        kf_status st = kf_npy_read(eq ? eq + 1 : arg, in, err);
        if (st != KF_OK) return st;
        if (eq) {
            snprintf(t->names[t->n], sizeof t->names[0], "%.*s", (int)(eq - arg), arg);
            in->name = t->names[t->n];
        }
        t->n++;
    }
    return KF_OK;
}

/* The library takes the only tensor whatever its name; on a command line it is a typing error. */
static kf_status check_names(const kf_model *m, const tensors *t, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_tensor declared;
    kf_model_get_info(m, &info, NULL);
    for (size_t k = 0; k < t->n; k++) {
        bool known = !t->in[k].name;
        for (int32_t i = 0; i < info.n_inputs && !known; i++) {
            KF_TRY(kf_model_input(m, i, &declared, err));
            known = strcmp(declared.name, t->in[k].name) == 0;
        }
        if (known) continue;
        KF_TRY(kf_model_input(m, 0, &declared, err));
        return cli_error(err, KF_ERR_ARGUMENT, "%s=: the model has no such input; its first of %d is %s", t->in[k].name,
                         info.n_inputs, declared.name);
    }
    return KF_OK;
}

/* What the model declares for the first tensor. */
static kf_status first_input(const kf_model *m, const kf_tensor *t, kf_tensor *declared, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_model_get_info(m, &info, NULL);
    for (int32_t i = 0; t->name && i < info.n_inputs; i++) {
        kf_status st = kf_model_input(m, i, declared, err);
        if (st != KF_OK || strcmp(declared->name, t->name) == 0) return st;
    }
    return kf_model_input(m, 0, declared, err);
}

/* Count the images and make room for the first output of each. */
static kf_status make_output(const kf_model *m, tensors *t, kf_error *err) {
    kf_tensor in = {0};
    kf_status st = first_input(m, &t->in[0], &in, err);
    if (st == KF_OK) st = kf_model_output(m, 0, &t->out, err);
    if (st != KF_OK) return st;
    t->images = 1;
    if (t->in[0].rank == in.rank && in.rank > 0) t->images = (size_t)(t->in[0].shape[0] / in.shape[0]);
    size_t each = t->out.bytes, n = t->images > 1 && t->out.rank > 0 ? t->images : 1;
    if (n > 1) t->out.shape[0] *= (int64_t)n;
    bool possible = !__builtin_mul_overflow(each, n, &t->out.bytes);
    if (possible && (t->out.data = malloc(t->out.bytes))) return KF_OK;
    return cli_error(err, KF_ERR_MEMORY, "out of memory for the outputs of %zu images, %zu bytes each", n, each);
}

/* A picture as numpy has it, of exactly the input's size: the library turns its colours and normalizes it. */
static bool is_picture(const tensors *t, const kf_preprocess *p) {
    const kf_tensor *in = &t->in[0];
    return t->n == 1 && p->valid && in->dtype == KF_U8 && in->rank == 3 && in->shape[0] == p->height &&
           in->shape[1] == p->width && in->shape[2] == 3;
}

/* Bytes that the model does not take, and floats that look like something else: what it does take. */
static kf_status check_first(const kf_model *m, const char *arg, tensors *t, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_tensor want;
    kf_error odd;
    char floats[300], *path = (char *)arg;
    kf_model_get_info(m, &info, NULL);
    KF_TRY(first_input(m, &t->in[0], &want, err));
    cli_floats(&info.preprocess, floats, sizeof floats);
    bool bytes = t->in[0].dtype == KF_U8;
    if (bytes && want.dtype != KF_U8 && !is_picture(t, &info.preprocess))
        return cli_error(err, KF_ERR_SHAPE, "%.600s: uint8 given; %s takes float32%s%s", arg, want.name,
                         info.preprocess.valid ? ", or an RGB picture of its size as uint8 [H,W,3]; float32 is " : "",
                         info.preprocess.valid ? floats : "");
    const kf_samples one = {.paths = &path, .n = 1, .tensors = t->in};
    if (bytes || t->n > 1 || !info.preprocess.valid) return KF_OK;
    if (kf_samples_check(&one, &info.preprocess, NULL, NULL, NULL, &odd) == KF_ERR_ARGUMENT) cli_note(NULL, odd.text);
    return KF_OK;
}

static kf_status run_one(kf_session *s, const kf_model *m, tensors *t, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_model_get_info(m, &info, NULL);
    const kf_preprocess *p = &info.preprocess;
    if (!is_picture(t, p)) return kf_session_run(s, t->in, t->n, &t->out, 1, err);
    return kf_session_run_rgb(s, t->in[0].data, 3 * (size_t)p->width, t->out.data, t->out.bytes / sizeof(float), err);
}

/* No more threads than images. */
static kf_status make_pool(int threads, size_t images, kf_pool **out, kf_error *err) {
    int32_t started, wanted;
    kf_status st = kf_pool_create(threads, NULL, out, err);
    if (st != KF_OK) return st;
    started = kf_pool_threads(*out, &wanted);
    cli_note_threads(started, wanted);
    if ((size_t)started <= images) return KF_OK;
    kf_pool_destroy(out);
    return kf_pool_create((int32_t)images, NULL, out, err);
}

static kf_status run_many(const options *o, const kf_model *m, tensors *t, kf_error *err) {
    kf_batch_options bo;
    kf_batch *b = NULL;
    kf_pool *pool = NULL;
    kf_batch_options_init(&bo);
    kf_status st = make_pool(o->common.threads, t->images, &pool, err);
    bo.pool = pool;
    if (st == KF_OK) st = kf_batch_create(m, &bo, &b, err);
    if (st == KF_OK) st = kf_batch_run(b, t->in, t->n, &t->out, 1, err);
    kf_batch_destroy(&b);
    kf_pool_destroy(&pool);
    return st;
}

static void report(const options *o, const tensors *t, double ms) {
    if (!o->common.json) return;
    cli_print_json(cli_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:I,s:f}", "kind", "run", "model", o->args[0], "output", o->out,
                            "name", t->out.name, "dtype", kf_dtype_name(t->out.dtype), "shape",
                            cli_shape(t->out.shape, t->out.rank), "images", (json_int_t)t->images, "ms", ms));
}

static kf_status run(const options *o, const kf_model *m, kf_error *err) {
    tensors t = {0};
    kf_session *s = NULL;
    double ms = 0;
    kf_status st = cli_session(m, o->common.threads, &s, err); /* which knows what is too much for this machine */
    if (st == KF_OK) st = read_inputs(o, &t, err);
    if (st == KF_OK) st = check_names(m, &t, err);
    if (st == KF_OK) st = check_first(m, o->args[1], &t, err);
    if (st == KF_OK) st = make_output(m, &t, err);
    if (st == KF_OK) ms = cli_now_ms();
    if (st == KF_OK && t.images == 1) st = run_one(s, m, &t, err);
    kf_session_destroy(&s);
    if (st == KF_OK && t.images != 1) st = run_many(o, m, &t, err);
    if (st == KF_ERR_SHAPE && t.n == 1) kf_error_prefix(err, st, "%.600s", o->args[1]); /* of several: its input's */
    ms = cli_now_ms() - ms;
    if (st == KF_OK) st = kf_npy_write(cli_output_name(o->out), &t.out, err);
    if (st == KF_OK) report(o, &t, ms);
    for (size_t i = 0; i < t.n; i++) free(t.in[i].data);
    free(t.out.data);
    return st;
}

static kf_status check_output(const options *o, const cli_output *out, kf_error *err) {
    const char *inputs[MAX_TENSORS + 1] = {o->common.labels};
    for (int i = 0; i < o->n_args; i++) {
        const char *eq = i ? strchr(o->args[i], '=') : NULL;
        inputs[1 + i] = eq ? eq + 1 : o->args[i];
    }
    return cli_outputs_check(out, 1, inputs, (size_t)o->n_args + 1, err);
}

int cmd_run(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_import_argp, 0, NULL, 0},
                                          {&cli_threads_argp, 0, NULL, 0},
                                          {&cli_json_argp, 0, NULL, 0},
                                          {&cli_limits_argp, 0, NULL, 0},
                                          {0}};
    const struct argp argp = {OPTIONS,
                              parse,
                              "MODEL IN.npy... -o OUT.npy",
                              "Raw tensors in and out, float32 and NCHW as the model declares; several inputs as "
                              "NAME=FILE. A first extent of N times the declared one holds N images, which share all "
                              "cores. A uint8 file [H,W,3] is an RGB picture of the input's size. A quantized "
                              "model also takes uint8 pixels, NCHW or NHWC, in its own order of channels. float32 is "
                              "normalized, (pixel / 255 - mean) / std, for quantized models too; kitfox info has the "
                              "mean and the std.",
                              children,
                              NULL,
                              NULL};
    options o = {0};
    kf_error err = {0};
    kf_model *m = NULL;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    if (o.n_args < 2 || o.n_args > MAX_TENSORS || !o.out) {
        return cli_usage(argv[0], "MODEL IN.npy -o OUT.npy is needed");
    }
    const cli_output out = {o.out, "-o", true};
    o.common.outputs = &out, o.common.n_outputs = 1;
    cli_json_beside(o.out);
    kf_status st = check_output(&o, &out, &err);
    if (st == KF_OK) st = cli_load_model(o.args[0], &o.common, &m, &err);
    if (st == KF_OK) st = run(&o, m, &err);
    kf_model_destroy(&m);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
