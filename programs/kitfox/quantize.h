/* What the two ways into the verb quantize share.
 * Floor 8.
 * Owner rule: nothing is kept. */
#ifndef KITFOX_QUANTIZE_VERB_H
#define KITFOX_QUANTIZE_VERB_H

#include <stdio.h>

#include "common/pictures.h"

/** The node table that scripts of the zoo's users search for, or one JSON object a line on standard output. */
void quantize_print_nodes(FILE *to, const kf_graph *g, bool json);
/** kitfox quantize CONFIG.yaml: everything from the file, outputs into its working_dir. `q` holds the switches of the command line. */
kf_status quantize_yaml(const char *path, const cli_common *common, const kf_quantize_options *q, size_t limit, kf_error *err);

#endif
