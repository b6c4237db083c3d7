/* kitfox pull NAME: published weights by name, with the config.json that import reads beside them.
 * The table is pull_table.def; the transfer is common/fetch.c.
 * Owner rule: paths live in fixed buffers; nothing half-written ever has a final name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/fetch.h"
#include "common/files.h"

enum {
    KEY_MIRROR = 1000,
    KEY_LIST,
    KEY_RETRIES,
    KEY_WAIT,
    KEY_TIMEOUT,
    KEY_SLOWEST,
    KEY_SHA256,
    KEY_FORCE,
    PATH = 4096,
    MAX_NAMES = 32
};

typedef struct weights {
    const char *name, *repository, *licence;
} weights;

static const weights TABLE[] = {
#define W(name, repository, licence) {name, repository, licence},
#include "pull_table.def"
#undef W
};
static const char WEIGHTS[] = "model.safetensors", CONFIG[] = "config.json", HUB[] = "https://huggingface.co";
enum { N_TABLE = sizeof TABLE / sizeof *TABLE };

typedef struct options {
    const char *mirror, *out, *sha256, *names[MAX_NAMES];
    int n_names, retries, wait_ms, timeout;
    long slowest;
    bool list, json, force;
} options;

static const struct argp_option OPTIONS[] = {
    {"mirror", KEY_MIRROR, "URL", 0,
     "http, https or file URL that holds REPOSITORY/FILE or REPOSITORY/resolve/main/FILE", 0},
    {"output", 'o', "DIR|FILE", 0, "a folder, or the weights' name (default: the cache folder)", 0},
    {"list", KEY_LIST, NULL, 0, "the names and where they come from", 0},
    {"force", KEY_FORCE, NULL, 0, "replace what is there", 0},
    {"retries", KEY_RETRIES, "N", 0, "attempts for one file (default 5)", 0},
    {"wait", KEY_WAIT, "MS", 0, "first pause between attempts, doubled each time (default 1000)", 0},
    {"timeout", KEY_TIMEOUT, "S", 0,
     "seconds without a connection or below --slowest before a new attempt (default 30)", 0},
    {"slowest", KEY_SLOWEST, "BYTES", 0, "bytes per second that a server has to send (default 1024)", 0},
    {"sha256", KEY_SHA256, "HEX", 0,
     "hash that the weights must have (default: the one that the server publishes, if any); one NAME", 0},
    {"json", 'j', NULL, 0, "one JSON object per line", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case KEY_MIRROR: o->mirror = arg; return 0;
    case 'o': o->out = arg; return 0;
    case KEY_LIST: o->list = true; return 0;
    case KEY_FORCE: o->force = true; return 0;
    case 'j': o->json = true; return 0;
    case KEY_RETRIES: o->retries = (int)cli_number(state, "--retries", arg, 1, 100); return 0;
    case KEY_WAIT: o->wait_ms = (int)cli_number(state, "--wait", arg, 1, 60000); return 0;
    case KEY_TIMEOUT: o->timeout = (int)cli_number(state, "--timeout", arg, 1, 3600); return 0;
    case KEY_SLOWEST: o->slowest = cli_number(state, "--slowest", arg, 1, 1 << 30); return 0;
    case KEY_SHA256:
        o->sha256 = arg;
        if (strlen(arg) != 64 || strspn(arg, "0123456789abcdef") != 64)
            argp_error(state, "--sha256 %s: 64 digits of 0 to 9 and a to f are needed", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (o->n_names == MAX_NAMES) argp_error(state, "at most %d names", MAX_NAMES);
        o->names[o->n_names++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->list && o->n_names == 0) argp_error(state, "a NAME is needed; --list prints them");
        if (o->sha256 && o->n_names > 1) argp_error(state, "--sha256 is of one file; pull one NAME at a time");
        if (o->mirror && strncmp(o->mirror, "http://", 7) && strncmp(o->mirror, "https://", 8) &&
            strncmp(o->mirror, "file://", 7))
            argp_error(state, "--mirror %s: an http://, https:// or file:// URL is needed", o->mirror);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* By short name, or by the name with its tag as timm writes it. */
