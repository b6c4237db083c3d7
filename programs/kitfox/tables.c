/* kitfox-tables: the tables of options of every verb as JSON, for tools/make_manuals.py. Never installed. The linker
 * puts __wrap_cli_parse in place of cli_parse (-Wl,--wrap): a verb hands over its table and is told to stop.
 * Owner rule: the one JSON value belongs to main. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef KF_WITH_RDK
#include "kitfox/rdk.h"
#else
#include "common/cli.h"
#endif

int __wrap_cli_parse(const struct argp *argp, int argc, char **argv, void *input);

static json_t *verb; /* that main asks now */

/* What the verb says of the option with the argument "?", which no number and no choice is: its range. The child ends
 * inside argp, or here when the argument was taken. */
static void ask(const struct argp *argp, const char *name, void *input, json_t *option) {
    char words[80], said[1024] = "", *end;
    int ends[2];
    size_t n = 0;
    snprintf(words, sizeof words, "--%s=?", name);
    char *argv[] = {"", words, NULL};
    if (pipe(ends) != 0) return;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        argp_parse(argp, 2, argv, 0, NULL, input);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; n < sizeof said - 1 && (got = read(ends[0], said + n, sizeof said - 1 - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    if (child > 0) waitpid(child, NULL, 0);
    if ((end = strchr(said, '\n')) != NULL) *end = '\0';
    const char *text = strchr(said, '-');
    if (text && strstr(text, ": ")) json_object_set_new(option, "refusal", json_string(text));
}

static json_t *text_or_null(const char *text) { return text ? json_string(text) : json_null(); }

static json_t *option_of(const struct argp_option *o) {
    const char letter[] = {(char)o->key, '\0'};
    bool has_letter = o->key > ' ' && o->key < 127;
    return json_pack("{s:o,s:o,s:o,s:s,s:i,s:[]}", "name", text_or_null(o->name), "letter",
                     text_or_null(has_letter ? letter : NULL), "argument", text_or_null(o->arg), "help",
                     o->doc ? o->doc : "", "group", o->group, "aliases");
}

static void gather(const struct argp *top, const struct argp *argp, void *input, json_t *all) {
    json_t *last = NULL;
    for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++) {
        if (o->flags & OPTION_HIDDEN) continue;
        if (o->flags & OPTION_ALIAS) {
            json_array_append_new(json_object_get(last, "aliases"), json_string(o->name));
            continue;
        }
        last = option_of(o);
        json_array_append_new(all, last);
        if (o->arg) ask(top, o->name, input, last);
    }
    for (const struct argp_child *c = argp->children; c && c->argp; c++) gather(top, c->argp, input, all);
}

int __wrap_cli_parse(const struct argp *argp, int argc, char **argv, void *input) {
    (void)argc, (void)argv;
    json_t *all = json_array();
    gather(argp, argp, input, all);
    json_object_set_new(verb, "arguments", json_string(argp->args_doc ? argp->args_doc : ""));
    json_object_set_new(verb, "doc", json_string(argp->doc ? argp->doc : ""));
    json_object_set_new(verb, "options", all);
    return EINVAL;
}

#ifdef KF_WITH_RDK
static json_t *flags_of(const char *tool, const rdk_flag *flags) {
    json_t *all = json_array();
    for (const rdk_flag *f = flags; f->name; f++) {
        const char letter[] = {f->letter, '\0'};
        json_t *flag =
            json_pack("{s:s,s:o,s:b,s:s,s:o}", "name", f->name, "letter", text_or_null(f->letter ? letter : NULL),
                      "takes", f->takes != RDK_SWITCH, "help", f->does, "idle", text_or_null(f->idle));
        if (f->takes == RDK_NUMBER)
            json_object_set_new(flag, "range", json_pack("[I,I]", (json_int_t)f->least, (json_int_t)f->most));
        json_array_append_new(all, flag);
    }
    return json_pack("{s:s,s:o}", "name", tool, "flags", all);
}

static json_t *tools(void) {
    return json_pack("[o,o,o,o]", flags_of("hb_mapper checker", rdk_checker_flags),
                     flags_of("hb_mapper makertbin", rdk_makertbin_flags), flags_of("hrt_model_exec", rdk_exec_flags),
                     flags_of("hb_perf", rdk_page_flags));
}
#else
static json_t *tools(void) { return json_array(); }
#endif

int main(void) {
    json_t *verbs = json_array();
    cli_picture_begin();
    for (const cli_verb *v = cli_verbs; v->name; v++) {
        char *argv[] = {(char *)v->name, NULL};
        verb = json_pack("{s:s,s:s}", "name", v->name, "does", v->does);
        json_array_append_new(verbs, verb);
        v->run(1, argv);
    }
    json_t *all = json_pack("{s:s,s:s,s:o,s:o}", "program", cli_program, "version", kf_version(), "verbs", verbs,
                            "tools", tools());
    int failed = !all || json_dumpf(all, stdout, JSON_INDENT(1)) != 0;
    json_decref(all);
    return failed;
}
