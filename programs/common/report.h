/* The page about two models: accuracies and flips with their uncertainty, what each node costs, how its values are
 * spread. Owner rule: borrows everything. */
#ifndef KITFOX_REPORT_H
#define KITFOX_REPORT_H

#include "common/pair.h"

/** What the page is made of. Names may hold anything; they are escaped. */
typedef struct report {
    const char *title;
    const char *name[2];   /**< A, the reference, and B */
    const char *basis;     /**< a sentence: which pictures these are, and what they cannot tell */
    int64_t bytes[2];      /**< sizes of the files; 0: unknown, left out */
    const pair *w;         /**< after pair_run */
    const kf_graph *graph; /**< quantized with `detail`: its own record of the nodes and histograms; NULL: none */
} report;

/** Bytes of a model's file, of the built-in one for NULL or its name; 0 where it cannot be told. */
int64_t report_file_bytes(const char *path);
/** Write the page to `path`, whole or not at all. It loads nothing and needs no script. IO, MEMORY. */
kf_status report_write(const char *path, const report *r, kf_error *err);

/** report_nodes.c: the sections about nodes. */
void report_nodes(FILE *f, const report *r);
/** A cell with a number, or "exact" for an infinite ratio, or nothing for NAN. `digits` after the point. */
void report_number(FILE *f, double x, int digits);

#endif
