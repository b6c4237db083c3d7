/* The bar of transfers: share, bytes, and bytes per second of this attempt.
 * Owner rule: see bar.h. */
#include "common/bar.h"

#include <stdio.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cli.h"

enum { WIDTH = 30, WIDE = 78, MIB = 1 << 20 };

void cli_bar_end(cli_bar *bar) {
    if (bar->drawn) cli_terminal_status("");
    bar->drawn = false;
    bar->begun = 0;
}

static void draw(const cli_bar *bar, uint64_t done, uint64_t total, double ms) {
    double share = total ? (double)done / (double)total : 0, rate = (double)(done - bar->from) / MIB / (ms / 1e3);
    int full = (int)(share * WIDTH);
    size_t columns = cli_terminal_columns(STDERR_FILENO);
    char text[200], left[40];
    cli_time_left(ms, (double)(done - bar->from), (double)total - (double)bar->from, left);
    int at = 0;
    if (!columns || columns >= WIDE)
        at = snprintf(text, sizeof text, "[%.*s%*s] ", full, "##############################", WIDTH - full, "");
    snprintf(text + at, sizeof text - (size_t)at, "%3.0f %%  %.1f MiB  %.1f MiB/s%s", 100 * share, (double)done / MIB,
             rate, left);
    cli_terminal_status(text);
}

void cli_bar_bytes(cli_bar *bar, uint64_t done, uint64_t total) {
    double now = cli_now_ms();
    if (!bar->shown) return;
    if (done == 0 && total == 0) {
        cli_bar_end(bar);
        return;
    }
    if (bar->begun == 0 || done < bar->from) bar->begun = now, bar->from = done;
    if (now - bar->last < 100) return;
    bar->last = now;
    draw(bar, done, total, now - bar->begun + 1);
    bar->drawn = true;
}