static const weights *find(const char *name) {
    for (size_t i = 0; i < N_TABLE; i++) {
        const char *slash = strchr(TABLE[i].repository, '/');
        if (strcmp(name, TABLE[i].name) == 0 ||
            (slash && (strcmp(name, slash + 1) == 0 || strcmp(name, TABLE[i].repository) == 0)))
            return &TABLE[i];
    }
    return NULL;
}

static bool cache_folder(const weights *w, char out[PATH]) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/') return snprintf(out, PATH, "%s/kitfox/weights/%s", xdg, w->name) < PATH;
    if (home && home[0]) return snprintf(out, PATH, "%s/.cache/kitfox/weights/%s", home, w->name) < PATH;
    return false;
}

static bool make_folders(const char *path) {
    char p[PATH];
    snprintf(p, sizeof p, "%s", path);
    for (char *s = p + 1; *s; s++)
        if (*s == '/') {
            *s = '\0';
            if (mkdir(p, 0777) != 0 && errno != EEXIST) return false;
            *s = '/';
        }
    return mkdir(p, 0777) == 0 || errno == EEXIST;
}

static bool exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int list(bool json) {
    for (size_t i = 0; i < N_TABLE; i++) {
        const weights *w = &TABLE[i];
        char folder[PATH], path[PATH + 300];
        bool cached = cache_folder(w, folder);
        if (cached) snprintf(path, sizeof path, "%s/%s", folder, WEIGHTS);
        cached = cached && exists(path);
        if (json)
            cli_print_json(json_pack("{s:s,s:s,s:s,s:s,s:b}", "name", w->name, "repository", w->repository, "file",
                                     WEIGHTS, "licence", w->licence, "cached", cached));
        else printf("%-42s %-48s %-13s%s\n", w->name, w->repository, w->licence, cached ? "here" : "");
    }
    return EXIT_DONE;
}

static kf_status fail(kf_error *err, kf_status st, const char *what, const char *why) {
    err->status = st;
    snprintf(err->text, sizeof err->text, "%.600s: %.400s", what, why);
    return st;
}

/* A checkpoint says in its header how long it is, so a cut one is known whatever the server claimed. */
static kf_status check_safetensors(const char *path, const char *url, kf_error *err) {
    static const char WHY[] = "what arrived is not a complete safetensors file; try again later or another --mirror";
    unsigned char h[8];
    struct stat st;
    kf_error why;
    FILE *f = cli_open(path, &why);
    uint64_t n = 0, end = 0;
    json_t *j = NULL, *v;
    const char *key;
    if (!f) return fail(err, KF_ERR_IO, path, "cannot be read back");
    bool ok = fstat(fileno(f), &st) == 0 && fread(h, 1, 8, f) == 8;
    for (int i = 0; i < 8; i++) n |= (uint64_t)h[i] << 8 * i;
    ok = ok && n >= 2 && n <= 16 << 20 && n + 8 <= (uint64_t)st.st_size;
    char *text = ok ? malloc(n) : NULL;
    if (text && fread(text, 1, n, f) == n) j = json_loadb(text, n, 0, NULL);
    json_object_foreach(j, key, v) {
        json_int_t e = json_integer_value(json_array_get(json_object_get(v, "data_offsets"), 1));
        if (e > 0 && (uint64_t)e > end) end = (uint64_t)e;
    }
    ok = j && 8 + n + end == (uint64_t)st.st_size;
    json_decref(j);
    free(text);
    fclose(f);
    return ok ? KF_OK : fail(err, KF_ERR_CORRUPT, url, WHY);
}

static kf_status check_config(const char *path, const char *url, kf_error *err) {
    json_t *j = cli_read_json(path);
    bool ok = json_is_object(j);
    json_decref(j);
    return ok ? KF_OK
              : fail(err, KF_ERR_CORRUPT, url,
                     "what arrived is not a JSON object; try again later or another --mirror");
}

/* Does a configuration say that it is of these weights? "timm/ARCHITECTURE.TAG" against its keys; without a tag the
 * architecture decides. */
static bool config_is_of(const weights *w, const char *path) {
    json_t *j = cli_read_json(path);
    const char *arch = json_string_value(json_object_get(j, "architecture"));
    const char *tag = json_string_value(json_object_get(json_object_get(j, "pretrained_cfg"), "tag"));
    const char *want = strchr(w->repository, '/') + 1, *dot = strchr(want, '.');
    bool same = arch && dot && strlen(arch) == (size_t)(dot - want) && strncmp(arch, want, strlen(arch)) == 0 &&
                (!tag || strcmp(tag, dot + 1) == 0);
    json_decref(j);
    return same;
}

