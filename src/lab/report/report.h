/* The page about two models: accuracies and flips with their uncertainty, what each node costs, how its values are
 * spread. Owner rule: borrows everything. */
#ifndef KITFOX_LAB_REPORT_H
#define KITFOX_LAB_REPORT_H

#include <stdio.h>

#include "data/class_names.h"
#include "kitfox/lab.h"

/** What the page is made of. Names may hold anything; they are escaped. */
typedef struct report {
    kf_comparison_page_options o;
    const kf_comparison *w;
    kf__class_names names; /* where no model has labels */
} report;

/** report_nodes.c: the sections about nodes. */
void kf__report_nodes(FILE *f, const report *r);
/** A cell with a number, or "exact" for an infinite ratio, or nothing for NAN. `digits` after the point. */
void kf__report_number(FILE *f, double x, int digits);

#endif
