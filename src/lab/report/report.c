/* The page: summary, sections about nodes (report_nodes.c), pictures that flipped, classes.
 * Built in memory.
 * Owner rule: see report.h. */
#include "report/report.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "compare/feed.h"
#include "data/text.h"
#include "report/html.h"
#include "data/plain.h"

enum { THUMBNAILS = 60, NAMES = 1000, SIDE = 112 }; /* of flipped pictures: with their picture; in all; pixels a side */

void kf__report_number(FILE *f, double x, int digits) {
    if (isnan(x)) fputs("<td></td>", f);
    else if (isinf(x)) fputs("<td>exact</td>", f);
    else kf__lab_write(f, "<td>%.*f</td>", digits, x);
}

/* ---- summary ----------------------------------------------------------------------------------------------------- */

static void two(FILE *f, const char *what, double a, double b) {
    kf__lab_write(f, "<tr><td>%s</td><td>%.2f %%</td><td>%.2f %%</td></tr>\n", what, a, b);
}

/* Percent points with their sign; what rounds to nothing is not below it. */
static const char *points(double x, char text[16]) {
    kf__lab_print(text, 16, "%+.2f", x);
    if (strcmp(text, "-0.00") == 0) text[0] = '+';
    return text;
}

static void labelled_rows(FILE *f, const kf_comparison_summary *s) {
    char text[3][16];
    fprintf(f, "<tr><td>with a label</td><td colspan=\"2\">%zu</td></tr>\n", s->labelled);
    two(f, "top-1", s->top1[0], s->top1[1]);
    two(f, "top-5", s->top5[0], s->top5[1]);
    fprintf(f,
            "<tr><td>right to wrong</td><td colspan=\"2\">%zu</td></tr>\n<tr><td>wrong to right</td><td "
            "colspan=\"2\">%zu</td></tr>\n",
            s->lost, s->won);
    kf__lab_write(f, "<tr><td>McNemar's exact p</td><td colspan=\"2\">%.4g</td></tr>\n", s->p);
    fprintf(f,
            "<tr><td>top-1, B - A</td><td colspan=\"2\">%s points</td></tr>\n<tr><td>its 95 %% interval</td><td "
            "colspan=\"2\">%s to %s points</td></tr>\n",
            points(s->difference, text[0]), points(s->low, text[1]), points(s->high, text[2]));
}

static void verdict(FILE *f, const kf_comparison_summary *s) {
    char text[2][16];
    if (!s->labelled) {
        fputs("<p id=\"verdict\">These pictures have no labels, so nothing is said about right and wrong: agreement "
              "counts equal answers, and accuracies, McNemar's test and the interval are left out.</p>\n",
              f);
        return;
    }
    fputs("<p id=\"verdict\">", f);
    if (s->low <= 0 && s->high >= 0)
        fprintf(f,
                "The interval holds 0: on %zu pictures the difference in top-1 cannot be told from none. It may be as "
                "low as %s and as high as %s points.",
                s->labelled, points(s->low, text[0]), points(s->high, text[1]));
    else fprintf(f, "The interval leaves out 0: B is %s than A.", s->difference < 0 ? "worse" : "better");
    fputs(" The interval is Tango's score interval for paired proportions (Stat. Med. 17, 1998); the test counts only "
          "pictures whose answer changed side.</p>\n",
          f);
}

static void sizes(FILE *f, const report *r) {
    if (r->o.bytes[0] <= 0 || r->o.bytes[1] <= 0) return;
    kf__lab_write(f,
                  "<tr><td>file size</td><td>%lld bytes</td><td>%lld bytes</td></tr>\n<tr><td>size, A / B</td><td "
                  "colspan=\"2\">%.2f</td></tr>\n",
                  (long long)r->o.bytes[0], (long long)r->o.bytes[1], (double)r->o.bytes[0] / (double)r->o.bytes[1]);
}

