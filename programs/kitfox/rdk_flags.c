/* Flags of the board's tools, by a table: gflags' forms and those of hb_mapper.
 * Owner rule: values point into the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/rdk.h"

typedef struct reader {
    const rdk_tool *tool;
    int argc, at; /* at: the next word */
    char **argv;
    rdk_value *values;
    int status;
} reader;

static int count(const rdk_flag *flags) {
    int n = 0;
    while (flags[n].name) n++;
    return n;
}

static void help(const rdk_tool *t) {
    printf("Usage: %s %s\n\n%s\n\n", t->name, t->arguments, t->does);
    for (const rdk_flag *f = t->flags; f->name; f++) {
        char letter[8] = "    ";
        if (f->letter) snprintf(letter, sizeof letter, "-%c, ", f->letter);
        printf("  %s--%-26s %s", letter, f->name, f->does);
        if (f->idle) printf("; not used: %s", f->idle);
        putchar('\n');
    }
}

static bool refuse(reader *r, const char *what, const char *why) {
    r->status = cli_usage(r->tool->name, "%.200s: %s", what, why);
    return false;
}

/* The flag that the `n` bytes of `word` name; a switch also by "noNAME", which clears *on. -1: none. */
static int find(const rdk_flag *flags, const char *word, size_t n, bool *on) {
    for (int i = 0; flags[i].name; i++) {
        const char *name = flags[i].name;
        if (strlen(name) == n && strncmp(name, word, n) == 0) return i;
        if (n == 1 && flags[i].letter == *word) return i;
        if (flags[i].takes != RDK_SWITCH || n != strlen(name) + 2 || strncmp(word, "no", 2) != 0) continue;
        *on = strncmp(word + 2, name, n - 2) != 0;
        if (!*on) return i;
    }
    return -1;
}

static bool unknown(reader *r, const char *word, size_t n) {
    char given[64], text[160] = "there is no such flag; --help lists them";
    size_t best = SIZE_MAX, d;
    snprintf(given, sizeof given, "%.*s", n < 60 ? (int)n : 60, word);
    for (const rdk_flag *f = r->tool->flags; f->name; f++)
        if (cli_resembles(given, f->name, &d) && d < best) {
            best = d;
            snprintf(text, sizeof text, "there is no such flag; did you mean --%s?", f->name);
        }
    return refuse(r, given, text);
}

static bool set_number(reader *r, const rdk_flag *f, rdk_value *v, const char *text) {
    char why[120], *end;
    errno = 0;
    v->number = strtol(text, &end, 10);
    if (end != text && !*end && errno == 0 && v->number >= f->least && v->number <= f->most) return true;
    snprintf(why, sizeof why, "%.20s is not a number from %ld to %ld", text, f->least, f->most);
    return refuse(r, f->name, why);
}

static bool set_switch(reader *r, const rdk_flag *f, rdk_value *v, const char *text, bool on) {
    static const char *const words[2][5] = {{"false", "False", "0", "no", "f"}, {"true", "True", "1", "yes", "t"}};
    v->number = on;
    if (!text) return true;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 5; i++)
            if (strcmp(text, words[k][i]) == 0) {
                v->number = k;
                return true;
            }
    return refuse(r, f->name, "true or false is needed");
}

static bool add_pair(reader *r, const rdk_flag *f, rdk_value *v, bool joined) {
    if (joined || r->at + 2 > r->argc)
        return refuse(r, f->name, "two words are needed behind it, a name and its value");
    if (v->n_pairs == RDK_MOST_PAIRS) return refuse(r, f->name, "given too often");
    v->pairs[v->n_pairs++] = r->argv + r->at;
    r->at += 2;
    return true;
}

/* `word` is behind its dashes. */
static bool take(reader *r, char *word) {
    char *eq = strchr(word, '=');
    size_t n = eq ? (size_t)(eq - word) : strlen(word);
    bool on = true;
    int i = find(r->tool->flags, word, n, &on);
    if (i < 0) return unknown(r, word, n);
    const rdk_flag *f = &r->tool->flags[i];
    rdk_value *v = &r->values[i];
    if (f->idle && !v->given)
        fprintf(stderr, "%s: note: --%s has no meaning on a CPU: %s\n", r->tool->name, f->name, f->idle);
    v->given = true;
    const char *text = eq ? eq + 1 : NULL;
    if (f->takes == RDK_SWITCH) return set_switch(r, f, v, text, on);
    if (f->takes == RDK_PAIR) return add_pair(r, f, v, text != NULL);
    if (!text && r->at == r->argc) return refuse(r, f->name, "its value is missing");
    if (!text) text = r->argv[r->at++];
    v->text = text;
    return f->takes != RDK_NUMBER || set_number(r, f, v, text);
}

static bool word(reader *r, char *text) {
    if (r->tool->word && !*r->tool->word) {
        *r->tool->word = text;
        return true;
    }
    return r->tool->ignores_words || refuse(r, text, "it belongs to no flag");
}

bool rdk_parse(const rdk_tool *tool, int argc, char **argv, rdk_value *values, int *status) {
    reader r = {tool, argc, 1, argv, values, EXIT_DONE};
    for (int i = 0; i < count(tool->flags); i++) values[i] = (rdk_value){.number = tool->flags[i].is};
    while (r.at < argc) {
        char *text = argv[r.at++];
        if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
            help(tool);
            *status = EXIT_DONE;
            return false;
        }
        bool dashes = text[0] == '-' && text[1];
        bool ok = dashes ? take(&r, text + 1 + (text[1] == '-')) : word(&r, text);
        if (ok) continue;
        *status = r.status;
        return false;
    }
    return true;
}
