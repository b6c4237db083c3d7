/* kitfox export MODEL -o OUT.onnx: the network as it compiles, in standard operators.
 * Owner rule: see cli_rewrite. */
#include "common/cli.h"

int cmd_export(int argc, char **argv) {
    return cli_rewrite(argc, argv, KF_OPTIMIZE_FUSE,
                       "Write the optimized network as ONNX: what compiles, spelled out in standard operators. MODEL "
                       "is .onnx, .safetensors or a compiled .kfx; "
                       "a quantized one becomes QDQ (QuantizeLinear, DequantizeLinear).");
}
