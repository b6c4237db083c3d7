/* A stand-in for an older libcurl: passes everything to the real one, but refuses the options that SHIM_REFUSES names.
 * Loaded by test_pull.py as libcurl.so.4; SHIM_REAL is the path of the real library.
 * Owner rule: the real library stays open. */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo
#define SHOWN __attribute__((visibility("default")))

static void *real(const char *name) {
    static void *lib;
    const char *path = getenv("SHIM_REAL");
    if (!lib && path) lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *f = lib ? dlsym(lib, name) : NULL;
    if (!f) abort();
    return f;
}

static int refused(const char *what) {
    const char *all = getenv("SHIM_REFUSES");
    return all && strstr(all, what) != NULL;
}

SHOWN CURLcode curl_easy_setopt(CURL *h, CURLoption option, ...) {
    va_list args;
    va_start(args, option);
    void *value = va_arg(args, void *); /* a long has the same size and place where this test runs */
    va_end(args);
    int n = (int)option % 10000;
    if (((n == 318 || n == 319) && refused("names")) || ((n == 181 || n == 182) && refused("bits")) ||
        (n == 52 && refused("follow")))
        return CURLE_UNKNOWN_OPTION;
    return ((CURLcode(*)(CURL *, CURLoption, ...))real("curl_easy_setopt"))(h, option, value);
}

SHOWN CURLcode curl_easy_getinfo(CURL *h, CURLINFO info, ...) {
    va_list args;
    va_start(args, info);
    void *value = va_arg(args, void *);
    va_end(args);
    return ((CURLcode(*)(CURL *, CURLINFO, ...))real("curl_easy_getinfo"))(h, info, value);
}

SHOWN CURL *curl_easy_init(void) { return ((CURL * (*)(void)) real("curl_easy_init"))(); }
SHOWN void curl_easy_cleanup(CURL *h) { ((void (*)(CURL *))real("curl_easy_cleanup"))(h); }
SHOWN CURLcode curl_easy_perform(CURL *h) { return ((CURLcode(*)(CURL *))real("curl_easy_perform"))(h); }
SHOWN const char *curl_easy_strerror(CURLcode c) { return ((const char *(*)(CURLcode))real("curl_easy_strerror"))(c); }
SHOWN struct curl_slist *curl_slist_append(struct curl_slist *l, const char *s) {
    return ((struct curl_slist * (*)(struct curl_slist *, const char *)) real("curl_slist_append"))(l, s);
}
SHOWN void curl_slist_free_all(struct curl_slist *l) {
    ((void (*)(struct curl_slist *))real("curl_slist_free_all"))(l);
}
SHOWN CURLcode curl_global_init(long flags) { return ((CURLcode(*)(long))real("curl_global_init"))(flags); }
SHOWN time_t curl_getdate(const char *s, const time_t *now) {
    return ((time_t(*)(const char *, const time_t *))real("curl_getdate"))(s, now);
}
