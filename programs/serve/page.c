/* The embedded pages.
 * Owner rule: static bytes. */
#include <string.h>

#include "serve/service.h"

extern const char sv_page_html[], sv_page_html_end[], sv_docs_html[], sv_docs_html_end[]; /* embed.S */

bool sv_page(const char *path, sv_answer *a) {
    bool docs = strcmp(path, "/docs") == 0;
    if (!docs && strcmp(path, "/") != 0) return false;
    a->status = 200, a->type = "text/html; charset=utf-8", a->borrowed = true;
    a->body = (void *)(uintptr_t)(docs ? sv_docs_html : sv_page_html);
    a->bytes = docs ? (size_t)(sv_docs_html_end - sv_docs_html) : (size_t)(sv_page_html_end - sv_page_html);
    return true;
}
