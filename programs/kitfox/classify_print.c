/* One picture of `classify`: its classes or why it failed, on standard output, standard error or as JSON.
 * Owner rule: see classify_print.h. */
#include "kitfox/classify_print.h"

#include <stdio.h>

#include "common/annotate.h"

static void print_error(const classify_printing *p, const char *path, kf_status status, const char *why) {
    if (!p->json) cli_say("%s", why);
    else
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:o}", "kind", "picture", "model", p->model, "image", path, "error",
                                cli_error_json(status, why)));
}

int classify_print(void *user, const kf_classified *c) {
    classify_printing *p = user;
    kf_error err = {0};
    if (c->error) {
        p->skipped++;
        print_error(p, c->path, c->status, c->error);
        return p->strict;
    }
    p->done++;
    if (p->json) {
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:o,s:f,s:s}", "kind", "picture", "model", p->model, "image", c->path,
                                "top", cli_scores(c->top, c->n), "ms", c->ms, "preprocess_origin",
                                kf_origin_name(p->origin)));
    } else {
        printf("%s  (%.2f ms)\n", cli_shown(c->path), c->ms);
        cli_print_scores(c->top, c->n);
    }
    if (p->annotate && cli_annotate(c->image, c->path, c->top, c->n, p->annotate, &err) != KF_OK) {
        p->failed = true;
        print_error(p, c->path, err.status, err.text);
    }
    return 0;
}
