/* The verbs of kitfox, in the order in which they are listed.
 * Owner rule: static text. */
#include "common/cli.h"

const cli_verb cli_verbs[] = {
    {"classify", cmd_classify, "top-k labels of pictures"},
    {"stream", cmd_stream, "camera frames on standard input, one JSON line each"},
    {"run", cmd_run, "raw tensors in and out"},
    {"info", cmd_info, "inputs, outputs, preprocessing, parameters, MACs"},
    {"import", cmd_import, "ONNX to a compiled .kfx file"},
    {"check", cmd_check, "which nodes of an ONNX file compile, and into what"},
    {"simplify", cmd_simplify, "a smaller ONNX file that computes the same"},
    {"export", cmd_export, "the optimized float network as ONNX"},
    {"quantize", cmd_quantize, "8-bit model from a float one and typical pictures"},
    {"compare", cmd_compare, "how far two models agree on pictures"},
    {"eval", cmd_eval, "top-1 and top-5 on a labelled folder"},
    {"verify", cmd_verify, "does this machine compute what the model file says"},
    {"serve", cmd_serve, "an HTTP server: Open Inference Protocol, pictures, a page"},
    {"zoo", cmd_zoo, "architectures that a checkpoint can have"},
    {"bench", cmd_bench, "latency, frames per second, memory"},
    {"pull", cmd_pull, "published weights by name"},
    {"rdk", cmd_rdk, "hb_mapper, hrt_model_exec and hb_perf, by their names and flags"},
    {NULL, NULL, NULL},
};

const char *const cli_tools[] = {"hb_mapper", "hrt_model_exec", "hb_perf", NULL};
