/* Every public call with each pointer NULL, with numbers out of range, and with structures of another size: what
 * returns kf_status says ARGUMENT and why, the others do nothing. make_calls.py makes the table from the headers; each
 * row runs in a process of its own. Owner rule: what set_up makes lives until the end. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kitfox/batch.h"
#include "kitfox/bench.h"
#include "kitfox/lab.h"

enum { SIDE = 8, CLASSES = 4 };

static kf_error err;
static kf_model *model, *verified;
static kf_session *session;
static kf_graph *graph, *quantized; /* quantized: with a target that 8 bits do not meet, and details */
static kf_dataset *dataset;
static kf_rdk_config *config;
static kf_batch *batch;
static void *onnx;
static size_t onnx_bytes;
static kf_tensor input, output;
static kf_preprocess preprocess;
static kf_samples samples;
static kf_raw_form form;
static kf_comparison comparison;
static kf_evaluation evaluation;
static const kf_model *pair[2];
static double times[2] = {1, 2};
static const kf_bench_result bench = {.size = sizeof bench, .frames = 1, .ms = times, .until = times};
static kf_score scores[1000];
static uint8_t bytes[3 * SIDE * SIDE];
static kf_image image = {SIDE, SIDE, (size_t)3 * SIDE, bytes};
static const kf_nv12 frame = {SIDE, SIDE, bytes, bytes, SIDE, SIDE, 0};
static const uint8_t *const pictures[] = {bytes};
static float numbers[3 * SIDE * SIDE];
static const float *const rows[16] = {numbers, numbers, numbers, numbers};
static const char *const names[] = {"none", "nothing"};
/* Room for any result; its first word is a size that every structure of information accepts. */
static union {
    size_t size;
    char bytes[8192];
    kf_step_info step;
    kf_preprocess preprocess;
    kf_image image;
    kf_tensor tensor;
} room;

/* Structures by their own word: not initialised, damaged, and of a newer caller who set what this library lacks. */
static const union {
    size_t size;
    char bytes[4096];
} no_size = {.size = 0}, huge = {.size = 1 << 20};
static const struct {
    size_t size;
    char none[3900], set;
} newer = {.size = 4000, .set = 1};

static void nothing(void *user, int32_t part, int32_t parts) {}

struct row {
    const char *title;
    kf_status (*call)(void);
    int refused;       /* 1: ARGUMENT is needed; 0: it has to come back */
    int words;         /* 1: it takes a kf_error, which is filled then */
    const char *named; /* what the text has to name */
};

#include "calls.inc"

static void need(kf_status st, const char *what) {
    if (st == KF_OK) return;
    fprintf(stderr, "%s: %s\n", what, err.text);
    exit(2);
}

static void quantize(void) {
    enum { SAMPLES = 8 };
    static uint8_t pixels[SAMPLES][sizeof bytes];
    kf_tensor t[SAMPLES];
    kf_quantize_options o;
    kf_quantize_options_init(&o);
    o.target_cosine = 1;
    o.max_int16_macs = 100;
    o.detail = 1;
    for (int i = 0; i < SAMPLES; i++) {
        for (size_t k = 0; k < sizeof bytes; k++) pixels[i][k] = (uint8_t)(i * 37 + k * 11 + k % (size_t)(i + 3) * 5);
        t[i] =
            (kf_tensor){.dtype = KF_U8, .rank = 3, .shape = {SIDE, SIDE, 3}, .data = pixels[i], .bytes = sizeof bytes};
    }
    need(kf_graph_import_onnx_memory(onnx, onnx_bytes, NULL, &quantized, &err), "import");
    need(kf_graph_quantize(quantized, t, SAMPLES, &o, &err), "quantize");
}

/* A network, a model, and what is made of them, all in working order: only the odd argument of a row is wrong. */
static void set_up(const char *root) {
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/onnx/se.onnx", root);
    need(kf_file_read(path, 1 << 20, &onnx, &onnx_bytes, &err), path);
    need(kf_graph_import_onnx_memory(onnx, onnx_bytes, NULL, &graph, &err), "import");
    need(kf_graph_compile(graph, NULL, &model, &err), "compile");
    kf_graph_destroy(&graph);
    need(kf_graph_import_onnx_memory(onnx, onnx_bytes, NULL, &graph, &err), "import");
    need(kf_session_create(model, NULL, &session, &err), "session");
    need(kf_batch_create(model, &(kf_batch_options){.size = sizeof(kf_batch_options), .threads = 1}, &batch, &err),
         "batch");
    quantize();
    snprintf(path, sizeof path, "%s/tests/golden/verified_small_v1.kfx", root);
    need(kf_model_load(path, NULL, &verified, &err), path);
    need(kf_dataset_open(root, NULL, &dataset, &err), root);
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/yaml/full.yaml", root);
    need(kf_rdk_load(path, NULL, NULL, &config, &err), path);
    need(kf_model_input(model, 0, &input, &err), "input");
    need(kf_model_output(model, 0, &output, &err), "output");
    pair[0] = pair[1] = model;
    input.data = numbers;
    output.data = scores;
    preprocess = (kf_preprocess){.valid = 1, .width = SIDE, .height = SIDE, .crop_pct = 1, .std = {1, 1, 1}};
    form = (kf_raw_form){.type = KF_F32, .input = &input};
    room.size = sizeof room / 4;
}

/* Exit status of the process of a row: 0 good, 1 another answer. */
static int child(const struct row *row, int answer) {
    alarm(20);
    kf_status st = row->call();
    if (!row->refused) return 0;
    char text[KF_ERROR_TEXT + 64];
    const int n = snprintf(text, sizeof text, "%s, '%s'", kf_status_name(st), err.text);
    if (write(answer, text, (size_t)n) != n) return 1;
    if (st != KF_ERR_ARGUMENT) return 1;
    return row->words && (err.status != st || !err.text[0] || !strstr(err.text, row->named));
}

static int run(const struct row *row) {
    int fds[2], status = 0;
    char text[KF_ERROR_TEXT + 64] = "";
    if (pipe(fds) != 0) return 1;
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        _exit(child(row, fds[1]));
    }
    close(fds[1]);
    ssize_t n = read(fds[0], text, sizeof text - 1);
    close(fds[0]);
    if (pid < 0 || n < 0 || waitpid(pid, &status, 0) != pid) return 1;
    if (WIFSIGNALED(status)) printf("FAIL  %s: ended by signal %d\n", row->title, WTERMSIG(status));
    else if (WEXITSTATUS(status)) printf("FAIL  %s: %s\n", row->title, text);
    return status != 0;
}

int main(void) {
    int failed = 0;
    const char *root = getenv("KITFOX_SOURCE");
    set_up(root ? root : ".");
    err = (kf_error){0};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) failed += run(&ROWS[i]);
    printf("%d calls, %zu rows, %d failures\n", CALLS, sizeof ROWS / sizeof *ROWS, failed);
    return failed != 0 || CALLS < 120;
}
