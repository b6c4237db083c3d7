/* What a file is, told by its first bytes: the kinds that the loaders read, and those that people give them instead.
 * A row of a table each. A file that failed to load gets a message that says what it is and what to do.
 * Owner rule: nothing is kept; all texts are static. */
#include <unistd.h>

#include "base/base.h"
#include "kitfox/compile.h"
#include "os/file.h"

enum { HEAD = 4096 }; /* bytes that are looked at */

#define TO_SAFETENSORS                                                                                                 \
    "save its tensors: python3 -c \"import torch, safetensors.torch as s; d = torch.load('IN.pth', "                   \
    "map_location='cpu', weights_only=True); s.save_file({k: v.clone().contiguous() for k, v in "                      \
    "d.get('state_dict', d).items()}, 'OUT.safetensors')\""
#define TO_ONNX "export the network to ONNX, with tf2onnx or by model.export(\"m.onnx\", format=\"onnx\")"
#define UNPACK "unpack it first"
#define PICTURE "give it where a picture is meant"
#define SOURCE "give the ONNX file that it was made from"

/* Bytes `is` at `at`. Letters are compared as they are. */
typedef struct sign {
    uint32_t at;
    uint8_t n;
    const char *is;
    kf_file_kind kind;
} sign;

#define SIGN(at, bytes, reads, what, advice)                                                                           \
    {                                                                                                                  \
        at, sizeof bytes - 1, bytes, { reads, what, advice }                                                           \
    }
static const sign SIGNS[] = {
    SIGN(0, "version https://git-lfs.github.com/", 0, "a Git LFS pointer, which only stands for the file",
         "fetch the file itself: git lfs pull"),
    SIGN(0, "version https://hawser.github.com/", 0, "a Git LFS pointer, which only stands for the file",
         "fetch the file itself: git lfs pull"),
    SIGN(0, "\x93NUMPY", KF_FILE_NPY, "an array of NumPy (.npy)", "give it where a tensor is meant"),
    SIGN(0, "\xff\xd8\xff", KF_FILE_PICTURE, "a JPEG picture", PICTURE),
    SIGN(0, "\x89PNG\r\n\x1a\n", KF_FILE_PICTURE, "a PNG picture", PICTURE),
    SIGN(8, "WEBPVP8", KF_FILE_PICTURE, "a WebP picture", PICTURE),
    SIGN(0, "P2\n", KF_FILE_PICTURE, "a PGM picture", PICTURE),
    SIGN(0, "P5\n", KF_FILE_PICTURE, "a PGM picture", PICTURE),
    SIGN(0, "P3\n", KF_FILE_PICTURE, "a PPM picture", PICTURE),
    SIGN(0, "P6\n", KF_FILE_PICTURE, "a PPM picture", PICTURE),
    SIGN(0, "GIF8", KF_FILE_PICTURE, "a GIF picture", PICTURE),
    SIGN(0, "II*\0", KF_FILE_PICTURE, "a TIFF picture", PICTURE),
    SIGN(0, "MM\0*", KF_FILE_PICTURE, "a TIFF picture", PICTURE),
    SIGN(4, "ftypavi", KF_FILE_PICTURE, "an AVIF picture", PICTURE),
    SIGN(4, "ftyphei", KF_FILE_PICTURE, "a HEIC picture", PICTURE),
    SIGN(4, "TFL3", 0, "a TensorFlow Lite model", SOURCE ", or that network as ONNX"),
    SIGN(4, "ORTM", 0, "a model in the ORT format of ONNX Runtime", SOURCE),
    SIGN(0, "\x89HDF\r\n\x1a\n", 0, "an HDF5 file, as Keras saves networks", TO_ONNX),
    SIGN(0, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 0, "a PyTorch file of the old form",
         TO_SAFETENSORS),
    SIGN(0, "\x80\x02}", 0, "a Python pickle", TO_SAFETENSORS),
    SIGN(0, "\x80\x03", 0, "a Python pickle", TO_SAFETENSORS),
    SIGN(0, "\x80\x04\x95", 0, "a Python pickle", TO_SAFETENSORS),
    SIGN(0, "\x80\x05\x95", 0, "a Python pickle", TO_SAFETENSORS),
    SIGN(0, "\x1f\x8b", 0, "a file packed by gzip", UNPACK),
    SIGN(0, "BZh", 0, "a file packed by bzip2", UNPACK),
    SIGN(0,
         "\xfd"
         "7zXZ",
         0, "a file packed by xz", UNPACK),
    SIGN(0, "(\xb5/\xfd", 0, "a file packed by zstd", UNPACK),
    SIGN(0, "7z\xbc\xaf", 0, "a 7-Zip archive", UNPACK),
    SIGN(0, "Rar!", 0, "a RAR archive", UNPACK),
    SIGN(257, "ustar", 0, "a tar archive", UNPACK),
    SIGN(0, "ftrt", 0, "an engine of TensorRT", SOURCE),
    SIGN(0, "RKNN", 0, "a model of Rockchip's RKNN", SOURCE),
    SIGN(0, "7767517\n", 0, "a network of ncnn", SOURCE),
    SIGN(0, "GGUF", 0, "a GGUF file, which holds another kind of network", "give a MobileNet-type network"),
    SIGN(0,
         "\x7f"
         "ELF",
         0, "a program or library", "give the model itself"),
    SIGN(0, "%PDF", 0, "a PDF document", "give the file that it is about"),
};

/* ---- kinds that no fixed bytes tell ------------------------------------------------------------------------------ */

static bool holds(const uint8_t *d, size_t n, const char *text) {
    size_t m = strlen(text);
    for (size_t i = 0; i + m <= n; i++)
        if (memcmp(d + i, text, m) == 0) return true;
    return false;
}

