/* hrt_model_exec model_info|infer|perf: its flags, the words that scripts search, and the end block of perf.
 * Owner rule: one model at a time; strings of the command line are cut at their commas. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/bench_print.h"
#include "kitfox/rdk.h"

enum {
    MODEL_FILE,
    MODEL_NAME,
    CORE_ID,
    INPUT_FILE,
    ROI_INFER,
    ROI,
    FRAME_COUNT,
    DUMP_INTERMEDIATE,
    ENABLE_DUMP,
    DUMP_PRECISION,
    HYBRID,
    DUMP_FORMAT,
    DUMP_TXT_AXIS,
    CLASSIFY,
    PERF_TIME,
    THREAD_NUM,
    PROFILE_PATH,
    N_FLAGS
};

#define RESIZER "the input is whole pictures"
const rdk_flag rdk_exec_flags[] = {
    {"model_file", 0, RDK_TEXT, "a model, or several with commas; for a .bin the .kfx beside it", NULL, 0, 0, 0},
    {"model_name", 0, RDK_TEXT, "the one of that name among the models", NULL, 0, 0, 0},
    {"core_id", 0, RDK_NUMBER, "0, 1 or 2", "any core is taken; taskset chooses one", 0, 2, 0},
    {"input_file", 0, RDK_TEXT, "infer: pictures, .bin or .txt, one for each input, with commas", NULL, 0, 0, 0},
    {"roi_infer", 0, RDK_SWITCH, "a part of the picture", RESIZER, 0, 0, 0},
    {"roi", 0, RDK_TEXT, "l,t,r,b;...", RESIZER, 0, 0, 0},
    {"frame_count", 0, RDK_NUMBER, "infer: repeats (1); perf: frames (200)", NULL, 1, KF_BENCH_MAX_FRAMES, 0},
    {"dump_intermediate", 0, RDK_NUMBER, "0 to 3", "kitfox compare --nodes shows every node", 0, 3, 0},
    {"enable_dump", 0, RDK_SWITCH, "infer: write model_infer_input_N and model_infer_output_N", NULL, 0, 0, 0},
    {"dump_precision", 0, RDK_NUMBER, "infer: digits in .txt files (9)", NULL, 1, 17, 9},
    {"hybrid_dequantize_process", 0, RDK_SWITCH, "float outputs", "outputs are float and unpadded in any case", 0, 0,
     0},
    {"dump_format", 0, RDK_TEXT, "infer: bin (default) or txt", NULL, 0, 0, 0},
    {"dump_txt_axis", 0, RDK_NUMBER, "infer: lines of .txt files break at this axis (4: after each value)", NULL, 0, 4,
     4},
    {"enable_cls_post_process", 0, RDK_SWITCH, "infer: print the best class", NULL, 0, 0, 0},
    {"perf_time", 0, RDK_NUMBER, "perf: minutes, instead of frame_count", NULL, 0, 1440, 0},
    {"thread_num", 0, RDK_NUMBER, "perf: sessions side by side, 1 to 8 (1)", NULL, 1, 1000, 1},
    {"profile_path", 0, RDK_TEXT, "perf: a folder for profiler.log and profiler.csv", NULL, 0, 0, 0},
    {0},
};

typedef struct exec_job {
    const rdk_value *v;
    char *files[RDK_MOST_FILES];
    int n_files;
} exec_job;

/* The command as it was given, and who answers it. */
static void echo(int argc, char **argv) {
    for (int i = 0; i < argc; i++) printf("%s%s", cli_shown(argv[i]), i + 1 < argc ? " " : "\n");
    printf("[KitFox] Runtime version = %s, CPU %s\n", kf_version(), kf_cpu_name());
}

/* ---- model_info -------------------------------------------------------------------------------------------------- */

