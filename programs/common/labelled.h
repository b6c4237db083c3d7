/* Labelled pictures: class folders, labels.csv, or a list of either.
 * Owner rule: cli_labelled_free releases what cli_labelled_load made. */
#ifndef KITFOX_LABELLED_H
#define KITFOX_LABELLED_H

#include <stddef.h>

#include "kitfox/kitfox.h"

/** One picture: where it is, how the data set names it, its class. */
typedef struct cli_labelled_one {
    char *path, *name;
    long truth; /**< as wide as it was read: a number past 2^32 must not wrap into a class */
} cli_labelled_one;

typedef struct cli_labelled {
    cli_labelled_one *items;
    size_t n;
} cli_labelled;

/** List the pictures of folder `data`: those of its labels.csv ("file,class_index", header optional, further columns
 * ignored, names with commas in double quotes), else those of its class folders, which are classes 0, 1, ... in sorted
 * order unless they are named like labels of `m`. With `list` ("-" is standard input) only the pictures on its lines,
 * "file" or "file,class_index", in that order. Lines that cannot be read are printed with their numbers, ten at most,
 * and nothing is loaded. Errors: IO, FORMAT, MEMORY. */
kf_status cli_labelled_load(const char *data, const char *list, const kf_model *m, cli_labelled *out, kf_error *err);
/** How many sub-folders `data` has: the class folders, empty ones too; 0 where it cannot be listed. */
size_t cli_labelled_folders(const char *data);
void cli_labelled_free(cli_labelled *p);

#endif
