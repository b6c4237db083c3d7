/* Model or picture: told by suffix and by first bytes, so that a renamed model is not decoded as a picture.
 * Owner rule: see kinds.h. */
#include "common/kinds.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli.h"

enum { HEAD = 512, FIRST_KEY = 64 }; /* bytes that are read; those that have a container's first key */

static const struct {
    const char *suffix;
    cli_kind kind;
} SUFFIXES[] = {{".kfx", CLI_COMPILED},   {".onnx", CLI_SOURCE},    {".safetensors", CLI_SOURCE}, {".pth", CLI_TORCH},
                {".pt", CLI_TORCH},       {".tflite", CLI_SOURCE},  {".keras", CLI_SOURCE},       {".h5", CLI_SOURCE},
                {".ckpt", CLI_SOURCE},    {".pb", CLI_SOURCE},      {".pkl", CLI_SOURCE},         {".ort", CLI_SOURCE},
                {".pdmodel", CLI_SOURCE}, {".mlmodel", CLI_SOURCE}, {".engine", CLI_SOURCE},      {".mnn", CLI_SOURCE}};

static cli_kind by_suffix(const char *path) {
    const char *dot = strrchr(cli_base_name(path), '.');
    for (size_t i = 0; dot && i < sizeof SUFFIXES / sizeof *SUFFIXES; i++)
        if (strcasecmp(dot, SUFFIXES[i].suffix) == 0) return SUFFIXES[i].kind;
    return kf_image_has_suffix(path) ? CLI_PICTURE : CLI_UNKNOWN;
}

static bool holds(const uint8_t *d, size_t n, const char *text) {
    size_t m = strlen(text);
    for (size_t i = 0; i + m <= n; i++)
        if (memcmp(d + i, text, m) == 0) return true;
    return false;
}

/* Two letters are too few to tell a picture by: those of PPM and PGM are followed by white space or a comment, those of
 * BMP by a size, and by four zeros. */
static bool is_picture(const uint8_t *d, size_t n) {
    const char *format = kf_image_format(d, n);
    if (!format) return false;
    if (d[0] == 'P') return strchr(" \t\r\n#", d[2]) != NULL;
    return d[0] != 'B' || memcmp(d + 6, "\0\0\0\0", 4) == 0;
}

/* A zip of pickles, or the pickle of old versions. */
static bool is_torch(const uint8_t *d, size_t n) {
    if (memcmp(d, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20", 10) == 0) return true;
    bool script = holds(d, n, "/code/__torch__"); /* the import names it */
    return memcmp(d, "PK\3\4", 4) == 0 && !script && (holds(d, n, "/data.pkl") || holds(d, n, "/.format_version"));
}

/* A protobuf whose first field is the IR version, and whose second is one that a model has. */
static bool is_onnx(const uint8_t *d) {
    return d[0] == 0x08 && d[1] >= 1 && d[1] < 32 && d[2] && strchr("\x12\x1a\x22\x28\x32\x3a\x42", d[2]);
}

static size_t read_head(const char *path, uint8_t head[HEAD]) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return 0;
    ssize_t n = read(fd, head, HEAD);
    close(fd);
    return n > 0 ? (size_t)n : 0;
}

static cli_kind by_content(const char *path) {
    static const char COMPILED[] = "\"kitfox.";
    uint8_t head[HEAD] = {0};
    size_t n = read_head(path, head);
    if (n < FIRST_KEY) return CLI_UNKNOWN;
    if (is_picture(head, n)) return CLI_PICTURE;
    if (is_torch(head, n)) return CLI_TORCH;
    if (memcmp(head + 4, "\0\0\0\0", 4) == 0 && head[8] == '{')
        return holds(head, FIRST_KEY, COMPILED) ? CLI_COMPILED : CLI_SOURCE;
    return is_onnx(head) ? CLI_SOURCE : CLI_UNKNOWN;
}

cli_kind cli_kind_of(const char *path) {
    cli_kind named = by_suffix(path);
    if (strcmp(path, "-") == 0) return CLI_UNKNOWN;
    if (named != CLI_UNKNOWN && named != CLI_PICTURE) return named;
    cli_kind is = by_content(path);
    return is == CLI_UNKNOWN ? named : is;
}

kf_status cli_refuse_torch(const char *path, kf_error *err) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return KF_OK; /* the import says why it cannot be opened */
    if (by_suffix(path) != CLI_TORCH && by_content(path) != CLI_TORCH) return KF_OK;
    return cli_error(err, KF_ERR_UNSUPPORTED,
                     "%.300s: this is a PyTorch file (pickled Python), which is not read; save its tensors: python3 -c "
                     "\"import torch, safetensors.torch as s; d = torch.load('%.200s', map_location='cpu', "
                     "weights_only=True); s.save_file({k: v.clone().contiguous() for k, v in d.get('state_dict', "
                     "d).items()}, 'model.safetensors')\"",
                     path, path);
}