/* One file of a pull: where it is from and where it goes. */
typedef struct part {
    char path[PATH], url[PATH];
    cli_fetch f;
    cli_fetched got;
} part;

/* Where the weights and the configuration go; the folder is made. */
static kf_status targets(const weights *w, const options *o, part *file, part *config, kf_error *err) {
    char folder[PATH];
    struct stat st;
    size_t n = o->out ? strlen(o->out) : 0;
    if (n > 3000) return fail(err, KF_ERR_LIMIT, "-o", "the name is too long");
    if (!o->out && !cache_folder(w, folder))
        return fail(err, KF_ERR_IO, "pull", "neither XDG_CACHE_HOME nor HOME is set; give -o DIR");
    if (o->out) snprintf(folder, sizeof folder, "%s", o->out);
    bool is_folder = !o->out || o->out[n - 1] == '/' || (stat(o->out, &st) == 0 && S_ISDIR(st.st_mode));
    if (is_folder) {
        if (!make_folders(folder)) return fail(err, KF_ERR_IO, folder, "the folder cannot be made; check its parent");
        snprintf(file->path, PATH, "%.3500s/%s", folder, WEIGHTS);
        snprintf(config->path, PATH, "%.3500s/%s", folder, CONFIG);
        return KF_OK;
    }
    char *slash = strrchr(folder, '/');
    snprintf(file->path, PATH, "%s", folder);
    snprintf(config->path, PATH, "%.*s%s", slash ? (int)(slash + 1 - folder) : 0, folder, CONFIG);
    return strcmp(file->path, config->path) ? KF_OK
                                            : fail(err, KF_ERR_ARGUMENT, file->path,
                                                   "the configuration goes there; choose another name for the weights");
}

/* A mirror may keep the hub's paths, or plain folders. */
static kf_status fetch(const weights *w, const options *o, const char *name, part *p, kf_error *err) {
    bool is_config = name == CONFIG;
    const char *base = o->mirror ? o->mirror : HUB;
    int n = (int)strlen(base);
    while (n > 0 && base[n - 1] == '/') n--;
    if (n > 3000) return fail(err, KF_ERR_LIMIT, "--mirror", "the URL is too long");
    p->f = (cli_fetch){.url = p->url,
                       .path = p->path,
                       .max_bytes = is_config ? 1 << 20 : 1 << 30,
                       .tries = o->retries,
                       .wait_ms = o->wait_ms,
                       .stall_s = o->timeout,
                       .slowest = o->slowest,
                       .sha256 = is_config ? NULL : o->sha256,
                       .progress = isatty(2),
                       .check = is_config ? check_config : check_safetensors};
    snprintf(p->url, sizeof p->url, "%.*s/%s/resolve/main/%s", n, base, w->repository, name);
    kf_status st = cli_fetch_part(&p->f, &p->got, err);
    if (st != KF_OK && p->got.missing && o->mirror) {
        snprintf(p->url, sizeof p->url, "%.*s/%s/%s", n, base, w->repository, name);
        st = cli_fetch_part(&p->f, &p->got, err);
    }
    return st;
}

/* What is there already is kept when it is the same, and otherwise replaced only by --force. */
static kf_status settle(part *p, bool force, kf_error *err) {
    char there[65];
    if (force || !exists(p->path)) return KF_OK;
    kf_status st = kf_file_sha256(p->path, there, err);
    if (st != KF_OK || strcmp(there, p->got.sha256) == 0) return st;
    return fail(err, KF_ERR_IO, p->path, "a different file is there; choose another -o, or replace it with --force");
}

/* Both files are complete and checked before either gets its name, and the weights get theirs first: what has a name is
 * whole. */
