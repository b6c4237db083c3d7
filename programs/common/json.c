/* Objects that hold whatever a file is called, and lines of them.
 * Owner rule: see json.h. */
#include "common/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "common/text.h"

static FILE *to; /* NULL: standard output */
static bool wanted;

json_t *cli_text(const char *s) {
    static const char REPLACED[] = "\xef\xbf\xbd";
    json_t *value = s ? json_string(s) : json_null();
    if (value) return value;
    size_t n = strlen(s), at = 0, bytes;
    char *clean = malloc(3 * n + 1);
    if (!clean) return json_string("");
    for (size_t i = 0; i < n; i += bytes) {
        bool good = cli_utf8(s + i, n - i, &bytes) >= 0;
        size_t length = good ? bytes : 3;
        const char *from = good ? s + i : REPLACED;
        memcpy(clean + at, from, length);
        at += length;
    }
    value = json_stringn(clean, at);
    free(clean);
    return value;
}

json_t *cli_real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

json_t *cli_shape(const int64_t *extents, int rank) {
    json_t *list = json_array();
    for (int i = 0; i < rank; i++) json_array_append_new(list, json_integer(extents[i]));
    return list;
}

static json_t *value(char format, va_list *args) {
    json_t *given;
    switch (format) {
    case 's': return cli_text(va_arg(*args, const char *));
    case 'i': return json_integer(va_arg(*args, int));
    case 'I': return json_integer(va_arg(*args, json_int_t));
    case 'f': return cli_real(va_arg(*args, double));
    case 'b': return json_boolean(va_arg(*args, int));
    default: given = va_arg(*args, json_t *); return given ? given : json_null();
    }
}

json_t *cli_pack(const char *format, ...) {
    json_t *object = json_object();
    va_list args;
    va_start(args, format);
    for (const char *at = format; (at = strchr(at, ':')) != NULL; at++) {
        const char *key = va_arg(args, const char *);
        json_object_set_new(object, key, value(at[1], &args));
    }
    va_end(args);
    return object;
}

void cli_json_beside(const char *path) { to = path ? cli_talk(path) : NULL; }

/* DEL and C1 controls, which jansson leaves alone, are escaped, too. */
static void print(json_t *object, size_t flags) {
    char *line = object ? json_dumps(object, JSON_COMPACT | flags) : NULL;
    FILE *f = to ? to : stdout;
    for (size_t at = 0, from = 0, n = line ? strlen(line) : 0, bytes; at < n; at += bytes) {
        int32_t c = cli_utf8(line + at, n - at, &bytes);
        bool last = at + bytes == n;
        if (!cli_is_control(c) && !last) continue;
        fwrite(line + from, 1, (cli_is_control(c) ? at : at + bytes) - from, f);
        if (cli_is_control(c)) fprintf(f, "\\u%04x", (unsigned)c);
        from = at + bytes;
    }
    if (line) fputc('\n', f);
    free(line);
    json_decref(object);
}

void cli_print_json(json_t *object) { print(object, JSON_REAL_PRECISION(10)); }

void cli_print_json_exactly(json_t *object) { print(object, 0); }

void cli_json_on(void) { wanted = true; }
bool cli_json_wanted(void) { return wanted; }

json_t *cli_error_json(kf_status status, const char *text) {
    return cli_pack("{s:s,s:s}", "status", kf_status_name(status), "text", text);
}

void cli_print_error(kf_status status, const char *text) {
    if (wanted) cli_print_json(cli_pack("{s:s,s:o}", "kind", "error", "error", cli_error_json(status, text)));
}
