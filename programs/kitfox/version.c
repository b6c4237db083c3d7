/* --version, and with --verbose what a report of a fault needs: how the program was built, which instruction sets run
 * here, and which libraries it found.
 * Owner rule: a library that is loaded to ask for its version stays loaded until the program ends. */
#include <dlfcn.h>
#include <stdio.h> /* before jpeglib.h */
#include <stdlib.h>
#include <string.h>
#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

#include <jpeglib.h>
#include <spng.h>
#include <webp/decode.h>

#include "common/cli.h"
#include "kitfox/info.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

/* ---- libraries --------------------------------------------------------------------------------------------------- */

static const char *version_of_jansson(void) { return jansson_version_str(); }

/* libjpeg says it in its headers alone. */
static const char *version_of_jpeg(void) {
#if defined(LIBJPEG_TURBO_VERSION)
    return "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION);
#else
    return "libjpeg " TEXT(JPEG_LIB_VERSION);
#endif
}

static const char *version_of_webp(void) {
    static char text[32];
    int v = WebPGetDecoderVersion();
    snprintf(text, sizeof text, "%d.%d.%d", v >> 16, v >> 8 & 255, v & 255);
    return text;
}

/* Of both programs. What is loaded has the names of programs/common/annotate.c and src/codec. */
static const cli_library COMMON[] = {
    {"jansson", version_of_jansson, {NULL}, NULL, false},
    {"libjpeg", version_of_jpeg, {NULL}, NULL, false},
    {"libspng", spng_version_string, {NULL}, NULL, false},
    {"libwebp", version_of_webp, {NULL}, NULL, false},
    {"cairo", NULL, {"libcairo.so.2"}, "cairo_version_string", false},
    {"libtiff", NULL, {"libtiff.so.6"}, "TIFFGetVersion", false},
    {"libavif", NULL, {"libavif.so.15", "libavif.so.16"}, "avifVersion", false},
    {"libheif", NULL, {"libheif.so.1"}, "heif_get_version", false},
    {NULL, NULL, {NULL}, NULL, false},
};

/* One line of text; NULL: the library is not here, or the program is static and loads none. */
static const char *version_of(const cli_library *l, char *room, size_t bytes) {
    const char *(*version)(void) = l->version, *(*asked)(const char *) = NULL;
#if !defined(KF_STATIC)
    void *library = NULL;
    for (int i = 0; !version && !library && l->files[i]; i++) library = dlopen(l->files[i], RTLD_NOW | RTLD_LOCAL);
    void *function = library ? dlsym(library, l->symbol) : NULL;
    if (function && l->asks) memcpy(&asked, &function, sizeof function);
    else if (function) memcpy(&version, &function, sizeof function);
#endif
    if (!version && !asked) return NULL;
    static const char TIFF[] = "LIBTIFF, Version ";
    const char *text = asked ? asked(NULL) : version();
    snprintf(room, bytes, "%s", strncmp(text, TIFF, sizeof TIFF - 1) == 0 ? text + sizeof TIFF - 1 : text);
    room[strcspn(room, "\r\n")] = '\0';
    return room;
}

static json_t *libraries(void) {
    const cli_library *const LISTS[] = {COMMON, cli_libraries};
    json_t *list = json_array();
    char room[256];
    for (int k = 0; k < 2; k++)
        for (const cli_library *l = LISTS[k]; l->name; l++)
            json_array_append_new(list, cli_pack("{s:s,s:s?,s:b}", "name", l->name, "version",
                                                 version_of(l, room, sizeof room), "linked", l->version != NULL));
    return list;
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static const char *compiler(void) {
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "not known";
#endif
}

static const char *c_library(void) {
    static char text[64] = "not glibc";
#if defined(__GLIBC__)
    snprintf(text, sizeof text, "glibc %s", gnu_get_libc_version());
#endif
    return text;
}

static const char *machine(void) {
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "another";
#endif
}

static json_t *about(void) {
#if defined(KF_STATIC)
    const int fixed = 1;
#else
    const int fixed = 0;
#endif
#if defined(KF_HARDENED)
    const int hardened = 1;
#else
    const int hardened = 0;
#endif
    return cli_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:o,s:o}", "kind", "version", "program", cli_program, "version",
                    kf_version(), "machine", machine(), "compiler", compiler(), "libc", c_library(), "hardened",
                    hardened, "static", fixed, "cpus", info_cpus_json(), "libraries", libraries());
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

static void print_levels(const json_t *cpus, const char *title, bool usable) {
    size_t i, found = 0;
    const json_t *cpu;
    printf("  %-14s ", title);
    json_array_foreach(cpus, i, cpu) {
        if (json_is_true(json_object_get(cpu, "usable")) != usable) continue;
        const char *now = json_is_true(json_object_get(cpu, "now")) ? " (in use)" : "";
        printf(" %s%s", json_string_value(json_object_get(cpu, "name")), now);
        found++;
    }
    puts(found ? "" : " none");
}

#if defined(KF_STATIC)
static const char NONE[] = "none: a static program loads no library";
#else
static const char NONE[] = "not here; loaded when needed";
#endif

static void print_libraries(const json_t *list) {
    size_t i;
    const json_t *l;
    json_array_foreach(list, i, l) {
        const char *version = json_string_value(json_object_get(l, "version"));
        const char *how = "";
        if (json_is_false(json_object_get(l, "linked"))) how = version ? " (loaded when needed)" : NONE;
        printf("  %-14s  %s%s\n", json_string_value(json_object_get(l, "name")), version ? version : "", how);
    }
}

static void print_about(const json_t *a) {
    static const char *const ROWS[] = {"machine", "compiler", "libc"};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        printf("  %-14s  %s\n", ROWS[i], json_string_value(json_object_get(a, ROWS[i])));
    printf("  %-14s  %s\n", "hardened", json_is_true(json_object_get(a, "hardened")) ? "yes" : "no");
    printf("  %-14s  %s\n", "static", json_is_true(json_object_get(a, "static")) ? "yes" : "no");
    print_levels(json_object_get(a, "cpus"), "levels here", true);
    print_levels(json_object_get(a, "cpus"), "not here", false);
    print_libraries(json_object_get(a, "libraries"));
}

int cli_version(int argc, char **argv) {
    bool verbose = false, as_json = false;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0 || strcmp(argv[i], "-v") == 0) verbose = true;
        else if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "-j") == 0) as_json = true;
        else {
            cli_say("--version: %s: only --verbose and --json go with it", argv[i]);
            return EXIT_USAGE;
        }
    }
    if (!as_json) printf("%s %s\n", cli_program, kf_version());
    if (!as_json && !verbose) return EXIT_DONE;
    json_t *a = about();
    if (as_json) cli_print_json(a);
    else print_about(a), json_decref(a);
    return EXIT_DONE;
}
