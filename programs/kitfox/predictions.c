/* One line a picture: its name, its class, the five best.
 * Owner rule: see predictions.h. */
#include "kitfox/predictions.h"

#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"

enum { TOP = 5 };

kf_status predictions_begin(predictions *p, const char *path, kf_error *err) {
    *p = (predictions){.path = path};
    if (!path) return KF_OK;
    p->f = open_memstream(&p->text, &p->bytes);
    if (!p->f) return cli_error_at(err, KF_ERR_MEMORY, path, "out of memory; free some");
    fputs("file,class_index,top1,top2,top3,top4,top5\n", p->f);
    return KF_OK;
}

/* A name with a comma or a quote is quoted, as it is read. */
static void put_name(FILE *f, const char *s) {
    bool quote = strpbrk(s, ",\"") != NULL;
    if (quote) fputc('"', f);
    for (; *s; s++) {
        if (*s == '"') fputc('"', f);
        fputc(*s, f);
    }
    if (quote) fputc('"', f);
}

void predictions_add(void *user, const kf_prediction *prediction) {
    FILE *f = ((predictions *)user)->f;
    if (prediction->error) cli_say("%s", prediction->error);
    if (!f) return;
    put_name(f, prediction->item.name);
    fprintf(f, ",%lld", (long long)prediction->item.truth);
    for (size_t k = 0; k < TOP; k++) fprintf(f, ",%d", k < prediction->n ? prediction->top[k].index : -1);
    fputc('\n', f);
}

kf_status predictions_end(predictions *p, kf_status st, kf_error *err) {
    if (p->f && st == KF_OK) return cli_write_stream(p->path, p->f, &p->text, &p->bytes, err);
    if (p->f) fclose(p->f);
    free(p->text);
    return st;
}
