/* A hint where pictures would be prepared better in another way: channels swapped, another mean and std.
 * Owner rule: borrows everything for the call. */
#ifndef KITFOX_DOCTOR_H
#define KITFOX_DOCTOR_H

#include "common/cli.h"

/** Run up to 20 of the loaded `samples`, spread evenly, through `m` as its preprocessing says and in the other usual
 *  ways, and say in a note about `name` when one of them is clearly better. Silent where that means nothing: no
 *  classifier, no pictures of three channels, quantized, fewer than 10 pictures. A failure is silent too: this is a
 *  hint. `threads` as for kf_session_options. */
void doctor_look(const char *name, const kf_model *m, const kf_samples *samples, int threads);
/** The same for a graph, which is compiled for it. */
void doctor_look_graph(const char *name, kf_graph *g, const cli_common *c, const kf_samples *samples);
/** The same for labelled pictures, of which 20 are loaded. */
void doctor_look_dataset(const char *name, const kf_model *m, const kf_dataset *d, int threads);

#endif
