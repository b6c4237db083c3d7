/* The bar of transfers: share, bytes, and bytes per second of this attempt.
 * Owner rule: see bar.h. */
#include "common/bar.h"

#include <stdio.h>

#include "common/cli.h"

enum { WIDTH = 30, MIB = 1 << 20 };

void cli_bar_end(cli_bar *bar) {
    if (bar->drawn) fprintf(stderr, "\r%70s\r", "");
    bar->drawn = false;
    bar->begun = 0;
}

static void draw(const cli_bar *bar, uint64_t done, uint64_t total, double seconds) {
    double share = total ? (double)done / (double)total : 0, rate = (double)(done - bar->from) / MIB / seconds;
    int full = (int)(share * WIDTH);
    fprintf(stderr, "\r[%.*s%*s] %3.0f %%  %.1f MiB  %.1f MiB/s ", full, "##############################", WIDTH - full,
            "", 100 * share, (double)done / MIB, rate);
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
    draw(bar, done, total, (now - bar->begun + 1) / 1e3);
    bar->drawn = true;
}
