/* The verbs of kitfox-run, in the order in which they are listed. It has no library of its own.
 * Owner rule: static text. */
#include "common/cli.h"

const cli_verb cli_verbs[] = {
    {"classify", cmd_classify, "top-k labels of pictures"},
    {"stream", cmd_stream, "camera frames on standard input, one JSON line each"},
    {"info", cmd_info, "inputs, outputs, preprocessing, parameters, MACs"},
    {"verify", cmd_verify, "does this machine compute what the model file says"},
    {"bench", cmd_bench, "latency, frames per second, memory"},
    {NULL, NULL, NULL},
};

const char *const cli_tools[] = {NULL};

const cli_library cli_libraries[] = {{NULL, NULL, {NULL}, NULL, false}};
