/* What every file of the libraries needs: errors with places, checked sizes, memory, arena, strings.
 * One header for the small modules of this folder.
 * Owner rule: kf__arena owns all it hands out; kf__mem_alloc'ed memory belongs to the caller. */
#ifndef KF_BASE_H
#define KF_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kitfox/status.h"
#include "kitfox/types.h"

/* ---- errors (error.c) ------------------------------------------------------------------------------------------ */

/** LIMIT: "what: have; at most `most` are accepted; option", without `option` where that is NULL. */
kf_status kf__error_limit(kf_error *err, const char *what, double have, double most, const char *option);

/** Jump to `label` with `st` (a kf_status variable in scope) set if `call` failed. */
#define KF_TRY_GOTO(st, call, label)                                                                                   \
    do {                                                                                                               \
        (st) = (call);                                                                                                 \
        if ((st) != KF_OK) goto label;                                                                                 \
    } while (0)
/** Shorthand for an allocation failure; says how much was asked for. */
#define KF_FAIL_MEMORY(err, bytes)                                                                                     \
    KF_FAIL((err), KF_ERR_MEMORY,                                                                                      \
            "out of memory; %zu bytes were asked for; close other programs or use a smaller model", (size_t)(bytes))

/* ---- checked size arithmetic (checked.h part) -------------------------------------------------------------------- */

static inline bool kf__mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool kf__add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline size_t kf__round_up(size_t x, size_t to) { return (x + to - 1) / to * to; }
static inline int64_t kf__min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t kf__max_i64(int64_t a, int64_t b) { return a > b ? a : b; }
/** The only conversion of a real number to an integer: it clamps to lo..hi before it truncates toward 0, because a
 * cast of a number that does not fit is undefined. NaN gives `none`. Call rint first to round to nearest. */
static inline int64_t kf__whole(double x, int64_t lo, int64_t hi, int64_t none) {
    if (x != x) return none;
    if (!(x > (double)lo)) return lo;
    return x < (double)hi ? (int64_t)x : hi;
}
#define KF_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- memory (memory.c) ------------------------------------------------------------------------------------------- */

/** Alignment of every arena block and of all tensor data: one cache line, one AVX-512 register. */
#define KF_ALIGN 64

/** Allocate `size` bytes aligned to KF_ALIGN through `a` (NULL: the process heap). NULL when out of memory; a zero size
 *  gives a unique pointer. Release with kf__mem_free and the same allocator. */
void *kf__mem_alloc(const kf_allocator *a, size_t size);
void *kf__mem_zalloc(const kf_allocator *a, size_t size);
void kf__mem_free(const kf_allocator *a, void *ptr);
/** Grow an array of `elem`-byte items to hold at least `need`; doubles. On failure nothing changes and false returns.
 */
bool kf__mem_grow(void **array, size_t *cap, size_t need, size_t elem);
char *kf__strdup(const char *s);

/* ---- redzones: builds with AddressSanitizer alone ------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)
#define KF_REDZONES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KF_REDZONES 1
#endif
#endif
/** With AddressSanitizer: bytes between neighbours in one block that nothing may touch, so that reading a vector
 * register too far is detected. 0 in other builds. kf__redzone_close marks a range, kf__redzone_open takes that
 * back; a range may start anywhere. */
#if defined(KF_REDZONES)
#define KF_REDZONE 128
void __asan_poison_memory_region(void const volatile *at, size_t bytes);
void __asan_unpoison_memory_region(void const volatile *at, size_t bytes);
static inline void kf__redzone_close(const void *at, size_t bytes) { __asan_poison_memory_region(at, bytes); }
static inline void kf__redzone_open(const void *at, size_t bytes) { __asan_unpoison_memory_region(at, bytes); }
#else
#define KF_REDZONE 0
static inline void kf__redzone_close(const void *at, size_t bytes) { (void)at, (void)bytes; }
static inline void kf__redzone_open(const void *at, size_t bytes) { (void)at, (void)bytes; }
#endif

/* ---- arena (arena.c): many allocations, one release -------------------------------------------------------------- */

typedef struct kf__arena_block kf__arena_block;
typedef struct kf__arena {
    const kf_allocator *allocator; /* NULL: the process heap */
    kf__arena_block *head;
    size_t used;    /* bytes handed out, for reports */
    size_t limit;   /* upper limit of `used`; 0: none */
    size_t refused; /* bytes of the latest request that exceeded the limit; 0: none did */
} kf__arena;

void kf__arena_init(kf__arena *a, const kf_allocator *allocator);
void kf__arena_free(kf__arena *a);
/** Is there room for `size` bytes within the limit? If not, notes it. */
bool kf__arena_fits(kf__arena *a, size_t size);
/** Uninitialised memory aligned to 16 (KF_ALIGN for sizes from 256 up); NULL when out of memory or beyond the limit. */
void *kf__arena_alloc(kf__arena *a, size_t size);
void *kf__arena_zalloc(kf__arena *a, size_t size);
/** count * size with overflow check. */
void *kf__arena_array(kf__arena *a, size_t count, size_t size);
void *kf__arena_copy(kf__arena *a, const void *src, size_t size);
char *kf__arena_strdup(kf__arena *a, const char *s);
char *kf__arena_strndup(kf__arena *a, const char *s, size_t n);
char *kf__arena_printf(kf__arena *a, const char *fmt, ...) KF_PRINTF(2, 3);

/* ---- numbers as text, whatever the locale (locale.c) ------------------------------------------------------------- */

/** strtod, vsnprintf and snprintf with a point. Thread safe. */
double kf__text_real(const char *text, char **end);
int kf__text_vprint(char *to, size_t room, const char *fmt, va_list args);
int kf__text_print(char *to, size_t room, const char *fmt, ...) KF_PRINTF(3, 4);

/* ---- growing text (strbuf.c) ------------------------------------------------------------------------------------- */

/** Text under construction. Zero-initialise; `failed` sticks after an allocation failure so only the end is checked. */
typedef struct kf__strbuf {
    char *data; /* NUL-terminated once anything was added */
    size_t len, cap;
    bool failed;
} kf__strbuf;
void kf__strbuf_add(kf__strbuf *b, const void *bytes, size_t n);
void kf__strbuf_str(kf__strbuf *b, const char *s);
void kf__strbuf_printf(kf__strbuf *b, const char *fmt, ...) KF_PRINTF(2, 3);
void kf__strbuf_free(kf__strbuf *b);

/* ---- bounded little-endian reader (reader.c) --------------------------------------------------------------------- */

typedef struct kf__reader {
    const uint8_t *data;
    size_t size, pos;
} kf__reader;
bool kf__read_bytes(kf__reader *r, size_t n, const uint8_t **out);
bool kf__read_u16(kf__reader *r, uint16_t *out);
bool kf__read_u32(kf__reader *r, uint32_t *out);
bool kf__read_u64(kf__reader *r, uint64_t *out);

/* ---- half floats (half.c) ---------------------------------------------------------------------------------------- */

float kf__half_to_f32(uint16_t h);
uint16_t kf__f32_to_half(float f);
static inline float kf__bf16_to_f32(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* ---- seeded random numbers (random.c), the same on every machine ------------------------------------------------- */

typedef struct kf__random {
    uint64_t state;
} kf__random;
uint64_t kf__random_u64(kf__random *r);
/** Uniform in [0, 1). */
double kf__random_unit(kf__random *r);
/** Uniform integer in [lo, hi]. */
int64_t kf__random_range(kf__random *r, int64_t lo, int64_t hi);

#endif
