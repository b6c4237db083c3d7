/* kf_pull: weights and configuration as a pair, neither of which gets its name before both are right.
 * Owner rule: paths live in fixed buffers; what was fetched is named or forgotten before the call returns. */
#include "pull/pull.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pull/transfer.h"

enum { MOST_NAME = 3000, MOST_CONFIG = 1 << 20, MOST_WEIGHTS = 1 << 30 };
static const char CONFIG[] = "config.json", HUB[] = "https://huggingface.co";

/* One file of a pull: where it is from and where it goes. */
typedef struct part {
    const char *name; /* on the server */
    char path[KF__PULL_PATH], url[KF__PULL_PATH];
    kf__fetch fetch;
    kf__fetched got;
} part;

typedef struct job {
    kf_weights weights;
    kf_pull_options options;
    part file, config;
    bool keep_config; /* the one that is there */
    kf_pull_result result;
    kf_error *err;
} job;

/* ---- options ----------------------------------------------------------------------------------------------------- */

void kf_pull_options_init(kf_pull_options *options) {
    *options =
        (kf_pull_options){.size = sizeof *options, .tries = 5, .wait_ms = 1000, .timeout_s = 30, .slowest = 1024};
}

static kf_status read_options(kf_pull_options *to, const kf_pull_options *from, kf_error *err) {
    kf_pull_options_init(to);
    KF_TRY(kf_options_read(to, from, "kf_pull_options", err));
    const struct {
        const char *name;
        int64_t value, most;
    } NUMBERS[] = {{"tries (--retries)", to->tries, 100},
                   {"wait_ms (--wait)", to->wait_ms, 60000},
                   {"timeout_s (--timeout)", to->timeout_s, 3600},
                   {"slowest (--slowest)", to->slowest, 1 << 30}};
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        if (NUMBERS[i].value < 1 || NUMBERS[i].value > NUMBERS[i].most)
            KF_FAIL(err, KF_ERR_ARGUMENT, "kf_pull: %s is %lld; 1 to %lld is needed", NUMBERS[i].name,
                    (long long)NUMBERS[i].value, (long long)NUMBERS[i].most);
    const char *hash = to->sha256, *url = to->mirror;
    if (hash && (strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64))
        KF_FAIL(err, KF_ERR_ARGUMENT, "--sha256 %.200s: 64 digits of 0 to 9 and a to f are needed", hash);
    if (url && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0 && strncmp(url, "file://", 7) != 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "--mirror %.600s: an http://, https:// or file:// URL is needed", url);
    return KF_OK;
}

kf_status kf_pull_options_check(const kf_pull_options *options, kf_error *err) {
    kf_pull_options o;
    return read_options(&o, options, err);
}

