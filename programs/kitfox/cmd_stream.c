/* kitfox stream MODEL --nv12 WxH: raw NV12 camera frames on standard input, one JSON line a frame on standard output.
 * The range of the model is the default, so that frames mean what calibration meant.
 * Owner rule: one frame buffer and one session for the whole stream. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"

enum { MAX_K = 1000, KEY_NV12 = 1000, KEY_RANGE, KEY_EVERY, KEY_STRIDE };

typedef struct options {
    cli_common common;
    kf_labels labels; /* of --labels; replace the model's */
    const char *model;
    long k, every, width, height, stride; /* width 0: not given; stride 0: the width */
    int range;                            /* -1: the model's */
} options;

static const struct argp_option OPTIONS[] = {
    {"nv12", KEY_NV12, "WxH", 0, "size of the frames in pixels, both sides even (required)", 0},
    {"range", KEY_RANGE, "full|limited", 0, "BT.601 range of their values (default: what the model was made for)", 0},
    {"every", KEY_EVERY, "N", 0, "classify one frame in N, beginning with the first (default 1)", 0},
    {"stride", KEY_STRIDE, "BYTES", 0, "from row to row, in both planes (default: W)", 0},
    {"top", 'k', "N", 0, "labels per frame (default 5)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'k': o->k = cli_number(state, "-k", arg, 1, MAX_K); return 0;
    case KEY_NV12: cli_frame_size(state, "--nv12", arg, &o->width, &o->height); return 0;
    case KEY_EVERY: o->every = cli_number(state, "--every", arg, 1, INT_MAX); return 0;
    case KEY_STRIDE: o->stride = cli_number(state, "--stride", arg, 2, 1 << 20); return 0;
    case KEY_RANGE:
        o->range = strcmp(arg, "limited") == 0;
        if (!o->range && strcmp(arg, "full") != 0) argp_error(state, "--range %s: full or limited is needed", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (o->model) argp_error(state, "%s: one model only; frames come from standard input", arg);
        o->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->width) argp_error(state, "--nv12 WxH is needed; raw frames do not say their size");
        if (o->stride && o->stride < o->width)
            argp_error(state, "--stride %ld: smaller than a row of %ld bytes", o->stride, o->width);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void print_line(long long frame, const kf_score *top, size_t n, double ms) {
    cli_print_json(json_pack("{s:I,s:o,s:f}", "frame", (json_int_t)frame, "top", cli_scores(top, n), "ms", ms));
}

/* KF_OK with *got 0 at the end of the stream. */
static kf_status read_frame(unsigned char *data, size_t bytes, long long frame, size_t *got, kf_error *err) {
    errno = 0;
    *got = fread(data, 1, bytes, stdin);
    if (ferror(stdin))
        return cli_error(err, KF_ERR_IO, "standard input: frame %lld cannot be read; %s; check its source", frame,
                         strerror(errno));
    if (*got && *got < bytes)
        return cli_error(err, KF_ERR_FORMAT,
                         "standard input: frame %lld ends after %zu of %zu bytes; the stream was cut, or its frames "
                         "have another size; check --nv12 and --stride",
                         frame, *got, bytes);
    if (!*got && frame == 0)
        return cli_error(err, KF_ERR_FORMAT, "standard input: no frame; it is empty; check the program that feeds it");
    return KF_OK;
}

static kf_status run(const options *o, kf_session *s, int limited, kf_error *err) {
    size_t stride = (size_t)(o->stride ? o->stride : o->width), luma = stride * (size_t)o->height,
           bytes = luma + luma / 2, got = 0, n;
    kf_score top[MAX_K];
    unsigned char *data = malloc(bytes);
    if (!data)
        return cli_error(err, KF_ERR_MEMORY, "standard input: out of memory for a frame of %zu bytes; check --nv12",
                         bytes);
    const kf_nv12 f = {(int32_t)o->width, (int32_t)o->height, data, data + luma, stride, stride, limited};
    kf_status st = KF_OK;
    for (long long frame = 0; st == KF_OK; frame++) {
        st = read_frame(data, bytes, frame, &got, err);
        if (st != KF_OK || !got) break;
        if (frame % o->every) continue;
        double start = cli_now_ms();
        st = kf_session_classify_nv12(s, &f, (size_t)o->k, top, &n, err);
        double ms = cli_now_ms() - start;
        for (size_t i = 0; st == KF_OK && o->labels.n && i < n; i++)
            top[i].label = top[i].index < o->labels.n ? o->labels.items[top[i].index] : NULL;
        if (st == KF_OK) print_line(frame, top, n, ms);
        if (st == KF_OK && fflush(stdout) != 0)
            st = cli_error(err, KF_ERR_IO, "standard output: cannot write; %s; check its reader", strerror(errno));
    }
    free(data);
    return st;
}

/* Raw tensors have no preprocessing; said before the first frame is read. */
static kf_status check_model(const options *o, const kf_model *m, const kf_model_info *info, kf_error *err) {
    kf_tensor out;
    kf_status st = kf_model_output(m, 0, &out, err);
    if (st == KF_OK && !info->preprocess.valid)
        return cli_error(err, KF_ERR_UNSUPPORTED,
                         "%.600s: the model has no picture input; frames cannot be fed; import it with --preprocess",
                         o->model ? o->model : "everyday10");
    if (st == KF_OK && o->labels.n && (size_t)o->labels.n != out.bytes / sizeof(float))
        return cli_error(err, KF_ERR_ARGUMENT,
                         "%.600s: %d labels; the model has %zu classes; use the list that belongs to it",
                         o->common.labels, o->labels.n, out.bytes / sizeof(float));
    if (st == KF_OK && o->range >= 0 && o->range != info->input_range)
        fprintf(stderr, "%s: note: --range %s, but the model was made for %s range; accuracy may suffer\n", cli_program,
                o->range ? "limited" : "full", info->input_range ? "limited" : "full");
    return st;
}

int cmd_stream(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS,
                              parse,
                              "[MODEL] --nv12 WxH",
                              "Top-k labels of raw NV12 frames on standard input, one JSON line each:\v"
                              "{\"frame\": number in the stream, \"top\": [{\"index\", \"label\", \"score\"}], \"ms\": "
                              "time of the frame without reading it}. Each line is flushed. "
                              "A frame is H rows of luma, then H/2 rows of interleaved chroma. A cut last frame ends "
                              "with status 1, after the lines of those before.",
                              children,
                              NULL,
                              NULL};
    options o = {.k = 5, .every = 1, .range = -1};
    kf_error err = {0};
    kf_model *m = NULL;
    kf_session *s = NULL;
    kf_model_info info = {.size = sizeof info};
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    cli_common import = o.common;
    import.labels = NULL; /* applied here, so that they serve compiled models too */
    kf_status st = o.common.labels ? kf_labels_load(o.common.labels, cli_note, NULL, &o.labels, &err) : KF_OK;
    if (st == KF_OK) st = cli_load_model(o.model, &import, &m, &err);
    if (st == KF_OK) kf_model_get_info(m, &info);
    if (st == KF_OK) st = check_model(&o, m, &info, &err);
    if (st == KF_OK) st = cli_session(m, o.common.threads, &s, &err);
    if (st == KF_OK) st = run(&o, s, o.range >= 0 ? o.range : info.input_range, &err);
    kf_session_destroy(&s);
    kf_model_destroy(&m);
    kf_labels_free(&o.labels);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
