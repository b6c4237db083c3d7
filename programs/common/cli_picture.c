/* How pictures are prepared, on the command line: one table of options for every verb that imports, and the one note
 * about what nobody said. Needs the runtime alone.
 * Owner rule: see cli.h; the table is filled once, by cli_picture_begin. */
#include <stdio.h>
#include <string.h>

#include "common/cli.h"

/* KEY_FIELD + k is the option of member k of the preprocessing. */
enum { KEY_RESIZE = 1000, KEY_BGR, KEY_FIELD, MOST_FIELDS = 32, NAME_ROOM = 32, GROUP = 10 };

static const struct argp_option OPTIONS[] = {
    {"resize", KEY_RESIZE, "N", 0, "short side in pixels before the centre is cut; instead of --crop-pct", GROUP},
    {"bgr", KEY_BGR, NULL, 0, "the same as --color bgr", GROUP},
};
enum { N_OPTIONS = sizeof OPTIONS / sizeof *OPTIONS };

/* The options that kf_preprocess_field lists, each with at most one other name, and the end. */
static struct option_list {
    struct argp_option all[N_OPTIONS + 2 * MOST_FIELDS + 1];
    char names[MOST_FIELDS][NAME_ROOM], help[MOST_FIELDS][160];
} list;

static void option_name(const kf_field *f, char name[NAME_ROOM]) {
    snprintf(name, NAME_ROOM, "%s", f->key);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
}

static void option_help(const kf_field *f, char *help, size_t room) {
    size_t at = (size_t)snprintf(help, room, "%s", f->help);
    for (int i = 0; f->words && at < room && i <= (int)f->hi; i++)
        at += (size_t)snprintf(help + at, room - at, "%s%s", i ? ", " : ": ", f->words[i]);
    if (f->n > 1) snprintf(help + at, room - at, "; one number for all %d", f->n);
}

static const char *option_arg(const kf_field *f) {
    if (f->words) return "NAME";
    if (f->n > 1) return "R,G,B";
    return f->kind == KF_FIELD_INTEGER ? "N" : "F";
}

void cli_picture_begin(void) {
    const kf_field *f;
    int n = N_OPTIONS;
    memcpy(list.all, OPTIONS, sizeof OPTIONS);
    for (int k = 0; k < MOST_FIELDS && (f = kf_preprocess_field(k)) != NULL; k++) {
        if (!f->help) continue;
        option_name(f, list.names[k]);
        option_help(f, list.help[k], sizeof list.help[k]);
        list.all[n++] = (struct argp_option){list.names[k], KEY_FIELD + k, option_arg(f), 0, list.help[k], GROUP};
        if (strcmp(f->key, "crop_mode") == 0)
            list.all[n++] = (struct argp_option){"crop", KEY_FIELD + k, NULL, OPTION_ALIAS, NULL, GROUP};
    }
}

static int index_of(const char *key) {
    const kf_field *f;
    for (int k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        if (strcmp(f->key, key) == 0) return k;
    return -1;
}

bool cli_picture_gives(const cli_picture *p, const char *key) {
    int k = index_of(key);
    return k >= 0 && p->fields >> k & 1;
}

static void take(cli_picture *p, int k, const char *arg, struct argp_state *state) {
    char name[NAME_ROOM];
    kf_error err;
    const kf_field *f = kf_preprocess_field(k);
    option_name(f, name);
    if (kf_preprocess_parse(&p->given, f, arg, &err) != KF_OK) argp_error(state, "--%s: %s", name, err.text);
    p->fields |= (uint32_t)1 << k;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    cli_common *c = state->input;
    cli_picture *p = &c->picture;
    switch (key) {
    case KEY_RESIZE: p->resize = (int32_t)cli_number(state, "--resize", arg, 1, 16384); return 0;
    case KEY_BGR:
        p->bgr = true;
        if (!cli_picture_gives(p, "color")) take(p, index_of("color"), "bgr", state);
        return 0;
    case ARGP_KEY_END:
        if (p->bgr && p->given.color != KF_COLOR_BGR)
            argp_error(state, "--bgr and --color say different things; give one of them");
        if (p->resize && cli_picture_gives(p, "crop_pct"))
            argp_error(state, "--resize and --crop-pct say the same thing; give one of them");
        return 0;
    default:
        if (key < KEY_FIELD || key >= KEY_FIELD + MOST_FIELDS) return ARGP_ERR_UNKNOWN;
        take(p, key - KEY_FIELD, arg, state);
        return 0;
    }
}

const struct argp cli_picture_argp = {.options = list.all, .parser = parse};

const char *cli_picture_option(const cli_picture *p, char name[CLI_OPTION_ROOM]) {
    const kf_field *f;
    if (p->resize) return "--resize";
    for (int k = 0; (f = kf_preprocess_field(k)) != NULL; k++) {
        if (!(p->fields >> k & 1)) continue;
        memcpy(name, "--", 3);
        option_name(f, name + 2);
        return name;
    }
    return NULL;
}

/* ---- the note ---------------------------------------------------------------------------------------------------- */

/* "bicubic, mean 0.485 0.456 0.406, std 0.229 0.224 0.225" */
static void describe(const kf_preprocess *p, char *text, size_t room) {
    snprintf(text, room, "%s, mean %.4g %.4g %.4g, std %.4g %.4g %.4g", kf_filter_name(p->filter), p->mean[0],
             p->mean[1], p->mean[2], p->std[0], p->std[1], p->std[2]);
}

void cli_tell_preprocess(const char *name, const cli_prepared *p, const cli_picture *given) {
    static char last[512];
    char what[160], text[1024];
    const char *dot = p->source ? strrchr(p->source, '.') : NULL;
    bool stated = dot && strcmp(dot, ".json") == 0 && p->beside;
    bool normalizes = stated || (cli_picture_gives(given, "mean") && cli_picture_gives(given, "std"));
    if (!p->preprocess->valid || normalizes || strcmp(last, name) == 0) return;
    describe(p->preprocess, what, sizeof what);
    if (p->origin == KF_ORIGIN_ASSUMED)
        snprintf(
            text, sizeof text,
            "%.400s: assumed ImageNet's %s; nothing says how pictures are prepared; say --preprocess or --mean and "
            "--std%s",
            name, what, p->imported ? "" : " to kitfox import");
    else if (p->origin == KF_ORIGIN_RECOGNIZED && p->imported && p->source)
        snprintf(text, sizeof text, "%.400s: %s, recognized from %.200s; --preprocess, --mean and --std say otherwise",
                 name, what, p->source);
    else return;
    cli_note(NULL, text);
    snprintf(last, sizeof last, "%s", name);
}