void kf_pull_result_free(kf_pull_result *result) {
    kf_pull_result r = {.size = sizeof r}, empty = r;
    if (!result || kf_info_write(&r, result, "kf_pull_result", NULL) != KF_OK) return;
    free(r.file);
    free(r.config);
    free(r.source);
    kf_info_write(result, &empty, "kf_pull_result", NULL);
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

static bool make_folders(const char *path) {
    char p[KF__PULL_PATH];
    snprintf(p, sizeof p, "%s", path);
    for (char *s = p + 1; *s; s++)
        if (*s == '/') {
            *s = '\0';
            if (mkdir(p, 0777) != 0 && errno != EEXIST) return false;
            *s = '/';
        }
    return mkdir(p, 0777) == 0 || errno == EEXIST;
}

static bool is_folder(const char *path) {
    struct stat st;
    size_t n = strlen(path);
    return (n && path[n - 1] == '/') || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* `output` is the name of the weights: the configuration goes into the same folder. */
static kf_status name_beside(job *j, const char *output) {
    const char *slash = strrchr(output, '/');
    int folder = slash ? (int)(slash + 1 - output) : 0;
    snprintf(j->file.path, sizeof j->file.path, "%s", output);
    snprintf(j->config.path, sizeof j->config.path, "%.*s%s", folder, output, CONFIG);
    if (strcmp(j->file.path, j->config.path) == 0)
        KF_FAIL(j->err, KF_ERR_ARGUMENT, "%.600s: the configuration goes there; choose another name for the weights",
                j->file.path);
    return KF_OK;
}

/* Where both go; the folder is made. */
static kf_status choose_places(job *j) {
    char folder[KF__PULL_PATH];
    const char *output = j->options.output;
    if (output && strlen(output) > MOST_NAME) KF_FAIL(j->err, KF_ERR_LIMIT, "-o: the name is too long");
    if (output && !is_folder(output)) return name_beside(j, output);
    if (!output && !kf__pull_cache(j->weights.name, folder))
        KF_FAIL(j->err, KF_ERR_IO, "pull: neither XDG_CACHE_HOME nor HOME is set; give -o DIR");
    if (output) snprintf(folder, sizeof folder, "%s", output);
    if (!make_folders(folder))
        KF_FAIL(j->err, KF_ERR_IO, "%.600s: the folder cannot be made; check its parent", folder);
    snprintf(j->file.path, sizeof j->file.path, "%.3500s/%s", folder, j->weights.file);
    snprintf(j->config.path, sizeof j->config.path, "%.3500s/%s", folder, CONFIG);
    return KF_OK;
}

/* A pipe or a device is nothing to fetch into. */
static kf_status check_regular(const part *p, kf_error *err) {
    struct stat st;
    if (stat(p->path, &st) != 0 || S_ISREG(st.st_mode)) return KF_OK;
    KF_FAIL(err, KF_ERR_IO, "%.600s: not a regular file; choose another -o", p->path);
}

/* A configuration of other weights is not for kf_pull to replace. */
static kf_status check_places(job *j) {
    bool same = true;
    KF_TRY(check_regular(&j->file, j->err));
    KF_TRY(check_regular(&j->config, j->err));
    j->keep_config = !j->options.force && kf__pull_exists(j->config.path);
    if (j->keep_config) KF_TRY(kf__pull_config_is_of(j->weights.repository, j->config.path, &same, j->err));
    if (!same)
        KF_FAIL(j->err, KF_ERR_IO,
                "%.600s: this configuration is of other weights; choose another -o, or replace it with --force",
                j->config.path);
    return KF_OK;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static kf_status fill(job *j, const char *source) {
    kf_pull_result *r = &j->result;
    r->file = strdup(j->file.path), r->config = strdup(j->config.path);
    if (source) r->source = strdup(source);
    if (!r->file || !r->config || (source && !r->source))
        KF_FAIL(j->err, KF_ERR_MEMORY, "%.600s: out of memory; free some", j->file.path);
    r->bytes = j->file.got.bytes;
    r->resumed = j->file.got.resumed;
    memcpy(r->sha256, j->file.got.sha256, sizeof r->sha256);
    return KF_OK;
}

/* Both are there: nothing is asked for. */
static kf_status accept_cached(job *j) {
    const char *path = j->file.path, *wanted = j->options.sha256;
    char *hash = j->file.got.sha256;
    struct stat there;
    kf_status st = kf__pull_check_weights(path, path, j->err);
    if (st != KF_OK && st != KF_ERR_MEMORY)
        KF_FAIL(j->err, st, "%.600s: what is there is not a complete safetensors file; replace it with --force", path);
    if (st != KF_OK) return st;
    KF_TRY(kf_file_sha256(path, hash, j->err));
    if (wanted && strcmp(hash, wanted) != 0)
        KF_FAIL(j->err, KF_ERR_CORRUPT,
                "%.500s: the SHA-256 differs: %s is there, %s is asked for; replace it with --force", path, hash,
                wanted);
    if (stat(path, &there) == 0) j->file.got.bytes = (uint64_t)there.st_size;
    return fill(j, NULL);
}

/* ---- the transfer ------------------------------------------------------------------------------------------------ */

/* A mirror may keep the hub's paths, or plain folders. */
static kf_status fetch(job *j, part *p) {
    const char *base = j->options.mirror ? j->options.mirror : HUB, *repository = j->weights.repository;
    int n = (int)strnlen(base, MOST_NAME + 1);
    while (n > 0 && base[n - 1] == '/') n--;
    if (n > MOST_NAME) KF_FAIL(j->err, KF_ERR_LIMIT, "--mirror: the URL is too long");
    snprintf(p->url, sizeof p->url, "%.*s/%s/resolve/main/%s", n, base, repository, p->name);
    kf_status st = kf__fetch_part(&p->fetch, &p->got, j->err);
    if (st == KF_OK || !p->got.missing || !j->options.mirror) return st;
    snprintf(p->url, sizeof p->url, "%.*s/%s/%s", n, base, repository, p->name);
    return kf__fetch_part(&p->fetch, &p->got, j->err);
}

static void prepare(job *j, part *p) {
    const kf_pull_options *o = &j->options;
    bool is_config = p == &j->config;
    p->name = is_config ? CONFIG : j->weights.file;
    p->fetch = (kf__fetch){.url = p->url,
                           .path = p->path,
                           .max_bytes = is_config ? MOST_CONFIG : MOST_WEIGHTS,
                           .tries = o->tries,
                           .wait_ms = o->wait_ms,
                           .stall_s = o->timeout_s,
                           .slowest = o->slowest,
                           .sha256 = is_config ? NULL : o->sha256,
                           .progress = o->progress,
                           .notice = o->notice,
                           .user = o->user,
                           .check = is_config ? kf__pull_check_config : kf__pull_check_weights};
}

static kf_status fetch_config(job *j) {
    char staged[KF__PULL_PATH];
    bool same;
    KF_TRY(fetch(j, &j->config));
    snprintf(staged, sizeof staged, "%.4000s.part", j->config.path);
    KF_TRY(kf__pull_config_is_of(j->weights.repository, staged, &same, j->err));
    if (!same)
        KF_FAIL(j->err, KF_ERR_CORRUPT, "%.600s: this configuration is of other weights; check --mirror",
                j->config.url);
    return KF_OK;
}

/* Weights that are there already are kept when they are the same, and otherwise replaced only by force. */
static kf_status check_there(job *j) {
    char there[65];
    const part *p = &j->file;
    if (j->options.force || !kf__pull_exists(p->path)) return KF_OK;
    KF_TRY(kf_file_sha256(p->path, there, j->err));
    if (strcmp(there, p->got.sha256) == 0) return KF_OK;
    KF_FAIL(j->err, KF_ERR_IO, "%.600s: a different file is there; choose another -o, or replace it with --force",
            p->path);
}

/* The weights get their name first: what has a name is whole. */
static kf_status fetch_both(job *j) {
    if (!j->keep_config) KF_TRY(fetch_config(j));
    KF_TRY(fetch(j, &j->file));
    KF_TRY(check_there(j));
    KF_TRY(fill(j, j->file.url));
    KF_TRY(kf__fetch_name(&j->file.fetch, &j->file.got, j->err));
    return j->keep_config ? KF_OK : kf__fetch_name(&j->config.fetch, &j->config.got, j->err);
}

/* Without a network there are two ways on. */
static kf_status advise_offline(job *j, kf_status st) {
    kf_error said = *j->err;
    KF_FAIL(j->err, st, "%.400s; no network? try --mirror URL, or copy %s and %s of %s to %.300s", said.text,
            j->weights.file, CONFIG, j->weights.repository, j->file.path);
}

static kf_status pull(job *j, const char *name) {
    KF_TRY(kf_weights_find(name, &j->weights, j->err));
    KF_TRY(choose_places(j));
    KF_TRY(check_places(j));
    if (j->keep_config && kf__pull_exists(j->file.path)) return accept_cached(j);
    prepare(j, &j->file);
    prepare(j, &j->config);
    kf_status st = fetch_both(j);
    if (st == KF_OK) return st;
    kf__fetch_forget(&j->file.fetch, &j->file.got);
    kf__fetch_forget(&j->config.fetch, &j->config.got);
    return j->file.got.offline || j->config.got.offline ? advise_offline(j, st) : st;
}

kf_status kf_pull(const char *name, const kf_pull_options *options, kf_pull_result *out, kf_error *err) {
    kf_error own;
    const kf_pull_result empty = {.size = sizeof empty};
    if (!err) err = &own;
    KF_TRY(kf_info_write(out, &empty, "kf_pull_result", err));
    if (!name) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_pull: `name` is needed");
    job *j = calloc(1, sizeof *j);
    if (!j) KF_FAIL(err, KF_ERR_MEMORY, "%.200s: out of memory; free some", name);
    *j = (job){.weights.size = sizeof j->weights, .result = empty, .err = err};
    j->file.got.fd = j->config.got.fd = -1;
    kf_status st = read_options(&j->options, options, err);
    if (st == KF_OK) st = pull(j, name);
    if (st == KF_OK) st = kf_info_write(out, &j->result, "kf_pull_result", err);
    if (st != KF_OK) kf_pull_result_free(&j->result);
    free(j);
    return st;
}
