/* Lines, JSON and pages of a comparison.
 * Owner rule: see compared.h. */
#include "common/compared.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/files.h"

json_t *compared_json(const kf_comparison_summary *s) {
    bool known = s->labelled > 0;
    json_t *o = cli_pack("{s:I,s:o,s:o,s:f,s:o,s:b,s:I}", "images", (json_int_t)s->images, "agreement",
                         cli_real(s->agreement), "top1_in_top5", cli_real(s->in_top5), "cosine", s->cosine, "sqnr_db",
                         cli_real(s->sqnr), "identical", s->identical, "labelled", (json_int_t)s->labelled);
    const struct {
        const char *key;
        double value;
    } REAL[] = {{"top1_a", s->top1[0]},     {"top1_b", s->top1[1]},      {"top5_a", s->top5[0]},
                {"top5_b", s->top5[1]},     {"mcnemar_p", s->p},         {"difference", s->difference},
                {"difference_low", s->low}, {"difference_high", s->high}};
    for (size_t i = 0; o && i < sizeof REAL / sizeof *REAL; i++)
        json_object_set_new(o, REAL[i].key, known ? cli_real(REAL[i].value) : json_null());
    if (o) json_object_set_new(o, "right_to_wrong", known ? json_integer((json_int_t)s->lost) : json_null());
    if (o) json_object_set_new(o, "wrong_to_right", known ? json_integer((json_int_t)s->won) : json_null());
    return o;
}

/* Percent points with their sign; what rounds to nothing is not below it. */
static const char *points(double x, char text[16]) {
    snprintf(text, 16, "%+.2f", x);
    if (strcmp(text, "-0.00") == 0) text[0] = '+';
    return text;
}

void compared_print(const kf_comparison_summary *s) {
    char difference[3][16];
    printf("%zu pictures: ", s->images);
    if (!s->identical && s->ranked)
        printf("top-1 agreement %.2f %%, A's top-1 in B's top-5 %.2f %%, ", s->agreement, s->in_top5);
    if (s->identical) puts("outputs identical");
    else printf("output cosine %.6f, SQNR %.2f dB\n", s->cosine, s->sqnr);
    if (!s->labelled) return;
    printf("%zu labelled: top-1 A %.2f %%, B %.2f %%; top-5 A %.2f %%, B %.2f %%\n", s->labelled, s->top1[0],
           s->top1[1], s->top5[0], s->top5[1]);
    printf("flips: %zu right to wrong, %zu wrong to right, McNemar's exact p %.4g\n", s->lost, s->won, s->p);
    printf("B - A: %s points, 95 %% interval %s to %s (Tango's paired score interval)\n",
           points(s->difference, difference[0]), points(s->low, difference[1]), points(s->high, difference[2]));
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

/* Worst first; exact ones and those in one model only come last. */
static int by_sqnr(const void *a, const void *b) {
    const kf_compared_node *x = *(const kf_compared_node *const *)a, *y = *(const kf_compared_node *const *)b;
    double u = isfinite(x->sqnr) ? x->sqnr
               : isnan(x->sqnr)  ? 1e300
                                 : 1e299,
           v = isfinite(y->sqnr) ? y->sqnr
               : isnan(y->sqnr)  ? 1e300
                                 : 1e299;
    return u != v ? (u > v) - (u < v) : (x > y) - (x < y);
}

static void print_node_json(const kf_compared_node *n) {
    if (n->step[0] < 0 || n->step[1] < 0) {
        int side = n->step[0] < 0;
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:s}", "kind", "node", "node", n->name, "op", n->info[side]->op,
                                "only_in", side ? "b" : "a"));
        return;
    }
    cli_print_json(cli_pack("{s:s,s:s,s:s,s:s,s:s,s:f,s:o,s:o,s:o,s:o,s:I,s:b}", "kind", "node", "node", n->name, "op",
                            n->info[1]->op, "dtype_a", kf_dtype_name(n->info[0]->dtype), "dtype_b",
                            kf_dtype_name(n->info[1]->dtype), "cosine", n->cosine, "sqnr_db", cli_real(n->sqnr),
                            "alone_cosine", cli_real(n->alone_cosine), "alone_sqnr_db", cli_real(n->alone_sqnr),
                            "cost_sqnr_db", cli_real(n->cost), "macs", (json_int_t)n->info[1]->macs, "rescaled",
                            n->rescaled));
}

