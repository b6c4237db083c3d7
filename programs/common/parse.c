/* A look at all words before argp sees them, and a stream that gathers what argp says.
 * Owner rule: see parse.h. */
#include "common/parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"

/* ---- what there is ----------------------------------------------------------------------------------------------- */

enum { MOST_OPTIONS = 96 };

typedef struct known {
    const char *name[MOST_OPTIONS]; /* NULL: a letter alone */
    int letter[MOST_OPTIONS];       /* 0: none */
    bool takes[MOST_OPTIONS];
    int n;
} known;

static void add(known *k, const char *name, int key, bool takes) {
    if (k->n == MOST_OPTIONS) return;
    k->name[k->n] = name;
    k->letter[k->n] = key > ' ' && key < 127 ? key : 0;
    k->takes[k->n++] = takes;
}

static void gather(known *k, const struct argp *argp) {
    const struct argp_option *real = NULL;
    for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++) {
        if (!(o->flags & OPTION_ALIAS)) real = o;
        if (o->name || o->key) add(k, o->name, o->key, real->arg != NULL);
    }
    for (const struct argp_child *c = argp->children; c && c->argp; c++) gather(k, c->argp);
}

/* ---- what is said ------------------------------------------------------------------------------------------------ */

static FILE *said; /* by argp, to be told when the program ends */
static char *said_text;
static size_t said_bytes;

/* The first line of argp is "PROGRAM VERB: text". */
static void tell(void) {
    if (!said || fclose(said) != 0 || !said_text || !*said_text) return;
    said = NULL;
    fputs(said_text, stderr);
    char *from = strstr(said_text, ": "), *end = strchr(said_text, '\n');
    if (!from || !end || from > end) return;
    *end = '\0';
    cli_print_error(KF_ERR_ARGUMENT, from + 2);
}

int cli_usage(const char *verb, const char *fmt, ...) {
    char text[KF_ERROR_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fprintf(stderr, "%s: %s\nTry `%s --help' for more information.\n", verb, cli_shown(text), verb);
    cli_print_error(KF_ERR_ARGUMENT, text);
    return EXIT_USAGE;
}

/* ---- the look ---------------------------------------------------------------------------------------------------- */

/* Index of the option that `word` of `n` bytes names or begins; -1: none; -2: several. */
static int find(const known *k, const char *word, size_t n) {
    int found = -1;
    for (int i = 0; i < k->n; i++) {
        if (!k->name[i] || strncmp(k->name[i], word, n) != 0) continue;
        if (!k->name[i][n]) return i;
        found = found == -1 ? i : -2;
    }
    return found;
}

static int nearest(const known *k, const char *word) {
    size_t best = SIZE_MAX, d;
    int found = -1;
    for (int i = 0; i < k->n; i++)
        if (k->name[i] && cli_resembles(word, k->name[i], &d) && d < best) best = d, found = i;
    return found;
}

typedef struct look {
    const known *k;
    const char *verb;
    bool json;    /* was asked for */
    bool quiet;   /* the first look only searches --json */
    bool refused; /* and has been told */
} look;

static void refuse(look *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(look *l, const char *fmt, ...) {
    char text[KF_ERROR_TEXT];
    va_list args;
    if (l->quiet || l->refused) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    cli_usage(l->verb, "%s", text);
    l->refused = true;
}

static void unknown(look *l, const char *word, size_t n) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)n, word);
    int other = nearest(l->k, name);
    if (other >= 0) refuse(l, "--%s: there is no such option; did you mean --%s?", name, l->k->name[other]);
    else refuse(l, "--%s: there is no such option; --help lists those that there are", name);
}

static void ambiguous(look *l, const char *word, size_t n) {
    char all[400] = "";
    for (int i = 0; i < l->k->n; i++)
        if (l->k->name[i] && strncmp(l->k->name[i], word, n) == 0)
            snprintf(all + strlen(all), sizeof all - strlen(all), "%s--%s", *all ? ", " : "", l->k->name[i]);
    refuse(l, "--%.*s: which one: %s?", (int)n, word, all);
}

static void see(look *l, int i) { l->json |= l->k->name[i] && strcmp(l->k->name[i], "json") == 0; }

/* "--word", "--word=value"; returns whether the next word is its argument. */
static bool long_one(look *l, const char *word, bool last) {
    size_t n = strcspn(word, "=");
    int i = find(l->k, word, n);
    if (i == -1) unknown(l, word, n);
    if (i == -2) ambiguous(l, word, n);
    if (i < 0) return false;
    see(l, i);
    bool takes = l->k->takes[i];
    if (word[n] && !takes) refuse(l, "--%s: takes no argument; leave %s out", l->k->name[i], word + n);
    if (!word[n] && takes && last) refuse(l, "--%s: its argument is missing", l->k->name[i]);
    return !word[n] && takes;
}

/* "-abc", "-afile"; the same. */
static bool letters(look *l, const char *word, bool last) {
    for (; *word; word++) {
        int i = 0;
        while (i < l->k->n && l->k->letter[i] != (unsigned char)*word) i++;
        if (i == l->k->n) {
            refuse(l, "-%c: there is no such option; --help lists those that there are", *word);
            return false;
        }
        see(l, i);
        if (!l->k->takes[i]) continue;
        if (!word[1] && last) refuse(l, "-%c: its argument is missing", *word);
        return !word[1];
    }
    return false;
}

static bool look_at(look *l, int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        bool skip = false;
        if (strncmp(argv[i], "--", 2) == 0) skip = long_one(l, argv[i] + 2, i + 1 == argc);
        else if (argv[i][0] == '-' && argv[i][1]) skip = letters(l, argv[i] + 1, i + 1 == argc);
        i += skip;
    }
    return !l->refused;
}

/* ---- argp -------------------------------------------------------------------------------------------------------- */

/* Around the verb's own, for the stream of errors. */
static error_t around(int key, char *arg, struct argp_state *state) {
    (void)arg;
    if (key != ARGP_KEY_INIT) return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    if (said) state->err_stream = said;
    return 0;
}

error_t cli_parse(const struct argp *argp, int argc, char **argv, void *input) {
    static bool registered;
    const struct argp_child children[] = {{argp, 0, NULL, 0}, {0}};
    const struct argp outer = {NULL, around, NULL, NULL, children, NULL, NULL};
    known k = {.n = 0};
    look first = {.k = &k, .verb = argv[0], .quiet = true}, second = {.k = &k, .verb = argv[0]};
    gather(&k, argp);
    add(&k, "help", '?', false);
    add(&k, "usage", 0, false);
    look_at(&first, argc, argv);
    if (first.json) cli_json_on();
    if (!look_at(&second, argc, argv)) return EINVAL;
    if (!registered && atexit(tell) == 0) registered = true;
    said = open_memstream(&said_text, &said_bytes);
    error_t st = argp_parse(&outer, argc, argv, 0, NULL, input);
    if (said) fclose(said);
    said = NULL;
    free(said_text);
    said_text = NULL;
    return st;
}
