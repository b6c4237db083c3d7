/* kitfox import IN -o OUT.kfx: compile once, ship one file.
 * Floor 8.
 * Owner rule: the output appears whole or not at all. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"

enum { KEY_MEAN = 1000, KEY_STD, KEY_RESIZE, KEY_CROP_PCT, KEY_INTERPOLATION };

typedef struct options {
    cli_common common;
    const char *in, *out;
    bool picture; /* one of those below was given */
    double mean[3], std[3], crop_pct; /* NAN: not given */
    int resize, filter;               /* 0, -1: not given */
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.kfx", 0, "the compiled model (required)", 0},
    {"mean", KEY_MEAN, "R,G,B", 0, "subtracted from pixels of 0..1; one number for all three", 0},
    {"std", KEY_STD, "R,G,B", 0, "then divides", 0},
    {"resize", KEY_RESIZE, "N", 0, "short side in pixels before the centre is cut", 0},
    {"crop-pct", KEY_CROP_PCT, "F", 0, "the same as a share: input size / short side", 0},
    {"interpolation", KEY_INTERPOLATION, "NAME", 0, "bilinear, bicubic or nearest", 0},
    {0},
};

/* One number, or three between commas. */
static void parse_three(const char *option, const char *arg, bool positive, double out[3], struct argp_state *state) {
    char *end = NULL;
    int n = 0;
    for (const char *s = arg; n < 3; s = end + 1) {
        out[n] = strtod(s, &end);
        if (end == s || !isfinite(out[n]) || out[n] > 1 || (positive ? out[n] <= 0 : out[n] < -1)) break;
        n++;
        if (*end != ',') break;
    }
    if (*end || (n != 1 && n != 3))
        argp_error(state, "--%s %s: one or three numbers %s are needed; pixels count from 0 to 1 (divide by 255)", option, arg, positive ? "above 0, at most 1," : "from -1 to 1");
    if (n == 1) out[1] = out[2] = out[0];
}

static void parse_picture(int key, const char *arg, options *o, struct argp_state *state) {
    static const char *const FILTERS[] = {"bilinear", "bicubic", "nearest"}; /* in the order of kf_filter */
    char *end = NULL;
    o->picture = true;
    if (key == KEY_MEAN) parse_three("mean", arg, false, o->mean, state);
    else if (key == KEY_STD) parse_three("std", arg, true, o->std, state);
    else if (key == KEY_RESIZE) o->resize = (int)cli_number(state, "--resize", arg, 1, 16384);
    else if (key == KEY_CROP_PCT) {
        o->crop_pct = strtod(arg, &end);
        if (end == arg || *end || !(o->crop_pct > 0 && o->crop_pct <= 1)) argp_error(state, "--crop-pct %s: a number above 0, at most 1, is needed", arg);
    } else {
        for (int i = 0; i < 3; i++)
            if (strcmp(arg, FILTERS[i]) == 0) o->filter = i;
        if (o->filter < 0) argp_error(state, "--interpolation %s: bilinear, bicubic or nearest is needed", arg);
    }
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'o': o->out = arg; return 0;
    case KEY_MEAN:
    case KEY_STD:
    case KEY_RESIZE:
    case KEY_CROP_PCT:
    case KEY_INTERPOLATION: parse_picture(key, arg, o, state); return 0;
    case ARGP_KEY_ARG:
        if (o->in) argp_error(state, "%s: one input only", arg);
        o->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->in || !o->out) argp_error(state, "IN and -o OUT.kfx are needed");
        if (o->resize && !isnan(o->crop_pct)) argp_error(state, "--resize and --crop-pct say the same thing; give one of them");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_status fail(kf_error *err, const char *in, const char *what) {
    err->status = KF_ERR_ARGUMENT;
    snprintf(err->text, sizeof err->text, "%.600s: %s", in, what);
    return err->status;
}

/* What was given replaces the file's or the architecture's, the rest stays. */
static kf_status set_picture(kf_graph *g, const options *o, kf_error *err) {
    kf_graph_info info;
    kf_status st = kf_graph_get_info(g, &info, err);
    if (st != KF_OK) return st;
    kf_preprocess p = info.preprocess;
    if (!p.valid) return fail(err, o->in, "its input is not a picture of three channels; --mean, --std, --resize, --crop-pct and --interpolation do not apply");
    if (o->resize && (p.width != p.height || o->resize < p.width)) return fail(err, o->in, "--resize needs a square input, and at least its size");
    if (o->resize) {
        p.crop_pct = (double)p.width / o->resize;
        while (floor(p.width / p.crop_pct) < o->resize) p.crop_pct = nextafter(p.crop_pct, 0); /* the quotient must not round down */
        p.crop = KF_CROP_CENTER;
    }
    if (!isnan(o->crop_pct)) p.crop_pct = o->crop_pct;
    if (!isnan(o->mean[0])) memcpy(p.mean, o->mean, sizeof p.mean);
    if (!isnan(o->std[0])) memcpy(p.std, o->std, sizeof p.std);
    if (o->filter >= 0) p.filter = (kf_filter)o->filter;
    return kf_graph_set_preprocess(g, &p, err);
}

int cmd_import(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS, parse, "IN -o OUT.kfx", "Compile an ONNX model or a safetensors checkpoint into one file with preprocessing and labels.", children, NULL, NULL};
    options o = {.mean = {NAN}, .std = {NAN}, .crop_pct = NAN, .filter = -1};
    kf_error err = {0};
    kf_graph *g = NULL;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    kf_status st = cli_import(o.in, &o.common, &g, &err);
    if (st == KF_OK && o.picture) st = set_picture(g, &o, &err);
    if (st == KF_OK) st = kf_graph_save(g, o.out, &err);
    kf_graph_destroy(&g);
    if (st != KF_OK) return cli_fail(&err);
    if (!o.common.json) fprintf(stderr, "%s written\n", o.out);
    return EXIT_DONE;
}
