/* What a file argument is: a model, or a picture.
 * Owner rule: nothing is kept. */
#ifndef KITFOX_KINDS_H
#define KITFOX_KINDS_H

#include "kitfox/kitfox.h"

typedef enum cli_kind {
    CLI_UNKNOWN,  /* neither, or not there */
    CLI_PICTURE,  /* what kf_image_load reads */
    CLI_COMPILED, /* .kfx */
    CLI_SOURCE,   /* to be imported: ONNX, safetensors, or of another toolchain, which the import refuses */
    CLI_TORCH     /* .pth, .pt */
} cli_kind;

/** By the suffix, in either case, where it is a model's, else by the first bytes, else by the suffix. Pipes and "-" are
 *  not read: CLI_UNKNOWN. */
cli_kind cli_kind_of(const char *path);
/** UNSUPPORTED, with the line of Python that makes a file for KitFox, where `path` is a PyTorch file. */
kf_status cli_refuse_torch(const char *path, kf_error *err);

#endif
