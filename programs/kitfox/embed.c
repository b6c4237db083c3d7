/* Build-time helper: compiles the built-in model, everyday10, into the .kfx that the program embeds.
 * Owner rule: reads a checkpoint and the JSON file beside it, writes one file. */
#include <stdio.h>

#include "kitfox/compile.h"

int main(int argc, char **argv) {
    kf_error err = {0};
    kf_graph *g = NULL;
    if (argc != 3) return 2;
    kf_status st = kf_graph_import(argv[1], NULL, &g, &err);
    if (st == KF_OK) st = kf_graph_save(g, argv[2], &err);
    if (st != KF_OK) fprintf(stderr, "%s\n", err.text);
    kf_graph_destroy(&g);
    return st == KF_OK ? 0 : 1;
}
