/* The log of a quantization: what scripts for the zoo's own quantizer search in its log, in that form.
 * docs/QUANTIZATION.md says what each column means here.
 * Owner rule: borrows the job, which owns the text. */
#include <math.h>
#include <stdlib.h>

#include "rdk/rdk.h"
#include "data/plain.h"

/* Every line of a table is as wide. */
static void rule(FILE *f, char of) {
    for (int i = 0; i < 144; i++) fputc(of, f);
    fputc('\n', f);
}

/* What the first layer sees of pixels: the largest (x - mean) * scale. */
static double normalized_threshold(const kf_rdk_config *c) {
    double most = 0;
    for (int i = 0; i < 3; i++) most = fmax(most, fmax(fabs(c->mean[i]), fabs(255 - c->mean[i])) * fabs(c->scale[i]));
    return most;
}

static void print_row(FILE *f, const char *name, const char *subgraph, const char *type, const char *cosine,
                      double threshold, const char *dtype) {
    char held[40] = "--";
    if (threshold > 0) kf__lab_print(held, sizeof held, "%.6f", threshold);
    fprintf(f, "%-64s %-4s %-9s %-23s %-18s %-12s %s\n", name, "CPU", subgraph, type, cosine, held, dtype);
}

/* A subgraph is a run of nodes that compute with integers. */
static void print_nodes(FILE *f, const kf__rdk_job *j, const char *input, bool pixels) {
    kf_quantized_node n = {.size = sizeof n};
    kf_error end;
    char name[300], subgraph[24], cosine[24];
    int32_t id = 0;
    bool integer = true;
    fputs("The main quantized node information:\n", f);
    rule(f, '=');
    fprintf(f, "%-64s %-4s %-9s %-23s %-18s %-12s %s\n", "Node", "ON", "Subgraph", "Type", "Cosine Similarity",
            "Threshold", "DataType");
    rule(f, '-');
    snprintf(name, sizeof name, "HZ_PREPROCESS_FOR_%.200s", input);
    if (pixels) print_row(f, name, "id(0)", "HzSQuantizedPreprocess", "--", 127, "int8"); /* of pixels less 128 */
    for (int32_t i = 0; kf_graph_quantized_node(j->g, i, &n, &end) == KF_OK; i++) {
        bool is = n.input_threshold > 0 || n.dtype != KF_F32;
        double threshold = n.input_threshold;
        id += is && !integer;
        integer = is;
        snprintf(subgraph, sizeof subgraph, "id(%d)", id);
        kf__lab_print(cosine, sizeof cosine, "%.6f", n.cosine);
        if (i == 0 && pixels) threshold = normalized_threshold(j->c);
        print_row(f, n.name, is ? subgraph : "--", n.op, cosine, threshold, kf_quantized_type(n.dtype));
    }
    rule(f, '=');
}

static void print_output(FILE *f, const kf__rdk_job *j, const kf_judgement *r) {
    kf_tensor out = {.name = ""};
    kf_error none;
    if (kf_graph_output(j->g, 0, &out, &none) != KF_OK) return;
    fputs("The quantized model output:\n", f);
    rule(f, '=');
    fprintf(f, "%-64s %-18s %-12s %-12s %s\n", "Output", "Cosine Similarity", "L1 Distance", "L2 Distance",
            "Chebyshev Distance");
    rule(f, '-');
    kf__lab_write(f, "%-64s %-18.6f %-12.6f %-12.6f %.6f\n", out.name, r->cosine, r->l1, r->l2, r->chebyshev);
    rule(f, '=');
}

static void print_all(FILE *f, kf__rdk_job *j, const char *input, const kf_judgement *r, const char *search) {
    kf_graph_info info = {.size = sizeof info};
    kf_error none;
    bool pixels = kf_graph_get_info(j->g, &info, &none) == KF_OK && info.pixels && kf__rdk_color(j->c);
    const char *from = j->c->random ? "random numbers" : j->c->calibration;
    fprintf(f, "Start Model Convert....\nmodel: %s\n%scalibration data: %s, %zu of %zu files\n%s\n", j->c->model,
            j->log_text, from, r->used, r->samples, search);
    fflush(f);
    j->tables = j->report_bytes;
    print_nodes(f, j, input, pixels);
    print_output(f, j, r);
    if (isnan(r->agreement)) kf__lab_write(f, "output cosine %.6f with float on them", r->cosine);
    else kf__lab_write(f, "top-1 agreement with float %.2f %% on them", r->agreement);
    kf__lab_write(f, ", output SQNR %.2f dB\nConvert to runtime bin file successfully!\nEnd Model Convert\n", r->sqnr);
}

kf_status kf__rdk_report(kf__rdk_job *j, const char *input, kf_error *err) {
    kf_judgement r = {.size = sizeof r};
    char *search;
    if (fflush(j->log) != 0) KF_RDK_FAIL_MEMORY(err);
    KF_TRY(kf_judge_get(*j->judge, &r, err));
    KF_TRY(kf_search_table(j->g, 1, &search, err));
    free(j->report);
    j->report = NULL;
    FILE *f = open_memstream(&j->report, &j->report_bytes);
    if (f) print_all(f, j, input, &r, search);
    bool ok = f && !ferror(f);
    if (f && (fclose(f) != 0 || !j->report)) ok = false;
    free(search);
    if (!ok) KF_RDK_FAIL_MEMORY(err);
    return KF_OK;
}