static void summary(FILE *f, const report *r, const kf_comparison_summary *s) {
    fputs("<p>A: ", f);
    kf__html_text(f, r->o.names[0]);
    fputs("<br>B: ", f);
    kf__html_text(f, r->o.names[1]);
    fputs("</p>\n<p>", f);
    kf__html_text(f, r->o.basis);
    fputs("</p>\n<h2>Summary</h2>\n<table id=\"summary\"><tr><th></th><th>A</th><th>B</th></tr>\n", f);
    fprintf(f, "<tr><td>pictures</td><td colspan=\"2\">%zu</td></tr>\n", s->images);
    if (s->ranked)
        kf__lab_write(f,
                      "<tr><td>same top-1</td><td colspan=\"2\">%.2f %%</td></tr>\n"
                      "<tr><td>A's top-1 in B's top-5</td><td colspan=\"2\">%.2f %%</td></tr>\n",
                      s->agreement, s->in_top5);
    if (s->labelled) labelled_rows(f, s);
    kf__lab_write(f, "<tr><td>output cosine</td><td colspan=\"2\">%.6f</td></tr>\n", s->cosine);
    if (s->identical) fputs("<tr><td>output SQNR</td><td colspan=\"2\">exact</td></tr>\n", f);
    else kf__lab_write(f, "<tr><td>output SQNR</td><td colspan=\"2\">%.2f dB</td></tr>\n", s->sqnr);
    sizes(f, r);
    fputs("</table>\n", f);
    verdict(f, s);
}

/* ---- pictures that flipped --------------------------------------------------------------------------------------- */

static const char *const KIND[] = {"right to wrong", "wrong to right", "both wrong, differently",
                                   "another answer, no label"};

/* Index into KIND, or -1: the same answer. */
static int kind_of(const kf_compared_picture *a) {
    if (a->said[0] == a->said[1]) return -1;
    if (a->truth < 0) return 3;
    if (a->said[0] == a->truth) return 0;
    return a->said[1] == a->truth ? 1 : 2;
}

static const char *label_of(const report *r, int64_t k) {
    const char *s = kf_model_label(r->w->models[0], (int32_t)k);
    if (!s || !*s) s = kf_model_label(r->w->models[1], (int32_t)k);
    return s && *s ? s : NULL;
}

/* Labels, or folders that are classes. */
static bool has_names(const report *r) {
    for (size_t k = 0; k < r->w->classes; k++)
        if (label_of(r, (int64_t)k) || kf__class_names_get(&r->names, (int64_t)k)) return true;
    return false;
}

static bool find_names(report *r) {
    bool ok = kf__class_names_open(&r->names, r->w->classes);
    for (size_t i = 0; ok && i < r->w->samples->n; i++)
        ok = kf__class_names_add(&r->names, r->w->pictures[i].truth, r->w->samples->paths[i]);
    return ok && kf__class_names_end(&r->names);
}

static void class_name(FILE *f, const report *r, long k) {
    const char *s = label_of(r, k);
    if (!s) s = kf__class_names_get(&r->names, k);
    if (s) kf__html_text(f, s);
    else fprintf(f, "class %ld", k);
}

static void thumbnail(FILE *f, const report *r, size_t i) {
    kf__feed in;
    kf_error err;
    if (kf__feed_load(r->w, i, &in, &err) == KF_OK) {
        if (in.tensor.data && in.tensor.dtype == KF_U8) kf__feed_picture(&in.tensor, &in.full, &err);
        if (in.full.pixels) kf__html_thumbnail(f, &in.full, SIDE);
    }
    kf__feed_unload(&in);
}

