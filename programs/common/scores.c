/* Best classes, printed: JSON for programs, bars for people.
 * Owner rule: borrows the scores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cli.h"

enum { BAR = 24, CELL = 3, WIDE = 60 }; /* characters of a bar, most bytes of one, columns for it */

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
    bool plain = cli_terminal_is_dumb();
    const char *on = plain ? "#" : "\xe2\x96\x88";
    const char *off = plain ? "." : "\xc2\xb7";
    char *at = bar;
    for (int i = 0; i < BAR; i++) at += sprintf(at, "%s", i < full ? on : off);
}

/* A narrow terminal has no room for the bar. */
void cli_print_scores(const kf_score *top, size_t n) {
    size_t columns = cli_terminal_columns(STDOUT_FILENO);
    for (size_t i = 0; i < n; i++) {
        char bar[BAR * CELL + 1] = "";
        draw_bar((double)top[i].score, bar);
        cli_terminal_green(true);
        if (!columns || columns >= WIDE) printf("  %s", bar);
        cli_terminal_green(false);
        printf(" %6.2f %%  %4d  %s\n", (double)top[i].score * 100, top[i].index,
               top[i].label ? cli_shown(top[i].label) : "");
    }
}
