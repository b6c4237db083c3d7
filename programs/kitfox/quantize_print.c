/* What the verb quantize tells: the node table, the search, the last line, and the page.
 * Owner rule: nothing is kept. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "kitfox/quantize.h"

enum { NODE_IMAGES = 20 }; /* pictures for the nodes of the page */

/* Measuring in f32 sums with fused multiply-add at every level from avx2 on, which is listed behind those without. */
void quantize_note_level(void) {
    const char *now = kf_cpu_name(), *name;
    char text[256];
    for (int i = 0; (name = kf_cpu_level_name(i)) && strcmp(name, "avx2") != 0; i++) {
        if (strcmp(name, now) != 0) continue;
        snprintf(text, sizeof text,
                 "instruction set %s has no fused multiply-add; the same samples may give another file than on a "
                 "machine with it (avx2 and up), where all give one; what is written runs alike everywhere",
                 now);
        cli_note(NULL, text);
    }
}

/* Text of the library, whole. */
static void print_text(kf_status st, char *text, const kf_error *err) {
    if (st == KF_OK) fputs(text, stdout);
    else cli_say("%s", err->text);
    free(text);
}

void quantize_print_nodes(const kf_graph *g, bool json) {
    kf_quantized_node n = {.size = sizeof n};
    kf_error err;
    char *text;
    if (!json) {
        kf_status st = kf_quantized_table(g, &text, &err);
        print_text(st, text, &err);
        return;
    }
    for (int32_t i = 0; kf_graph_quantized_node(g, i, &n, &err) == KF_OK; i++)
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:f,s:o,s:f,s:s,s:I,s:o,s:o}", "kind", "node", "node", n.name, "op", n.op,
                                "cosine", n.cosine, "sqnr_db", cli_real(n.sqnr), "threshold", n.threshold, "dtype",
                                kf_dtype_name(n.dtype), "macs", (json_int_t)n.macs, "alone_cosine",
                                cli_real(n.alone_cosine), "alone_sqnr_db", cli_real(n.alone_sqnr)));
}

static void print_search_json(const kf_graph *g, const kf_search_result *r) {
    kf_search_candidate c = {.size = sizeof c};
    kf_error err;
    for (int32_t i = 0; kf_graph_search_candidate(g, i, &c, &err) == KF_OK; i++)
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:f,s:I,s:o}", "kind", "candidate", "node", c.node, "what",
                                c.weights ? "weights" : "output", "gain", c.gain, "macs", (json_int_t)c.macs, "place",
                                c.place ? json_integer(c.place) : NULL));
    cli_print_json(cli_pack("{s:s,s:b,s:i,s:s,s:o,s:i,s:f,s:f,s:f,s:f,s:o,s:o,s:f}", "kind", "search", "target_met",
                            r->met, "held_out", r->held_out, "drop_of", r->labelled ? "accuracy" : "agreement",
                            "float_top1", r->labelled ? json_real(r->float_top1) : NULL, "promoted", r->promoted,
                            "drop_int8", r->drop_before, "drop", r->drop, "cosine_int8", r->cosine_before, "cosine",
                            r->cosine, "sqnr_db_int8", cli_real(r->sqnr_before), "sqnr_db", cli_real(r->sqnr),
                            "int16_macs_percent", r->int16_macs));
}

void quantize_print_search(const kf_graph *g, bool json, bool all) {
    kf_search_result r = {.size = sizeof r};
    kf_error err;
    char *text;
    if (kf_graph_search_result(g, &r, &err) != KF_OK) return;
    if (json) print_search_json(g, &r);
    else {
        kf_status st = kf_search_table(g, all, &text, &err);
        print_text(st, text, &err);
    }
    if (r.met) return;
    fprintf(
        stderr,
        "kitfox: note: the target was not met: %.2f points lost and cosine %.6f on %d held-out samples with %.2f %% "
        "of MACs in int16; this is the best found; raise --max-int16-macs, or give more samples\n",
        r.drop, r.cosine, r.held_out, r.int16_macs);
}

static void print_line(const kf_judgement *r, const char *out, double seconds) {
    printf("%s: %zu of %zu samples, ", out, r->used, r->samples);
    if (isnan(r->agreement)) printf("output cosine with float %.6f", r->cosine);
    else printf("top-1 agreement with float %.2f %%", r->agreement);
    if (isnan(r->agreement)) printf(" on them");
    else printf(" on them (95 %% interval for others like them: %.1f to %.1f %%)", r->low, r->high);
    printf(", output SQNR %.2f dB, %.1f s\n", r->sqnr, seconds);
}

kf_status quantize_print_summary(const quantize_job *job, const kf_judge *judge, const char *out, double seconds,
                                 kf_error *err) {
    kf_judgement r = {.size = sizeof r};
    KF_TRY(kf_judge_get(judge, &r, err));
    if (job->common.json) {
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:s?,s:s?,s:I,s:I,s:o,s:o,s:o,s:o,s:f,s:I,s:o,s:f,s:f,s:I,s:s}", "kind",
                                "quantized", "model", job->model, "output", out, "calib", job->calib, "data", job->data,
                                "samples", (json_int_t)r.used, "distinct", (json_int_t)r.distinct, "agreement",
                                cli_real(r.agreement), "agreement_low", cli_real(r.low), "agreement_high",
                                cli_real(r.high), "sqnr_db", cli_real(r.sqnr), "seconds", seconds, "bytes",
                                (json_int_t)compared_file_bytes(out), "test", r.tests ? compared_json(r.tests) : NULL,
                                "float_ms", r.float_ms, "ms", r.ms, "skipped", (json_int_t)job->skipped,
                                "preprocess_origin", kf_origin_name(job->origin)));
    } else {
        print_line(&r, out, seconds);
        if (r.tests) printf("on %s:\n", job->data);
        if (r.tests) compared_print(r.tests);
    }
    if (r.ms > r.float_ms)
        fprintf(stderr,
                "kitfox: note: the quantized model is slower than its float form on this CPU (%s, threads 1): %.3f and "
                "%.3f ms\n",
                kf_cpu_name(), r.ms, r.float_ms);
    return KF_OK;
}

static int progress(void *user, size_t done, size_t total) {
    (void)user;
    return cli_progress("pictures", done, total);
}

void quantize_judging(quantize_job *job, kf_judge_options *how) {
    cli_model_options(&job->common, &job->limits);
    kf_judge_options_init(how);
    how->data = job->data, how->threads = job->common.threads;
    how->node_images = job->report ? NODE_IMAGES : 0;
    how->model = &job->limits;
    how->skipped = job->choice.strict ? NULL : cli_line;
    how->notice = cli_note, how->progress = progress, how->fewer_threads = cli_fewer_threads;
}

kf_status quantize_write_page(const quantize_job *job, const kf_judge *judge, const kf_graph *g, const char *model,
                              const char *out, kf_error *err) {
    void *html;
    size_t bytes;
    if (!job->report) return KF_OK;
    KF_TRY(kf_judge_page(judge, g, model, out, &html, &bytes, err));
    kf_status st = cli_write(job->report, html, bytes, err);
    free(html);
    return st;
}
