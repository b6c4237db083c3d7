/* Names of a checkpoint as its architecture has them: wrappers (DDP, FSDP, torch.compile, EMA, training loops) put
 * words before and between the words of a name. Every word that no network known here has is left out.
 * Owner rule: the words and names live in the container's arena. */
#include "import/checkpoint_names.h"

#include <stdlib.h>

#include "import/name_index.h"
#include "zoo/zoo.h"

/* The smallest network has over 150 tensors. To learn all names takes as long as to build all networks, which small and
 * damaged files are not worth. */
enum { LEAST_TENSORS = 100 };
enum { MAX_WORDS = 128, MAX_DROPPED = 16, MAX_NAME = 512, MAX_NOTE = 200 };

/* Words of names: between dots. */
typedef struct words {
    kf__arena *arena;
    const char *list[MAX_WORDS];
    size_t n, most; /* more are not kept */
} words;

/* All names of all networks, and their words. */
typedef struct known {
    words words;
    kf__name_index names;
} known;

static bool is_number(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9') return false;
    return n > 0;
}

static bool has(const words *w, const char *s, size_t n) {
    for (size_t i = 0; i < w->n; i++)
        if (strncmp(w->list[i], s, n) == 0 && !w->list[i][n]) return true;
    return false;
}

static bool put(words *w, const char *s, size_t n) {
    if (w->n == w->most || has(w, s, n)) return true;
    const char *copy = kf__arena_printf(w->arena, "%.*s", (int)n, s);
    if (copy) w->list[w->n++] = copy;
    return copy != NULL;
}

/* A tensor of a network: its words are known. */
static kf_status hear(void *user, const char *key, const kf__shape *shape, const float **data, kf_error *err) {
    known *all = user;
    const char *name = kf__arena_printf(all->words.arena, "%s", key);
    (void)shape, (void)data;
    if (!kf__name_index_find(&all->names, key) && (!name || !kf__name_index_put(&all->names, name, 0)))
        KF_FAIL_MEMORY(err, strlen(key));
    for (const char *s = key, *dot = s; dot; s = dot + 1) {
        dot = strchr(s, '.');
        size_t n = dot ? (size_t)(dot - s) : strlen(s);
        if (!is_number(s, n) && !put(&all->words, s, n)) KF_FAIL_MEMORY(err, n);
    }
    return KF_OK;
}

static kf_status learn(known *all, kf_error *err) {
    const kf__zoo_arch *v;
    for (int32_t i = 0; (v = kf__zoo_at(i)); i++) {
        kf__graph *none = NULL;
        const kf__zoo_request r = {.arch = v, .classes = 1, .height = 32, .width = 32, .weight = hear, .user = all};
        KF_TRY(kf__zoo_build(&r, &none, err));
        kf__graph_destroy(&none);
    }
    return KF_OK;
}

/* `name` without unknown words, and without numbers in front, as of a list of modules. NULL: that is no name of a
 * network; also without memory, which *failed tells. */
static const char *plain(const char *name, const known *all, words *dropped, bool *failed) {
    *failed = false;
    if (strlen(name) > MAX_NAME) return NULL;
    char *out = kf__arena_printf(all->words.arena, "%s", name), *to = out;
    *failed = !out;
    for (const char *s = name, *dot = s; out && dot; s = dot + 1) {
        dot = strchr(s, '.');
        size_t n = dot ? (size_t)(dot - s) : strlen(s);
        bool number = is_number(s, n), keep = number ? to != out : has(&all->words, s, n);
        if (!keep && !dot) return NULL;
        if (!keep) continue;
        memmove(to, s, n);
        to += n;
        *to++ = dot ? '.' : '\0';
    }
    if (!out || !kf__name_index_find(&all->names, out)) return NULL;
    for (const char *s = name, *dot = strchr(s, '.'); dot; s = dot + 1, dot = strchr(s, '.')) {
        size_t n = (size_t)(dot - s);
        if (!is_number(s, n) && !has(&all->words, s, n)) *failed |= !put(dropped, s, n);
    }
    return out;
}

/* A single number that no network has: how many steps an average took, and the like. */
static bool is_count(const kf__container_tensor *t) {
    size_t n;
    return kf__shape_count(&t->shape, &n) && n == 1;
}

static kf_status fail_two_sets(const kf__container *c, const char *const *was, size_t i, kf_error *err) {
    const char *a = was[c->by_name[i - 1] - c->tensors], *b = was[c->by_name[i] - c->tensors];
    KF_FAIL(err, KF_ERR_UNSUPPORTED,
            "tensors %.200s and %.200s are both %.200s of a network; of two sets of weights, as of a network and its "
            "average (EMA), save the one that is meant alone",
            a, b, c->by_name[i]->name);
}

static void tell(const words *dropped, void (*notice)(void *, const char *), void *user) {
    char text[64 + 2 * MAX_NOTE] = "names of tensors are read without ";
    for (size_t i = 0; i < dropped->n && strlen(text) < MAX_NOTE; i++) {
        if (i) strcat(text, ", ");
        strncat(text, dropped->list[i], MAX_NOTE / 2);
    }
    if (notice && dropped->n) notice(user, text);
}

static kf_status rename_all(kf__container *c, const known *all, words *dropped, bool *changed, kf_error *err) {
    kf__container_tensor *list = kf__arena_array(&c->arena, c->n_tensors + 1, sizeof *list);
    const char **was = kf__arena_array(&c->arena, c->n_tensors + 1, sizeof *was);
    size_t n = 0;
    if (!was || !list) KF_FAIL_MEMORY(err, c->n_tensors * sizeof *list);
    for (size_t i = 0; i < c->n_tensors; i++) {
        kf__container_tensor t = c->tensors[i];
        bool failed;
        const char *name = plain(t.name, all, dropped, &failed);
        if (failed) KF_FAIL_MEMORY(err, strlen(t.name));
        was[n] = t.name;
        *changed |= name && strcmp(name, t.name) != 0;
        if (!name && is_count(&t)) continue;
        if (name) t.name = name;
        list[n++] = t;
    }
    if (!*changed) return KF_OK;
    c->tensors = list, c->n_tensors = n;
    KF_TRY(kf__container_index(c, err));
    for (size_t i = 1; i < n; i++)
        if (strcmp(c->by_name[i - 1]->name, c->by_name[i]->name) == 0) return fail_two_sets(c, was, i, err);
    return KF_OK;
}

kf_status kf__checkpoint_plain_names(kf__container *c, bool *changed, void (*notice)(void *, const char *), void *user,
                                     kf_error *err) {
    known all = {.words = {.arena = &c->arena, .most = MAX_WORDS}};
    words dropped = {.arena = &c->arena, .most = MAX_DROPPED};
    *changed = false;
    if (c->n_tensors < LEAST_TENSORS) return KF_OK;
    kf_status st = learn(&all, err);
    if (st == KF_OK) st = rename_all(c, &all, &dropped, changed, err);
    kf__name_index_free(&all.names);
    if (st == KF_OK && *changed) tell(&dropped, notice, user);
    return st;
}
