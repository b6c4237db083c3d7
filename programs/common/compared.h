/* A comparison as the verbs show it: lines, JSON, a page in a file.
 * Owner rule: borrows everything. */
#ifndef KITFOX_COMPARED_H
#define KITFOX_COMPARED_H

#include "common/cli.h"
#include "kitfox/lab.h"

/** The summary's keys; those that need labels are null without. */
json_t *compared_json(const kf_comparison_summary *s);
/** The same for people, some lines. */
void compared_print(const kf_comparison_summary *s);
/** The nodes, worst first, as lines of a table or of JSON. MEMORY. */
kf_status compared_print_nodes(const kf_comparison *w, bool json, kf_error *err);
/** kf_compare with a line about the progress where standard error is a terminal. */
kf_status compared_run(const kf_model *const *m, const kf_samples *p, kf_compare_options *o, kf_comparison *out,
                       kf_error *err);
/** A note where two models prepare pictures differently: then their weights do not explain all differences. */
void compared_note_preprocessing(const kf_model *const m[2]);
/** Bytes of a model's file, of the built-in one for NULL or its name; 0 where it cannot be told. */
int64_t compared_file_bytes(const char *path);
/** Write the page to `path`, whole or not at all. IO, MEMORY. */
kf_status compared_page(const char *path, const kf_comparison *c, const kf_comparison_page_options *o, kf_error *err);

#endif
