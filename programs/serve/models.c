/* The table of models. Swapping is one pointer under a lock; work on the old model goes on until its users are gone.
 * Owner rule: see models.h. */
#include "serve/models.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct slot {
    char name[SV_MAX_NAME + 1];
    char *path;
    sv_model *model; /* NULL: not loaded */
    int loads;       /* so far */
    bool unloaded;   /* see sv_state */
    char reason[SV_MAX_REASON + 1];
} slot;

struct sv_models {
    pthread_mutex_t lock;    /* of the slots; held for moments */
    pthread_mutex_t loading; /* one load at a time: it takes memory for two models */
    slot slots[SV_MAX_MODELS];
    atomic_int n; /* slots are only added; their names and paths do not change */
    int workers;
    const char *folder; /* NULL: none */
    sv_load_fn load;
    void *user;
};

kf_status sv_models_create(int workers, sv_load_fn load, void *user, sv_models **out, kf_error *err) {
    sv_models *t = *out = calloc(1, sizeof *t);
    if (!t) KF_FAIL(err, KF_ERR_MEMORY, "serve: no memory for the models");
    t->workers = workers, t->load = load, t->user = user;
    pthread_mutex_init(&t->lock, NULL);
    pthread_mutex_init(&t->loading, NULL);
    return KF_OK;
}

static void release(sv_model *m) {
    for (int i = 0; m->sessions && i < m->n_sessions; i++) kf_session_destroy(&m->sessions[i]);
    free(m->sessions);
    kf_model_destroy(&m->model);
    free(m->path);
    free(m);
#ifdef __GLIBC__
    malloc_trim(0); /* else each thread that ever loaded a model keeps room for one */
#endif
}

void sv_model_drop(sv_model *m) {
    if (m && atomic_fetch_sub(&m->users, 1) == 1) release(m);
}

void sv_models_destroy(sv_models **models) {
    sv_models *t = *models;
    if (!t) return;
    for (int i = 0; i < atomic_load(&t->n); i++) {
        sv_model_drop(t->slots[i].model);
        free(t->slots[i].path);
    }
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->loading);
    free(t);
    *models = NULL;
}

static slot *find(sv_models *t, const char *name) {
    for (int i = 0; i < atomic_load(&t->n); i++)
        if (strcmp(t->slots[i].name, name) == 0) return &t->slots[i];
    return NULL;
}

/* The stem of a file name; characters that a URL would have to escape are refused. */
static kf_status name_of(const char *path, char name[SV_MAX_NAME + 1], kf_error *err) {
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot = strrchr(base, '.');
    size_t n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    static const char GOOD[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (!n || n > SV_MAX_NAME || strspn(base, GOOD) < n)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "%.600s: a model is called as its file's stem, which needs 1 to %d of letters, digits, '.', '_', '-'; "
                "rename the file, or link it",
                path, SV_MAX_NAME);
    memcpy(name, base, n);
    name[n] = 0;
    return KF_OK;
}

/* With the lock. */
static kf_status add(sv_models *t, const char *path, kf_error *err) {
    char name[SV_MAX_NAME + 1];
    int n = atomic_load(&t->n);
    KF_TRY(name_of(path, name, err));
    const slot *other = find(t, name);
    if (other)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%.400s and %.400s: both models would be called %s; rename or link one of them",
                other->path, path, name);
    if (n == SV_MAX_MODELS) KF_FAIL(err, KF_ERR_LIMIT, "%.600s: more than %d models", path, SV_MAX_MODELS);
    char *kept = strdup(path);
    if (!kept) KF_FAIL(err, KF_ERR_MEMORY, "serve: no memory for the name of a model");
    slot *s = &t->slots[n];
    memcpy(s->name, name, sizeof name);
    memcpy(s->reason, "not loaded", sizeof "not loaded");
    s->path = kept;
    atomic_store(&t->n, n + 1);
    return KF_OK;
}

kf_status sv_models_add(sv_models *t, const char *path, kf_error *err) {
    pthread_mutex_lock(&t->lock);
    kf_status st = add(t, path, err);
    pthread_mutex_unlock(&t->lock);
    return st;
}

static bool is_model_file(const char *name) {
    static const char *const SUFFIXES[] = {".kfx", ".onnx", ".safetensors"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && *name != '.' && i < sizeof SUFFIXES / sizeof *SUFFIXES; i++)
        if (strcmp(dot, SUFFIXES[i]) == 0) return true;
    return false;
}

static bool is_named(sv_models *t, const char *path) {
    bool found = false;
    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < atomic_load(&t->n); i++) found |= strcmp(t->slots[i].path, path) == 0;
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* Names of files come from the folder alone: nothing that a client says becomes part of a path. */
static kf_status scan(sv_models *t, bool strict, kf_error *err) {
    kf_status st = KF_OK;
    DIR *folder = opendir(t->folder);
    if (!folder) KF_FAIL(err, KF_ERR_IO, "--repository %.600s: %s", t->folder, strerror(errno));
    for (const struct dirent *e; st == KF_OK && (e = readdir(folder)) != NULL;) {
        char path[4096];
        int n = snprintf(path, sizeof path, "%s/%s", t->folder, e->d_name);
        if (!is_model_file(e->d_name) || n >= (int)sizeof path || is_named(t, path)) continue;
        kf_status one = sv_models_add(t, path, err);
        if (strict) st = one;
    }
    closedir(folder);
    return st;
}

