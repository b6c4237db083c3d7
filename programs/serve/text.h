/* Text that grows: answers in JSON, metrics, log lines. After an allocation failed it stays empty and `failed` is set.
 * Owner rule: sv_text_take hands the memory over; else sv_text_free releases it. */
#ifndef KITFOX_SERVE_TEXT_H
#define KITFOX_SERVE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "kitfox/status.h"

typedef struct sv_text {
    char *data;
    size_t bytes, room;
    bool failed;
} sv_text;

void sv_text_bytes(sv_text *t, const void *data, size_t bytes);
/** A text that ends with a zero. */
void sv_text_put(sv_text *t, const char *text);
void sv_text_add(sv_text *t, const char *fmt, ...) KF_PRINTF(2, 3);
/** A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. NULL becomes null. */
void sv_text_string(sv_text *t, const char *s);
/** A number as JSON: nine significant digits, so that float32 comes back as it was; null where it is not finite. */
void sv_text_number(sv_text *t, double x);
/** The memory, which the caller frees; NULL where an allocation failed. */
char *sv_text_take(sv_text *t, size_t *bytes);
void sv_text_free(sv_text *t);
/** As if an allocation had failed: a part of the text is lost. */
void sv_text_lose(sv_text *t);

#endif