static kf_status fetch_both(const weights *w, const options *o, part *file, part *config, kf_error *err) {
    char staged[PATH];
    bool keep_config = !o->force && exists(config->path);
    kf_status st = keep_config ? KF_OK : fetch(w, o, CONFIG, config, err);
    snprintf(staged, sizeof staged, "%.4000s.part", config->path);
    if (st == KF_OK && !keep_config && !config_is_of(w, staged))
        st = fail(err, KF_ERR_CORRUPT, config->url, "this configuration is of other weights; check --mirror");
    if (st == KF_OK) st = fetch(w, o, WEIGHTS, file, err);
    if (st == KF_OK) st = settle(file, o->force, err);
    if (st == KF_OK) st = cli_fetch_name(&file->f, &file->got, err);
    if (st == KF_OK && !keep_config) st = cli_fetch_name(&config->f, &config->got, err);
    if (st != KF_OK) {
        cli_fetch_forget(&file->f, &file->got);
        cli_fetch_forget(&config->f, &config->got);
    }
    return st;
}

static int report(const weights *w, const options *o, const part *file, const part *config, bool cached) {
    if (!o->json) {
        printf("%s  %s  sha256 %s%s\n", w->name, file->path, file->got.sha256, cached ? "  already there" : "");
        return EXIT_DONE;
    }
    cli_print_json(json_pack("{s:s,s:s,s:s,s:I,s:s,s:s?,s:b,s:b}", "name", w->name, "file", file->path, "config",
                             config->path, "bytes", (json_int_t)file->got.bytes, "sha256", file->got.sha256, "source",
                             cached ? NULL : file->url, "cached", cached, "resumed", file->got.resumed));
    return EXIT_DONE;
}

/* A pipe or a device is nothing to fetch into. */
static kf_status check_regular(const part *p, kf_error *err) {
    struct stat st;
    if (stat(p->path, &st) != 0 || S_ISREG(st.st_mode)) return KF_OK;
    return fail(err, KF_ERR_IO, p->path, "not a regular file; choose another -o");
}

static int pull(const weights *w, const options *o) {
    part file = {.got = {.fd = -1}}, config = {.got = {.fd = -1}};
    kf_error err = {0};
    struct stat there;
    kf_status st = targets(w, o, &file, &config, &err);
    if (st == KF_OK) st = check_regular(&file, &err);
    if (st == KF_OK) st = check_regular(&config, &err);
    if (st == KF_OK && !o->force && exists(config.path) && !config_is_of(w, config.path))
        st = fail(&err, KF_ERR_IO, config.path,
                  "this configuration is of other weights; choose another -o, or replace it with --force");
    bool cached =
        st == KF_OK && !o->force && stat(file.path, &there) == 0 && S_ISREG(there.st_mode) && exists(config.path);
    if (cached) {
        file.got.bytes = (uint64_t)there.st_size;
        st = check_safetensors(file.path, file.path, &err);
        if (st != KF_OK)
            fail(&err, st, file.path, "what is there is not a complete safetensors file; replace it with --force");
        else st = kf_file_sha256(file.path, file.got.sha256, &err);
        if (st == KF_OK && o->sha256 && strcmp(file.got.sha256, o->sha256) != 0)
            st = cli_error(&err, KF_ERR_CORRUPT,
                           "%.500s: the SHA-256 differs: %s is there, %s is asked for; replace it with --force",
                           file.path, file.got.sha256, o->sha256);
    } else if (st == KF_OK) {
        st = fetch_both(w, o, &file, &config, &err);
    }
    if (st == KF_OK) return report(w, o, &file, &config, cached);
    if (strstr(err.text, "cannot be reached"))
        return cli_say("%s; no network? try --mirror URL, or copy %s and %s of %s to %s", err.text, WEIGHTS, CONFIG,
                       w->repository, file.path);
    return cli_fail(&err);
}

int cmd_pull(int argc, char **argv) {
    const struct argp argp = {OPTIONS, parse, "NAME...", "Fetch published weights and their config.json.",
                              NULL,    NULL,  NULL};
    options o = {.retries = 5, .wait_ms = 1000, .timeout = 30, .slowest = 1024};
    int status = EXIT_DONE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    if (o.list) return list(o.json);
    for (int i = 0; i < o.n_names; i++) {
        const weights *w = find(o.names[i]);
        int bad =
            w ? pull(w, &o)
              : cli_say("%s: no published weights by this name; kitfox pull --list prints those there are", o.names[i]);
        if (bad) status = bad;
    }
    return status;
}
