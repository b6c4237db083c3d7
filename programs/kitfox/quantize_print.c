/* What the verb quantize prints: the node table, the search, and the last line.
 * Owner rule: nothing is kept. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/quantize.h"

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
        cli_print_json(json_pack("{s:s,s:s,s:f,s:o,s:f,s:s,s:I,s:o,s:o}", "node", n.name, "type", n.op, "cosine",
                                 n.cosine, "sqnr_db", cli_real(n.sqnr), "threshold", n.threshold, "datatype",
                                 kf_quantized_type(n.dtype), "macs", (json_int_t)n.macs, "alone_cosine",
                                 cli_real(n.alone_cosine), "alone_sqnr_db", cli_real(n.alone_sqnr)));
}

static json_t *decibel(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static void print_search_json(const kf_graph *g, const kf_search_result *r) {
    kf_search_candidate c = {.size = sizeof c};
    kf_error err;
    for (int32_t i = 0; kf_graph_search_candidate(g, i, &c, &err) == KF_OK; i++)
        cli_print_json(json_pack("{s:s,s:s,s:f,s:I,s:o}", "candidate", c.node, "what", c.weights ? "weights" : "output",
                                 "gain", c.gain, "macs", (json_int_t)c.macs, "place",
                                 c.place ? json_integer(c.place) : json_null()));
    cli_print_json(json_pack("{s:b,s:i,s:s,s:o,s:i,s:f,s:f,s:f,s:f,s:o,s:o,s:f}", "target_met", r->met, "held_out",
                             r->held_out, "drop_of", r->labelled ? "accuracy" : "agreement", "float_top1",
                             r->labelled ? json_real(r->float_top1) : json_null(), "promoted", r->promoted, "drop_int8",
                             r->drop_before, "drop", r->drop, "cosine_int8", r->cosine_before, "cosine", r->cosine,
                             "sqnr_db_int8", decibel(r->sqnr_before), "sqnr_db", decibel(r->sqnr), "int16_macs_percent",
                             r->int16_macs));
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

/* What the agreement on these samples says of others: the 95 % interval of as many as differ. */
static kf_status interval(const kf_samples *given, int32_t used, double agreement, kf_sample_facts *f, double ends[2],
                          kf_error *err) {
    *f = (kf_sample_facts){.size = sizeof *f};
    KF_TRY(kf_samples_check(given, NULL, NULL, NULL, f, err));
    size_t n = f->distinct < (size_t)used ? f->distinct : (size_t)used;
    kf_proportion_interval((size_t)lround(agreement / 100 * (double)n), n, &ends[0], &ends[1]);
    return KF_OK;
}

kf_status quantize_print_summary(const kf_graph *g, const char *out, const kf_samples *given, double seconds,
                                 const quantize_report *r, const quantize_pace *pace, bool json, kf_error *err) {
    double agreement, sqnr, ends[2];
    int32_t samples;
    kf_sample_facts f;
    KF_TRY(kf_graph_quantized_summary(g, &agreement, &sqnr, &samples, err));
    KF_TRY(interval(given, samples, agreement, &f, ends, err));
    if (json) {
        json_t *o = json_pack("{s:s,s:i,s:I,s:f,s:f,s:f,s:o,s:f,s:I}", "output", out, "samples", samples, "distinct",
                              (json_int_t)f.distinct, "agreement", agreement, "agreement_low", 100 * ends[0],
                              "agreement_high", 100 * ends[1], "sqnr_db", cli_real(sqnr), "seconds", seconds, "bytes",
                              (json_int_t)compared_file_bytes(out));
        quantize_report_tell(r, o);
        quantize_pace_tell(pace, o);
        cli_print_json(o);
    } else {
        printf(
            "%s: %d of %zu samples, top-1 agreement with float %.2f %% on them (95 %% interval for others like them: "
            "%.1f to %.1f %%), output SQNR %.2f dB, %.1f s\n",
            out, samples, given->n, agreement, 100 * ends[0], 100 * ends[1], sqnr, seconds);
        quantize_report_tell(r, NULL);
        quantize_pace_tell(pace, NULL);
    }
    return KF_OK;
}
