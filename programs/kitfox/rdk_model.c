/* Models by the board's paths, and what hrt_model_exec model_info prints of one.
 * Owner rule: see rdk.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "kitfox/rdk.h"

static const char MACHINE_CODE[] =
    "this is machine code of the board's accelerator (a .bin of hb_mapper), which a CPU cannot run; quantize the float "
    "model with the same YAML (kitfox quantize CONFIG.yaml) and give the .kfx file, or put it beside this one under "
    "the "
    "same stem";

void rdk_model_name(const char *path, char *name) {
    snprintf(name, RDK_PATH, "%s", cli_base_name(path));
    char *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = '\0';
}

int rdk_split(char *list, char **parts, int most) {
    int n = 0;
    for (char *at = list; at && *at;) {
        char *comma = strchr(at, ',');
        if (n == most) return -1;
        parts[n++] = at;
        if (comma) *comma = '\0';
        at = comma ? comma + 1 : NULL;
    }
    return n;
}

bool rdk_takes_frames(const kf_model_info *info) {
    const kf_preprocess *p = &info->preprocess;
    bool even = p->width % 2 == 0 && p->height % 2 == 0;
    return p->valid && info->input_range_known && even && kf_color_channels(p->color) == 3;
}

static bool is_machine_code(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcasecmp(dot, ".bin") == 0 || strcasecmp(dot, ".hbm") == 0);
}

kf_status rdk_open(const char *path, kf_model **m, char place[RDK_PATH], kf_error *err) {
    cli_common c = {.pictures = true};
    bool bin = is_machine_code(path);
    snprintf(place, RDK_PATH, "%s", path);
    if (bin && strlen(path) < RDK_PATH) {
        memcpy(strrchr(place, '.'), ".kfx", 5);
        bin = access(place, F_OK) != 0;
        if (bin) snprintf(place, RDK_PATH, "%s", path);
        else
            fprintf(stderr, "%s: note: %s: %s is beside it and is used\n", cli_program, cli_shown(path),
                    cli_shown(cli_base_name(place)));
    }
    if (!bin) return cli_load_model(place, &c, m, err);
    kf_status st = kf_model_load(place, NULL, m, err);
    if (st == KF_OK || st == KF_ERR_IO || st == KF_ERR_MEMORY) return st == KF_OK ? st : cli_error_in(err, st, place);
    return cli_error_at(err, KF_ERR_UNSUPPORTED, path, MACHINE_CODE);
}

/* "(1,3,224,224,)"; the board's tensors have four axes. */
static void print_shape(const char *what, const kf_tensor *t) {
    printf("%s: (", what);
    for (int i = 0; i < t->rank || i < 4; i++) printf("%lld,", i < t->rank ? (long long)t->shape[i] : 1LL);
    puts(")");
}

static size_t elements(const kf_tensor *t) {
    size_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= (size_t)t->shape[i];
    return n;
}

/* Bytes from one element of each axis to the next; of packed frames the board says 0. */
static void print_stride(const kf_tensor *t, bool packed) {
    printf("stride: (");
    for (int i = 0; i < t->rank || i < 4; i++) {
        size_t step = sizeof(float);
        for (int k = i + 1; k < t->rank; k++) step *= (size_t)t->shape[k];
        printf("%zu,", packed ? (size_t)0 : step);
    }
    puts(")");
}

static void print_tensor(const kf_tensor *t, bool picture, bool frames, bool input) {
    const char *type = "HB_DNN_TENSOR_TYPE_F32", *layout = "HB_DNN_LAYOUT_NCHW";
    size_t bytes = elements(t) * sizeof(float);
    if (picture) type = frames ? "HB_DNN_IMG_TYPE_NV12" : "HB_DNN_IMG_TYPE_RGB", bytes = elements(t);
    if (picture && !frames && t->rank == 4 && t->shape[1] == 1) type = "HB_DNN_IMG_TYPE_Y";
    if (frames) bytes /= 2; /* 3 channels of 8 bits become 12 bits a pixel */
    if (t->rank == 4 && picture && t->shape[3] == 3 && t->shape[1] != 3) layout = "HB_DNN_LAYOUT_NHWC";
    if (t->rank > 4) layout = "HB_DNN_LAYOUT_NONE";
    printf("name: %s\n", t->name);
    if (input) printf("input source: HB_DNN_INPUT_FROM_%s\n", frames ? "PYRAMID" : "DDR");
    print_shape("valid shape", t);
    print_shape("aligned shape", t);
    printf("aligned byte size: %zu\ntensor type: %s\ntensor layout: %s\nquanti type: NONE\n", bytes, type, layout);
    print_stride(t, picture);
    putchar('\n');
}

void rdk_print_model(const kf_model *m, const char *name) {
    static const char RULE[] = "---------------------------------------------------------------------";
    kf_model_info info = {.size = sizeof info};
    kf_tensor t;
    if (kf_model_get_info(m, &info, NULL) != KF_OK) return;
    printf("%s\n[model name]: %s\n\n", RULE, name);
    for (int i = 0; i < info.n_inputs && kf_model_input(m, i, &t, NULL) == KF_OK; i++) {
        bool picture = i == 0 && info.preprocess.valid;
        printf("input[%d]: \n", i);
        print_tensor(&t, picture, picture && rdk_takes_frames(&info), true);
    }
    for (int i = 0; i < info.n_outputs && kf_model_output(m, i, &t, NULL) == KF_OK; i++) {
        printf("output[%d]: \n", i);
        print_tensor(&t, false, false, false);
    }
    puts(RULE);
}