/* Is this the model that --model_name asks for? */
static bool wanted(const exec_job *j, const char *path) {
    char name[RDK_PATH];
    const char *only = j->v[MODEL_NAME].text;
    rdk_model_name(path, name);
    return !only || !*only || strcmp(only, name) == 0;
}

static kf_status no_such(const exec_job *j, kf_error *err) {
    char text[400];
    snprintf(text, sizeof text, "none of the %d models has this name; a model is named as its file without suffix",
             j->n_files);
    return cli_error_at(err, KF_ERR_ARGUMENT, j->v[MODEL_NAME].text, text);
}

static kf_status model_info(const exec_job *j, kf_error *err) {
    char place[RDK_PATH], name[RDK_PATH];
    int shown = 0;
    for (int i = 0; i < j->n_files; i++) {
        kf_model *m = NULL;
        if (!wanted(j, j->files[i])) continue;
        KF_TRY(rdk_open(j->files[i], &m, place, err));
        rdk_model_name(place, name);
        printf("This model file has 1 model:\n[%s]\n", cli_shown(name));
        rdk_print_model(m, cli_shown(name));
        kf_model_destroy(&m);
        shown++;
    }
    return shown ? KF_OK : no_such(j, err);
}

/* ---- infer and perf ---------------------------------------------------------------------------------------------- */

/* The one model of the command. */
static kf_status open_one(const exec_job *j, kf_model **m, char place[RDK_PATH], kf_error *err) {
    const char *path = NULL;
    int n = 0;
    for (int i = 0; i < j->n_files; i++)
        if (wanted(j, j->files[i])) path = j->files[i], n++;
    if (!n) return no_such(j, err);
    if (n > 1) return cli_error_at(err, KF_ERR_ARGUMENT, "--model_name", "needed to pick one of several models");
    double start = cli_now_ms();
    KF_TRY(rdk_open(path, m, place, err));
    printf("Load model to DDR cost %.3fms.\nget model handle success\nget model input count success\n",
           cli_now_ms() - start);
    return KF_OK;
}

static kf_status infer(const exec_job *j, kf_error *err) {
    char place[RDK_PATH];
    const rdk_value *v = j->v;
    kf_model *m = NULL;
    const char *format = v[DUMP_FORMAT].text;
    rdk_infer job = {.frames = v[FRAME_COUNT].given ? v[FRAME_COUNT].number : 1,
                     .digits = v[DUMP_PRECISION].number,
                     .axis = v[DUMP_TXT_AXIS].number,
                     .dump = v[ENABLE_DUMP].number != 0,
                     .classify = v[CLASSIFY].number != 0};
    if (format && strcmp(format, "bin") != 0 && strcmp(format, "txt") != 0)
        return cli_error_at(err, KF_ERR_ARGUMENT, "--dump_format", "bin or txt is needed");
    job.text = v[HYBRID].number != 0 || (format && strcmp(format, "txt") == 0);
    if (v[INPUT_FILE].text) job.n_files = rdk_split((char *)v[INPUT_FILE].text, job.files, RDK_MOST_FILES);
    if (job.n_files < 1) return cli_error_at(err, KF_ERR_ARGUMENT, "--input_file", "a file for each input is needed");
    KF_TRY(open_one(j, &m, place, err));
    job.model = m;
    kf_status st = rdk_infer_run(&job, err);
    kf_model_destroy(&m);
    return st;
}

/* Frames that take so many minutes, by a short run before. */
static kf_status frames_of(const kf_model *m, kf_bench_options o, long minutes, int32_t *frames, kf_error *err) {
    kf_bench_result r = {.size = sizeof r};
    o.frames = 20 * o.sessions;
    KF_TRY(kf_bench(m, &o, &r, err));
    *frames = (int32_t)fmin(fmax(1, r.summary.fps * 60 * (double)minutes), KF_BENCH_MAX_FRAMES);
    kf_bench_free(&r);
    return KF_OK;
}

