/* A model file parsed and rebuilt: the program as JSON, tensors with their bytes, the right hash. For tests that
 * change what a well-formed file says (docs/FORMAT.md).
 * Owner rule: pf_close releases what pf_open filled; pf_build's bytes are the caller's. */
#ifndef PROGRAM_FILE_H
#define PROGRAM_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/format.h"

enum { PF_MOST_PARTS = 512 };

typedef struct pf_part {
    char *name;
    json_t *about; /* dtype, shape */
    uint8_t *data;
    size_t n;
} pf_part;

typedef struct pf_file {
    json_t *program;
    pf_part parts[PF_MOST_PARTS];
    size_t n;
} pf_file;

static void pf_close(pf_file *f) {
    for (size_t i = 0; i < f->n; i++) {
        free(f->parts[i].name), free(f->parts[i].data);
        json_decref(f->parts[i].about);
    }
    json_decref(f->program);
    f->n = 0, f->program = NULL;
}

static bool pf_tensors(pf_file *f, json_t *header, const uint8_t *body, size_t n) {
    const char *key;
    json_t *v;
    json_object_foreach(header, key, v) {
        json_t *offsets = json_object_get(v, "data_offsets");
        json_int_t a = json_integer_value(json_array_get(offsets, 0)),
                   b = json_integer_value(json_array_get(offsets, 1));
        if (strcmp(key, "__metadata__") == 0) continue;
        if (f->n == PF_MOST_PARTS || !json_is_array(offsets) || a < 0 || b < a || (size_t)b > n) return false;
        pf_part *p = &f->parts[f->n++];
        *p = (pf_part){
            .name = strdup(key), .about = json_deep_copy(v), .data = malloc((size_t)(b - a) + 1), .n = (size_t)(b - a)};
        if (!p->name || !p->about || !p->data) return false;
        memcpy(p->data, body + a, p->n);
    }
    return true;
}

/* False for bytes that are no such file; then there is nothing to close. */
static bool pf_open(pf_file *f, const uint8_t *data, size_t n) {
    uint64_t length = 0;
    f->n = 0, f->program = NULL;
    for (int i = 7; n >= 8 && i >= 0; i--) length = length << 8 | data[i];
    if (n < 8 || length > n - 8) return false;
    json_t *header = json_loadb((const char *)data + 8, (size_t)length, JSON_DISABLE_EOF_CHECK, NULL);
    const char *text = json_string_value(json_object_get(json_object_get(header, "__metadata__"), "kitfox.program"));
    f->program = text ? json_loads(text, 0, NULL) : NULL;
    bool fine = json_is_object(f->program) && pf_tensors(f, header, data + 8 + length, n - 8 - (size_t)length);
    json_decref(header);
    if (!fine) pf_close(f);
    return fine;
}

/* NULL when out of memory. Tensors lie in their order, without gaps. */
static json_t *pf_header(const pf_file *f, size_t *body) {
    char *text = json_dumps(f->program, JSON_COMPACT);
    json_t *header = json_object(), *meta = json_object();
    char zeros[65];
    memset(zeros, '0', 64);
    zeros[64] = '\0';
    json_object_set_new(meta, "kitfox.hash", json_string(zeros));
    json_object_set_new(meta, "kitfox.program", text ? json_string(text) : json_null());
    json_object_set_new(header, "__metadata__", meta);
    *body = 0;
    for (size_t i = 0; i < f->n; i++) {
        json_t *about = f->parts[i].about;
        json_object_set_new(about, "data_offsets",
                            json_pack("[I,I]", (json_int_t)*body, (json_int_t)(*body + f->parts[i].n)));
        json_object_set(header, f->parts[i].name, about);
        *body += f->parts[i].n;
    }
    free(text);
    return header;
}

/* The file with the right hash, at most `most` bytes into `to`; 0: it does not fit. */
static size_t pf_build(const pf_file *f, uint8_t *to, size_t most) {
    size_t body = 0;
    json_t *header = pf_header(f, &body);
    char *text = header ? json_dumps(header, JSON_COMPACT) : NULL, digits[65];
    json_decref(header);
    size_t length = text ? strlen(text) : 0, padded = (8 + length + 63) / 64 * 64, total = padded + body, at = padded;
    if (!text || total > most) {
        free(text);
        return 0;
    }
    for (int i = 0; i < 8; i++) to[i] = (uint8_t)((uint64_t)(padded - 8) >> 8 * i);
    memset(to + 8, ' ', padded - 8);
    memcpy(to + 8, text, length);
    for (size_t i = 0; i < f->n; i++) {
        memcpy(to + at, f->parts[i].data, f->parts[i].n);
        at += f->parts[i].n;
    }
    free(text);
    kf__format_hash(to, total, digits);
    memcpy(to + 40, digits, 64);
    return total;
}

#endif
