/* kitfox stream MODEL --nv12 WxH: raw NV12 camera frames on standard input, one JSON line a frame on standard output.
 * The range of the model is the default, so that frames mean what calibration meant.
 * Owner rule: labels live until the end of the stream. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/cli.h"
#include "kitfox/bench.h"

enum { KEY_NV12 = 1000, KEY_RANGE, KEY_EVERY, KEY_STRIDE };

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
    case 'k': o->k = cli_number(state, "-k", arg, 1, KF_MAX_TOP); return 0;
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

typedef struct printing {
    kf_error err; /* of standard output */
} printing;

static int print_line(void *user, const kf_stream_frame *f) {
    printing *p = user;
    cli_print_json(cli_pack("{s:s,s:I,s:o,s:f}", "kind", "frame", "frame", (json_int_t)f->index, "top",
                            cli_scores(f->top, f->n), "ms", f->ms));
    if (fflush(stdout) == 0) return 0;
    return cli_error(&p->err, KF_ERR_IO, "standard output: cannot write; %s; check its reader", strerror(errno));
}

static void note_range(const options *o, const kf_model *m) {
    static const char *const NAMES[] = {"full", "limited"};
    kf_model_info info = {.size = sizeof info};
    kf_model_get_info(m, &info, NULL);
    if (info.preprocess.valid && info.input_range_known && o->range >= 0 && o->range != info.input_range)
        fprintf(stderr, "%s: note: --range %s, but the model was made for %s range; accuracy may suffer\n", cli_program,
                NAMES[o->range], NAMES[info.input_range]);
}

static kf_status run(const options *o, const kf_model *m, kf_error *err) {
    kf_stream_options so;
    printing p = {{KF_OK, ""}};
    kf_stream_options_init(&so);
    so.width = (int32_t)o->width, so.height = (int32_t)o->height, so.stride = (int32_t)o->stride;
    so.every = (int32_t)o->every, so.top = (int32_t)o->k, so.range = o->range, so.threads = o->common.threads;
    so.labels = &o->labels, so.frame = print_line, so.fewer_threads = cli_fewer_threads, so.user = &p;
    note_range(o, m);
    kf_status st = kf_stream(m, &so, NULL, err);
    if (st == KF_ERR_CANCELLED) *err = p.err;
    if (st == KF_ERR_UNSUPPORTED) kf_error_prefix(err, st, "%.600s", o->model ? o->model : "everyday10");
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
    options o = {.k = 5, .every = 1, .range = -1, .common.pictures = true, .common.one = true};
    kf_error err = {0};
    kf_model *m = NULL;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    cli_common import = o.common;
    import.labels = NULL; /* applied here, so that they serve compiled models too */
    kf_status st = o.common.labels ? kf_labels_load(o.common.labels, &o.labels, &err) : KF_OK;
    if (st == KF_OK) st = cli_load_model(o.model, &import, &m, &err);
    if (st == KF_OK) st = cli_labels(o.common.labels, m, &o.labels, &err);
    if (st == KF_OK) st = run(&o, m, &err);
    kf_model_destroy(&m);
    kf_labels_free(&o.labels);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