static kf_status profile(const exec_job *j, const kf_model *m, const char *place, kf_bench_result *r, kf_error *err) {
    const char *folder = j->v[PROFILE_PATH].text;
    char name[RDK_PATH];
    kf_bench_result steps = {.size = sizeof steps};
    if (!folder) folder = getenv("HB_DNN_PROFILER_LOG_PATH");
    if (!folder || !*folder) return KF_OK;
    rdk_model_name(place, name);
    KF_TRY(rdk_profile(m, r->frames < 100 ? r->frames : 100, &steps, err));
    double *own = r->step_ms;
    r->step_ms = steps.step_ms, r->n_steps = steps.n_steps; /* one report of both runs */
    kf_status st = rdk_write_profile(folder, name, m, r, err);
    r->step_ms = own, r->n_steps = 0;
    kf_bench_free(&steps);
    return st;
}

static kf_status measure(const exec_job *j, const kf_model *m, const char *place, kf_error *err) {
    kf_bench_options o;
    kf_bench_result r = {.size = sizeof r};
    long threads = j->v[THREAD_NUM].number;
    kf_bench_options_init(&o);
    if (threads > 8) fputs("hrt_model_exec: note: --thread_num: at most 8, so 8 are taken\n", stderr);
    o.sessions = (int32_t)fmin((double)threads, 8), o.progress = cli_stop;
    o.frames = j->v[FRAME_COUNT].given ? (int32_t)j->v[FRAME_COUNT].number : 200;
    if (j->v[PERF_TIME].number) KF_TRY(frames_of(m, o, j->v[PERF_TIME].number, &o.frames, err));
    puts("prepare input tensor success!\nget model output count success");
    fflush(stdout);
    KF_TRY(kf_bench(m, &o, &r, err));
    kf_status st = bench_print_rdk(&r, err);
    if (st == KF_OK) st = profile(j, m, place, &r, err);
    kf_bench_free(&r);
    return st;
}

static kf_status perf(const exec_job *j, kf_error *err) {
    char place[RDK_PATH];
    kf_model *m = NULL;
    KF_TRY(open_one(j, &m, place, err));
    bench_note_core();
    cli_cancel_on();
    kf_status st = measure(j, m, place, err);
    kf_model_destroy(&m);
    cli_cancel_off();
    return st;
}

/* ---- the tool ---------------------------------------------------------------------------------------------------- */

int rdk_exec(int argc, char **argv) {
    static const char *const names[] = {"model_info", "infer", "perf"};
    static kf_status (*const verbs[])(const exec_job *, kf_error *) = {model_info, infer, perf};
    const char *verb = NULL;
    const rdk_tool tool = {"hrt_model_exec",
                           "model_info|infer|perf --model_file=MODEL [FLAGS]",
                           "What a model is, one inference, or its speed. For a .bin the .kfx beside it is used.",
                           rdk_exec_flags,
                           true,
                           &verb};
    rdk_value values[N_FLAGS];
    exec_job j = {.v = values};
    kf_error err = {0};
    int status, which = -1;
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)) {
        printf("hrt_model_exec, of kitfox %s\n", kf_version());
        return EXIT_DONE;
    }
    if (!rdk_parse(&tool, argc, argv, values, &status)) return status;
    for (int i = 0; i < 3; i++)
        if (verb && strcmp(verb, names[i]) == 0) which = i;
    if (which < 0) return cli_usage(tool.name, "model_info, infer or perf is needed");
    if (values[MODEL_FILE].text) {
        echo(argc, argv); /* before the commas are cut */
        j.n_files = rdk_split((char *)values[MODEL_FILE].text, j.files, RDK_MOST_FILES);
    }
    if (j.n_files < 1) return cli_usage(tool.name, "--model_file: a model is needed, at most %d", RDK_MOST_FILES);
    if (verbs[which](&j, &err) != KF_OK) return cli_fail(&err);
    if (which > 0) puts("hbDNNRelease success!");
    return EXIT_DONE;
}