kf_status sv_models_folder(sv_models *t, const char *folder, kf_error *err) {
    t->folder = folder;
    return scan(t, true, err);
}

void sv_models_scan(sv_models *t) {
    kf_error err = {0};
    if (t->folder && scan(t, false, &err) != KF_OK) return; /* the models that are known go on */
}

static kf_status describe(sv_model *m, kf_error *err) {
    m->info.size = sizeof m->info;
    KF_TRY(kf_model_get_info(m->model, &m->info, err));
    if (m->info.n_inputs > SV_MAX_TENSORS || m->info.n_outputs > SV_MAX_TENSORS)
        KF_FAIL(err, KF_ERR_LIMIT, "%.600s: %d inputs and %d outputs; the server takes %d of each", m->path,
                m->info.n_inputs, m->info.n_outputs, SV_MAX_TENSORS);
    for (int i = 0; i < m->info.n_inputs; i++) KF_TRY(kf_model_input(m->model, i, &m->inputs[i], err));
    for (int i = 0; i < m->info.n_outputs; i++) KF_TRY(kf_model_output(m->model, i, &m->outputs[i], err));
    m->classes = 1;
    for (int i = 1; i < m->outputs[0].rank; i++) m->classes *= m->outputs[0].shape[i];
    return KF_OK;
}

static kf_status open_sessions(sv_model *m, int workers, kf_error *err) {
    kf_session_options o;
    kf_session_options_init(&o);
    o.threads = 1; /* each worker computes another request */
    m->sessions = calloc((size_t)workers, sizeof *m->sessions);
    if (!m->sessions) KF_FAIL(err, KF_ERR_MEMORY, "serve: no memory for sessions");
    for (m->n_sessions = 0; m->n_sessions < workers; m->n_sessions++)
        KF_TRY(kf_session_create(m->model, &o, &m->sessions[m->n_sessions], err));
    return KF_OK;
}

static kf_status make(sv_models *t, const slot *s, sv_model **out, kf_error *err) {
    sv_model *m = *out = calloc(1, sizeof *m);
    if (!m) KF_FAIL(err, KF_ERR_MEMORY, "serve: no memory for a model");
    memcpy(m->name, s->name, sizeof m->name);
    atomic_init(&m->users, 1);
    m->path = strdup(s->path);
    kf_status st = m->path ? t->load(t->user, s->path, &m->model, err)
                           : kf_error_set(err, KF_ERR_MEMORY, "serve: no memory for a model");
    if (st == KF_OK) st = describe(m, err);
    if (st == KF_OK) st = open_sessions(m, t->workers, err);
    if (st == KF_OK) return KF_OK;
    release(m);
    *out = NULL;
    return st;
}

/* For clients: without the folder of the file, which is none of their business. */
static void keep_reason(slot *s, const char *text) {
    const char *base = strrchr(s->path, '/') ? strrchr(s->path, '/') + 1 : s->path;
    size_t folder = (size_t)(base - s->path), at = 0;
    while (*text && at < SV_MAX_REASON) {
        if (folder && strncmp(text, s->path, folder) == 0) text += folder;
        else s->reason[at++] = *text++;
    }
    s->reason[at] = 0;
}

kf_status sv_models_load(sv_models *t, const char *name, kf_error *err) {
    sv_model *made = NULL, *old = NULL;
    slot *s = find(t, name);
    if (!s) KF_FAIL(err, KF_ERR_ARGUMENT, "there is no model %.200s", name);
    pthread_mutex_lock(&t->loading);
    kf_status st = make(t, s, &made, err);
    pthread_mutex_lock(&t->lock);
    if (st == KF_OK) {
        made->loads = ++s->loads;
        old = s->model, s->model = made;
        s->unloaded = false, s->reason[0] = 0;
    } else keep_reason(s, err ? err->text : "");
    pthread_mutex_unlock(&t->lock);
    pthread_mutex_unlock(&t->loading);
    sv_model_drop(old);
    return st;
}

kf_status sv_models_unload(sv_models *t, const char *name, kf_error *err) {
    slot *s = find(t, name);
    if (!s) KF_FAIL(err, KF_ERR_ARGUMENT, "there is no model %.200s", name);
    pthread_mutex_lock(&t->lock);
    sv_model *old = s->model;
    s->model = NULL, s->unloaded = true;
    memcpy(s->reason, "unloaded", sizeof "unloaded");
    pthread_mutex_unlock(&t->lock);
    sv_model_drop(old);
    return KF_OK;
}

sv_model *sv_models_take(sv_models *t, const char *name, bool *known) {
    slot *s = find(t, name);
    if (known) *known = s != NULL;
    if (!s) return NULL;
    pthread_mutex_lock(&t->lock);
    sv_model *m = s->model;
    if (m) atomic_fetch_add(&m->users, 1);
    pthread_mutex_unlock(&t->lock);
    return m;
}

bool sv_models_at(sv_models *t, int index, sv_state *out) {
    if (index < 0 || index >= atomic_load(&t->n)) return false;
    pthread_mutex_lock(&t->lock);
    const slot *s = &t->slots[index];
    memcpy(out->name, s->name, sizeof out->name);
    memcpy(out->reason, s->reason, sizeof out->reason);
    out->loads = s->model ? s->model->loads : 0;
    out->unloaded = s->unloaded;
    pthread_mutex_unlock(&t->lock);
    return true;
}

bool sv_models_ready(sv_models *t) {
    sv_state s;
    for (int i = 0; sv_models_at(t, i, &s); i++)
        if (s.loads) return true;
    return false;
}