/* A column of dB: exact outputs have no error. */
static const char *decibels(double x, char *to, size_t size) {
    if (isfinite(x)) snprintf(to, size, "%.2f", x);
    else snprintf(to, size, "%s", isnan(x) ? "" : "exact");
    return to;
}

static void print_node(const kf_compared_node *n) {
    char s[3][32];
    if (n->step[0] < 0 || n->step[1] < 0) {
        printf("%-48.48s %-12s only in %s\n", n->name, n->info[n->step[0] < 0]->op, n->step[0] < 0 ? "B" : "A");
        return;
    }
    printf("%-48.48s %-12s %-4s %-4s %9.6f %8s %8s %8s%s\n", n->name, n->info[1]->op, kf_dtype_name(n->info[0]->dtype),
           kf_dtype_name(n->info[1]->dtype), n->cosine, decibels(n->sqnr, s[0], sizeof s[0]),
           decibels(n->alone_sqnr, s[1], sizeof s[1]), decibels(n->cost, s[2], sizeof s[2]),
           n->rescaled ? "  rescaled" : "");
}

kf_status compared_print_nodes(const kf_comparison *w, bool json, kf_error *err) {
    const kf_compared_node **sorted = malloc((w->n_nodes + 1) * sizeof *sorted);
    if (!sorted) return cli_error(err, KF_ERR_MEMORY, "out of memory for the node table");
    for (size_t i = 0; i < w->n_nodes; i++) sorted[i] = &w->nodes[i];
    qsort(sorted, w->n_nodes, sizeof *sorted, by_sqnr);
    if (!json)
        printf("\n%-48s %-12s %-4s %-4s %9s %8s %8s %8s   (SQNR in dB, %zu pictures)\n", "node", "type", "A", "B",
               "cosine", "SQNR", "alone", "cost", w->node_images);
    for (size_t i = 0; i < w->n_nodes; i++) {
        if (json) print_node_json(sorted[i]);
        else print_node(sorted[i]);
    }
    free(sorted);
    return KF_OK;
}

/* ---- work -------------------------------------------------------------------------------------------------------- */

static int progress(void *user, size_t done, size_t total) {
    (void)user;
    return cli_progress("pictures", done, total);
}

kf_status compared_run(const kf_model *const *m, const kf_samples *p, kf_compare_options *o, kf_comparison *out,
                       kf_error *err) {
    o->progress = progress;
    o->fewer_threads = cli_fewer_threads;
    cli_cancel_on();
    cli_progress("pictures", 0, 0);
    kf_status st = kf_compare(m[0], m[1], p, o, out, err);
    cli_cancel_off();
    return st;
}

void compared_note_preprocessing(const kf_model *const m[2]) {
    kf_model_info i[2] = {{.size = sizeof i[0]}, {.size = sizeof i[1]}};
    for (int k = 0; k < 2; k++) kf_model_get_info(m[k], &i[k], NULL);
    const kf_preprocess *a = &i[0].preprocess, *b = &i[1].preprocess;
    bool same = a->valid == b->valid;
    const kf_field *f;
    for (int k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        for (int c = 0; c < f->n; c++)
            same = same && fabs(kf_preprocess_get(a, f, c) - kf_preprocess_get(b, f, c)) < 1e-6;
    if (!same)
        fprintf(stderr, "kitfox: note: A and B prepare pictures differently, so their differences are not the weights' "
                        "alone; --preprocess sets it for a model that is imported\n");
}

int64_t compared_file_bytes(const char *path) {
    struct stat st;
    const void *builtin;
    if (!path || strcmp(path, "everyday10") == 0) return (int64_t)cli_builtin(&builtin);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : 0;
}

kf_status compared_page(const char *path, const kf_comparison *c, const kf_comparison_page_options *o, kf_error *err) {
    void *html;
    size_t bytes;
    KF_TRY(kf_comparison_page(c, o, &html, &bytes, err));
    kf_status st = cli_write(path, html, bytes, err);
    free(html);
    return st;
}
