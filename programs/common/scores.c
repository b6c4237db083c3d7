/* Best classes, printed: JSON for programs, bars for people.
 * Owner rule: borrows the scores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cli.h"

enum { BAR = 24, CELL = 3 }; /* characters of a bar, and the most bytes of one */

json_t *cli_scores(const kf_score *top, size_t n) {
    char *text = NULL;
    kf_scores_json(top, n, &text, NULL);
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return list;
}

static void draw_bar(double score, char bar[BAR * CELL + 1]) {
    double share = fmin(fmax(score, 0), 1); /* scores need not be probabilities */
    int full = (int)(share * BAR + 0.5);
    char *at = bar;
    for (int i = 0; i < BAR; i++) at += sprintf(at, "%s", i < full ? "\xe2\x96\x88" : "\xc2\xb7");
}

void cli_print_scores(const kf_score *top, size_t n) {
    bool color = isatty(1) && !getenv("NO_COLOR");
    const char *begin = color ? "\033[32m" : "";
    const char *end = color ? "\033[0m" : "";
    for (size_t i = 0; i < n; i++) {
        char bar[BAR * CELL + 1] = "";
        draw_bar((double)top[i].score, bar);
        printf("  %s%s%s %6.2f %%  %4d  %s\n", begin, bar, end, (double)top[i].score * 100, top[i].index,
               top[i].label ? top[i].label : "");
    }
}