static void flipped(FILE *f, const report *r) {
    size_t shown = 0, n = 0;
    for (size_t i = 0; i < r->w->samples->n; i++) n += kind_of(&r->w->pictures[i]) >= 0;
    fprintf(f, "<h2>Pictures with another answer</h2>\n<p>%zu of %zu.", n, r->w->samples->n);
    if (n > THUMBNAILS)
        fprintf(f, " The first %d are shown, %zu are listed by name.", THUMBNAILS,
                (n < NAMES ? n : NAMES) - THUMBNAILS);
    if (n && !has_names(r)) fputs(" The models have no labels, so classes are numbers; --labels FILE names them.", f);
    fputs("</p>\n<table id=\"flips\"><tr><th>picture</th><th class=\"t\">file</th><th class=\"t\">what "
          "happened</th><th class=\"t\">label</th><th class=\"t\">A says</th><th class=\"t\">B says</th></tr>\n",
          f);
    for (int kind = 0; kind < 4; kind++)
        for (size_t i = 0; i < r->w->samples->n && shown < NAMES; i++) {
            const kf_compared_picture *a = &r->w->pictures[i];
            if (kind_of(a) != kind) continue;
            fputs("<tr><td>", f);
            if (shown++ < THUMBNAILS) thumbnail(f, r, i);
            fputs("</td><td class=\"t\">", f);
            kf__html_text(f, r->w->samples->paths[i]);
            fprintf(f, "</td><td class=\"t\">%s</td><td class=\"t\">", KIND[kind]);
            if (a->truth >= 0) class_name(f, r, a->truth);
            for (int side = 0; side < 2; side++) {
                fputs("</td><td class=\"t\">", f);
                class_name(f, r, a->said[side]);
            }
            fputs("</td></tr>\n", f);
        }
    fputs("</table>\n", f);
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

typedef struct tally {
    size_t n, right[2], lost, won;
} tally;

static void class_rows(FILE *f, const report *r, const tally *t) {
    size_t empty = 0, other = 0;
    fputs("<table id=\"classes\"><tr><th>class</th><th>pictures</th><th>A</th><th>B</th><th>right to "
          "wrong</th><th>wrong to right</th><th>McNemar's exact p</th></tr>\n",
          f);
    for (size_t k = 0; k < r->w->classes; k++) {
        double n = (double)t[k].n;
        empty += t[k].n == 0;
        if (t[k].lost + t[k].won == 0) continue;
        other++;
        fputs("<tr><td>", f);
        class_name(f, r, (long)k);
        kf__lab_write(f,
                      "</td><td>%zu</td><td>%.2f %%</td><td>%.2f %%</td><td>%zu</td><td>%zu</td><td>%.3g</td></tr>\n",
                      t[k].n, 100 * (double)t[k].right[0] / n, 100 * (double)t[k].right[1] / n, t[k].lost, t[k].won,
                      kf_mcnemar(t[k].lost, t[k].won));
    }
    fprintf(f, "</table>\n<p>%zu of %zu classes have flips. %zu of %zu classes have no pictures here.</p>\n", other,
            r->w->classes, empty, r->w->classes);
}

static bool classes(FILE *f, const report *r, const kf_comparison_summary *s) {
    if (!s->labelled) return true;
    tally *t = calloc(r->w->classes + 1, sizeof *t);
    if (!t) return false;
    for (size_t i = 0; i < r->w->samples->n; i++) {
        const kf_compared_picture *a = &r->w->pictures[i];
        if (a->truth < 0) continue;
        tally *to = &t[a->truth];
        bool right[2] = {a->said[0] == a->truth, a->said[1] == a->truth};
        to->n++;
        for (int side = 0; side < 2; side++) to->right[side] += right[side];
        to->lost += right[0] && !right[1];
        to->won += !right[0] && right[1];
    }
    fputs("<h2>Classes with flips</h2>\n<p>With many classes some small p come by chance alone.</p>\n", f);
    class_rows(f, r, t);
    free(t);
    return true;
}

static const char STYLE[] =
    "figure{margin:.3em 1em .8em "
    "0;display:inline-block;vertical-align:top;max-width:24em}figcaption{font-size:12px;color:#444}\n"
    ".bar{fill:#4a78b5}.cut{fill:#d9822b}.wide{stroke:#b3202a}.tight{stroke:#b3202a;stroke-dasharray:3 "
    "3}.axis{stroke:#888}.grid{stroke:#ddd}\n"
    ".line0,.line1,.line2,.line3{fill:none;stroke-width:1.5}.line0{stroke:#b3202a}.line1{stroke:#4a78b5}.line2{stroke:#"
    "3a8a4a}.line3{stroke:#888}\n"
    "svg .key0{fill:#b3202a}svg .key1{fill:#4a78b5}svg .key2{fill:#3a8a4a}summary{cursor:pointer}\n";

void kf_comparison_page_options_init(kf_comparison_page_options *options) {
    *options = (kf_comparison_page_options){
        .size = sizeof *options, .title = "Two models compared", .names = {"A", "B"}, .basis = ""};
}

kf_status kf_comparison_page(const kf_comparison *comparison, const kf_comparison_page_options *options, void **html,
                             size_t *bytes, kf_error *err) {
    if (!comparison || !html || !bytes)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_comparison_page: comparison, html and bytes are needed");
    report r = {.w = comparison};
    char *text = NULL;
    size_t n = 0;
    *html = NULL, *bytes = 0;
    kf_comparison_page_options_init(&r.o);
    KF_TRY(kf_options_read(&r.o, options, "kf_comparison_page_options", err));
    bool ok = find_names(&r);
    FILE *f = ok ? open_memstream(&text, &n) : NULL;
    if (!f) {
        kf__class_names_close(&r.names);
        KF_FAIL(err, KF_ERR_MEMORY, "out of memory for the page");
    }
    kf__html_head(f, r.o.title, STYLE);
    summary(f, &r, &comparison->summary);
    kf__report_nodes(f, &r);
    flipped(f, &r);
    ok = classes(f, &r, &comparison->summary);
    kf__class_names_close(&r.names);
    fputs("</body></html>\n", f);
    if (ok) return kf__stream_take(f, &text, &n, html, bytes, err);
    fclose(f);
    free(text);
    KF_FAIL(err, KF_ERR_MEMORY, "out of memory for the page");
}