/* The first entries' names tell what a zip archive is. */
static const kf_file_kind *zip_kind(const uint8_t *d, size_t n) {
    static const kf_file_kind TORCH = {0, "a PyTorch file (a zip of pickles)", TO_SAFETENSORS};
    static const kf_file_kind SCRIPT = {0, "a TorchScript program", "export the network with torch.onnx.export"};
    static const kf_file_kind KERAS = {0, "a Keras model", TO_ONNX};
    static const kf_file_kind NPZ = {0, "an archive of NumPy (.npz)", "save one array with numpy.save"};
    static const kf_file_kind ZIP = {0, "a zip archive", UNPACK};
    if (n < 4 || memcmp(d, "PK\3\4", 4) != 0) return NULL;
    if (holds(d, n, "/code/__torch__") || holds(d, n, "/constants.pkl")) return &SCRIPT;
    if (holds(d, n, "/data.pkl") || holds(d, n, "/.format_version") || holds(d, n, "/byteorder")) return &TORCH;
    if (holds(d, n, "metadata.json") && holds(d, n, "keras")) return &KERAS;
    if (holds(d, n, ".weights.h5")) return &KERAS;
    return holds(d, n, ".npy") ? &NPZ : &ZIP;
}

/* Letters in either case, behind white space and a byte order mark. */
static bool begins(const uint8_t *d, size_t n, const char *text) {
    size_t i = n >= 3 && memcmp(d, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (i < n && memchr(" \t\r\n", d[i], 4)) i++;
    for (; *text && i < n; text++, i++)
        if ((d[i] | 0x20) != (*text | 0x20)) return false;
    return !*text;
}

static bool is_text(const uint8_t *d, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (d[i] == 0x7f || (d[i] < 0x20 && !memchr("\t\r\n\f", d[i], 4))) return false;
    return n > 0;
}

static const kf_file_kind *text_kind(const uint8_t *d, size_t n) {
    static const kf_file_kind HTML = {0, "an HTML page, as servers send in place of a file",
                                      "download the file itself"};
    static const kf_file_kind XML = {0, "an XML file: a network of OpenVINO, or a server's error", SOURCE};
    static const kf_file_kind TEXT = {KF_FILE_TEXT, "a text file", "give a file of the kind that is meant"};
    if (begins(d, n, "<!doctype html") || begins(d, n, "<html") || begins(d, n, "<head")) return &HTML;
    if (begins(d, n, "<?xml") && holds(d, n, "<html")) return &HTML;
    if (begins(d, n, "<?xml") || begins(d, n, "<net ")) return &XML;
    return is_text(d, n) ? &TEXT : NULL;
}

/* Containers with a JSON header: its length in eight bytes, then a brace. */
static const kf_file_kind *container_kind(const uint8_t *d, size_t n) {
    static const char COMPILED[] = "{\"__metadata__\":{\"kitfox.hash\":\"";
    static const kf_file_kind KFX = {KF_FILE_KFX, "a compiled model (.kfx)", "give it as MODEL"};
    static const kf_file_kind TENSORS = {KF_FILE_SAFETENSORS, "a checkpoint (safetensors)", "import it first"};
    if (n < 10 || memcmp(d + 4, "\0\0\0\0", 4) != 0 || d[8] != '{') return NULL;
    if (n >= 8 + sizeof COMPILED - 1 && memcmp(d + 8, COMPILED, sizeof COMPILED - 1) == 0) return &KFX;
    return d[9] == '"' || d[9] == '}' || d[9] == ' ' ? &TENSORS : NULL;
}

/* A protobuf whose first field is the IR version, and whose second is one that a model has. */
static const kf_file_kind *onnx_kind(const uint8_t *d, size_t n) {
    static const uint8_t SECOND[] = {0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42};
    static const kf_file_kind ONNX = {KF_FILE_ONNX, "an ONNX model", "import it first"};
    bool is = n > 3 && d[0] == 0x08 && d[1] >= 1 && d[1] < 32 && memchr(SECOND, d[2], sizeof SECOND);
    return is ? &ONNX : NULL;
}

const kf_file_kind *kf_file_recognize(const void *data, size_t bytes) {
    const uint8_t *d = data;
    size_t n = bytes < HEAD ? bytes : HEAD;
    const kf_file_kind *k = d ? container_kind(d, n) : NULL; /* first: a length may look like the signs */
    if (!d || k) return k;
    for (size_t i = 0; i < KF_COUNT(SIGNS); i++)
        if (n >= SIGNS[i].at + (size_t)SIGNS[i].n && memcmp(d + SIGNS[i].at, SIGNS[i].is, SIGNS[i].n) == 0)
            return &SIGNS[i].kind;
    k = zip_kind(d, n);
    if (!k) k = text_kind(d, n);
    return k ? k : onnx_kind(d, n);
}

kf_status kf_file_explain(const char *path, uint32_t reads, kf_status st, kf_error *err) {
    uint8_t head[HEAD];
    uint64_t bytes;
    int fd;
    bool content = st == KF_ERR_FORMAT || st == KF_ERR_UNSUPPORTED || st == KF_ERR_LIMIT || st == KF_ERR_CORRUPT;
    if (!content || !path || kf__file_open(path, &fd, &bytes, NULL) != KF_OK) return st;
    size_t n = bytes < HEAD ? (size_t)bytes : HEAD;
    bool read = kf__file_read_at(fd, path, 0, head, n, NULL) == KF_OK;
    close(fd);
    const kf_file_kind *k = read ? kf_file_recognize(head, n) : NULL;
    if (!k || (k->reads & reads)) return st;
    KF_FAIL(err, st, "%.400s: this is %s; %s", path, k->what, k->advice);
}
