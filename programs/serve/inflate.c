/* Bodies unpacked by zlib. The buffer grows by doubling, so a bomb costs no more than twice the limit.
 * Owner rule: see inflate.h. */
#include "serve/inflate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

bool sv_inflate_reads(const char *encoding) {
    return strcasecmp(encoding, "gzip") == 0 || strcasecmp(encoding, "x-gzip") == 0 ||
           strcasecmp(encoding, "deflate") == 0;
}

/* Room for more, at most one byte beyond the limit, which shows that it was passed. */
static kf_status grow(uint8_t **data, size_t *room, size_t most, kf_error *err) {
    size_t more = *room ? *room * 2 : 64 << 10;
    if (more > most + 1) more = most + 1;
    uint8_t *grown = realloc(*data, more);
    if (!grown) KF_FAIL(err, KF_ERR_MEMORY, "no memory for the unpacked body");
    *data = grown, *room = more;
    return KF_OK;
}

static kf_status unpack(z_stream *z, size_t most, uint8_t **out, size_t *n, kf_error *err) {
    size_t room = 0;
    for (int end = Z_OK; end != Z_STREAM_END;) {
        if (*n == room) KF_TRY(grow(out, &room, most, err));
        z->next_out = *out + *n, z->avail_out = (uInt)(room - *n);
        end = inflate(z, Z_NO_FLUSH);
        *n = room - z->avail_out;
        if (*n > most) KF_FAIL(err, KF_ERR_LIMIT, "the body unpacks to more than %zu bytes (--max-body)", most);
        if (end == Z_MEM_ERROR) KF_FAIL(err, KF_ERR_MEMORY, "no memory to unpack the body");
        bool full = end == Z_BUF_ERROR && !z->avail_out;
        if (end != Z_OK && end != Z_STREAM_END && !full)
            KF_FAIL(err, KF_ERR_ARGUMENT, "the body is not what its Content-Encoding says, or it is cut");
    }
    if (z->avail_in) KF_FAIL(err, KF_ERR_ARGUMENT, "%u bytes follow the compressed body", z->avail_in);
    return KF_OK;
}

kf_status sv_inflate(const uint8_t *data, size_t bytes, size_t most, uint8_t **out, size_t *n, kf_error *err) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)bytes};
    *out = NULL, *n = 0;
    if (bytes > UINT32_MAX / 2 || most > UINT32_MAX / 2)
        KF_FAIL(err, KF_ERR_LIMIT, "a compressed body of %zu bytes", bytes);
    if (inflateInit2(&z, 15 + 32) != Z_OK) KF_FAIL(err, KF_ERR_MEMORY, "no memory to unpack the body");
    kf_status st = unpack(&z, most, out, n, err);
    inflateEnd(&z);
    if (st == KF_OK) return KF_OK;
    free(*out);
    *out = NULL, *n = 0;
    return st;
}
