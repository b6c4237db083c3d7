/* Forms with files: boundaries are searched for, headers of parts are read in any case.
 * Owner rule: see multipart.h. */
#include "serve/multipart.h"

#include <string.h>
#include <strings.h>

enum { MAX_BOUNDARY = 70 }; /* RFC 2046 */

/* "\r\n--BOUNDARY" into `to`; 0: there is none. */
static size_t boundary_of(const char *type, char to[MAX_BOUNDARY + 5]) {
    const char *at = strcasestr(type, "boundary=");
    if (strncasecmp(type, "multipart/form-data", 19) != 0 || !at) return 0;
    at += 9;
    bool quoted = *at == '"';
    if (quoted) at++;
    size_t n = strcspn(at, quoted ? "\"" : "; \t");
    if (!n || n > MAX_BOUNDARY) return 0;
    memcpy(to, "\r\n--", 4);
    memcpy(to + 4, at, n);
    return n + 4;
}

static const uint8_t *find(const uint8_t *at, size_t bytes, const char *what, size_t n) {
    return bytes && n <= bytes ? memmem(at, bytes, what, n) : NULL;
}

/* Do the headers of a part say that it is a picture? */
static bool is_wanted(const uint8_t *headers, size_t bytes) {
    char text[1024];
    size_t n = bytes < sizeof text - 1 ? bytes : sizeof text - 1;
    memcpy(text, headers, n);
    text[n] = 0;
    return strcasestr(text, "filename=") || strcasestr(text, "name=\"image\"") || strcasestr(text, "name=image");
}

/* A boundary starts a line: the same bytes within a picture are a part of it. */
static kf_status next_part(const uint8_t **at, size_t *left, const char *mark, size_t n, sv_bytes *parts, size_t room,
                           size_t *found, kf_error *err) {
    const uint8_t *head_end = find(*at, *left, "\r\n\r\n", 4);
    if (!head_end) KF_FAIL(err, KF_ERR_ARGUMENT, "a part of the form ends within its headers");
    const uint8_t *content = head_end + 4, *from = head_end + 2; /* an empty part's boundary follows at once */
    size_t rest = *left - (size_t)(from - *at);
    const uint8_t *next = find(from, rest, mark, n);
    if (!next) KF_FAIL(err, KF_ERR_ARGUMENT, "a part of the form has no end");
    if (is_wanted(*at, (size_t)(head_end - *at))) {
        if (*found == room) KF_FAIL(err, KF_ERR_LIMIT, "more than %zu pictures in one form", room);
        parts[(*found)++] = (sv_bytes){content, next < content ? 0 : (size_t)(next - content)};
    }
    *left = rest - (size_t)(next - from) - n;
    *at = next + n;
    return KF_OK;
}

kf_status sv_multipart(const char *type, const uint8_t *body, size_t bytes, sv_bytes *parts, size_t room, size_t *found,
                       kf_error *err) {
    char mark[MAX_BOUNDARY + 5];
    size_t n = boundary_of(type, mark), left = bytes;
    *found = 0;
    if (!n) KF_FAIL(err, KF_ERR_ARGUMENT, "the form has no boundary of 1 to %d characters", MAX_BOUNDARY);
    const uint8_t *at = find(body, bytes, mark + 2, n - 2); /* the first one may start the body */
    if (!at) KF_FAIL(err, KF_ERR_ARGUMENT, "the body does not hold the form's boundary");
    left -= (size_t)(at - body) + n - 2, at += n - 2;
    while (left >= 2 && memcmp(at, "--", 2) != 0) KF_TRY(next_part(&at, &left, mark, n, parts, room, found, err));
    if (left < 2) KF_FAIL(err, KF_ERR_ARGUMENT, "the form has no end");
    if (!*found) KF_FAIL(err, KF_ERR_ARGUMENT, "the form holds no picture; send one as -F image=@FILE");
    return KF_OK;
}
