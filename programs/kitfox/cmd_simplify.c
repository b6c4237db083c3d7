/* kitfox simplify IN.onnx -o OUT.onnx: constants folded, batch norms and pads merged, what does nothing removed.
 * Owner rule: see cli_rewrite. */
#include "common/cli.h"

int cmd_simplify(int argc, char **argv) {
    return cli_rewrite(
        argc, argv, KF_OPTIMIZE_SIMPLIFY,
        "Write a smaller ONNX file that computes the same. Opset and the names of inputs and outputs stay.");
}
