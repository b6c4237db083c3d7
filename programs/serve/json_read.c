/* jansson with an arena: its functions for memory are replaced, once, by ones that look whether their thread reads for
 * sv_json_read. Those that fail leave jansson by longjmp; the arena knows every byte, so nothing is lost.
 * Owner rule: see json_read.h. */
#include "serve/json_read.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

enum { SMALL = 16 << 10, CHUNK = 128 << 10 };

typedef struct block {
    struct block *next, *before;
    size_t room, used; /* of data; a block of one large piece is full */
    double data[];     /* aligned for whatever JSON holds */
} block;

typedef struct arena {
    block *all, *open; /* open: the chunk that small pieces come from */
    size_t bytes;
    kf_status why;
    jmp_buf out;
} arena;

static _Thread_local arena *reading;
static json_malloc_t take_before;
static json_free_t give_before;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static block *add(arena *a, size_t room) {
    a->why = KF_ERR_LIMIT;
    if (room > SV_MAX_JSON_MEMORY - a->bytes) longjmp(a->out, 1);
    a->why = KF_ERR_MEMORY;
    block *b = malloc(sizeof *b + room);
    if (!b) longjmp(a->out, 1);
    *b = (block){.next = a->all, .room = room};
    if (b->next) b->next->before = b;
    a->all = b;
    a->bytes += room;
    return b;
}

static void drop(arena *a, block *b) {
    if (b->next) b->next->before = b->before;
    if (b->before) b->before->next = b->next;
    else a->all = b->next;
    a->bytes -= b->room;
    free(b);
}

static void *take(size_t bytes) {
    arena *a = reading;
    if (!a) return take_before(bytes);
    if (bytes >= SMALL) {
        block *large = add(a, bytes);
        large->used = bytes;
        return large->data;
    }
    bytes = (bytes + sizeof(double) - 1) / sizeof(double) * sizeof(double);
    if (!a->open || a->open->room - a->open->used < bytes) a->open = add(a, CHUNK);
    void *p = (char *)a->open->data + a->open->used;
    a->open->used += bytes;
    return p;
}

/* Large pieces go at once: texts and lists double, and leave their halves behind. */
static void give(void *p) {
    arena *a = reading;
    if (!a) {
        give_before(p);
        return;
    }
    if (!p) return;
    block *b = a->all;
    while (b && (void *)b->data != p) b = b->next;
    if (b && b->room != CHUNK) drop(a, b);
}

static void install(void) {
    json_get_alloc_funcs(&take_before, &give_before);
    json_set_alloc_funcs(take, give);
}

kf_status sv_json_read(const void *text, size_t bytes, sv_json *out, kf_error *err) {
    arena a = {.why = KF_OK};
    json_error_t why;
    *out = (sv_json){0};
    pthread_once(&once, install);
    if (setjmp(a.out) == 0) {
        reading = &a;
        out->root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);
        a.why = KF_OK;
    }
    reading = NULL;
    out->all = a.all;
    kf_status st = a.why;
    if (st == KF_ERR_LIMIT)
        kf_error_set(err, st, "the values of this JSON take more than %zu bytes of memory; send tensors in binary",
                     SV_MAX_JSON_MEMORY);
    else if (st == KF_ERR_MEMORY) kf_error_set(err, st, "no memory for the JSON of a request");
    else if (!out->root)
        st = kf_error_set(err, KF_ERR_ARGUMENT, "the body is not JSON: line %d, column %d: %.200s", why.line,
                          why.column, why.text);
    else if (!json_is_object(out->root)) st = kf_error_set(err, KF_ERR_ARGUMENT, "the body has to be a JSON object");
    if (st != KF_OK) sv_json_free(out);
    return st;
}

void sv_json_free(sv_json *json) {
    for (block *b = json->all, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *json = (sv_json){0};
}
