/* Labelled pictures: class folders, labels.csv, or a list of either.
 * A line that cannot be read is an error: leaving it out would change the accuracy in silence.
 * Owner rule: kf_dataset_destroy releases what kf_dataset_open made. */
#include "data/dataset.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/classes.h"
#include "data/samples.h"
#include "data/text.h"

enum { SHOWN = 10 }; /* lines that cannot be read, each with a notice of its own */

void kf_dataset_options_init(kf_dataset_options *options) { *options = (kf_dataset_options){.size = sizeof *options}; }

static void clear(kf_dataset *d) {
    for (size_t i = 0; i < d->n; i++) {
        free(d->items[i].path);
        free(d->items[i].name);
    }
    free(d->items);
    free(d->by_path);
    *d = (kf_dataset){0};
}

void kf_dataset_destroy(kf_dataset **dataset) {
    if (!dataset || !*dataset) return;
    clear(*dataset);
    free(*dataset);
    *dataset = NULL;
}

static kf_status add(kf_dataset *d, const char *folder, const char *name, int64_t truth, kf_error *err) {
    if ((d->n & (d->n - 1)) == 0) { /* room doubles at each power of two */
        kf__dataset_one *grown = realloc(d->items, (d->n ? 2 * d->n : 1) * sizeof *grown);
        if (!grown) return kf__no_memory(folder, err);
        d->items = grown;
    }
    size_t size = strlen(folder) + strlen(name) + 2;
    kf__dataset_one *it = &d->items[d->n++];
    *it = (kf__dataset_one){malloc(size), strdup(name), truth};
    if (!it->path || !it->name) return kf__no_memory(folder, err);
    if (name[0] == '/') snprintf(it->path, size, "%s", name);
    else snprintf(it->path, size, "%s/%s", folder, name);
    return KF_OK;
}

/* ---- class folders ----------------------------------------------------------------------------------------------- */

static int plain(const struct dirent *e) { return e->d_name[0] != '.'; }

static kf_status list_folder(const char *folder, struct dirent ***entries, int *n, kf_error *err) {
    *n = scandir(folder, entries, plain, alphasort);
    if (*n >= 0) return KF_OK;
    if (errno == ENOMEM) return kf__no_memory(folder, err);
    KF_FAIL(err, KF_ERR_IO, "%.600s: cannot list the pictures; %s; check permissions", folder, strerror(errno));
}

/* Its pictures have the folder's number until the folders are known. */
static kf_status add_class(kf_dataset *d, const char *folder, const char *class, int64_t truth, kf_error *err) {
    struct dirent **files;
    char sub[4096];
    int n;
    snprintf(sub, sizeof sub, "%s/%s", folder, class);
    KF_TRY(list_folder(sub, &files, &n, err));
    kf_status st = KF_OK;
    for (int k = 0; k < n; k++) {
        char name[1024];
        snprintf(name, sizeof name, "%s/%s", class, files[k]->d_name);
        if (st == KF_OK) st = add(d, folder, name, truth, err);
        free(files[k]);
    }
    free(files);
    return st;
}

/* Folders of a data set while it is opened. */
typedef struct folders {
    char **names;     /* [n], of `entries` */
    size_t *pictures; /* [n] */
    int64_t *classes; /* [n] */
    size_t n;
} folders;

static kf_status find_folders(kf_dataset *d, const char *folder, struct dirent **entries, size_t n, folders *f,
                              kf_error *err) {
    f->names = calloc(n + 1, sizeof *f->names);
    f->pictures = calloc(n + 1, sizeof *f->pictures);
    f->classes = calloc(n + 1, sizeof *f->classes);
    if (!f->names || !f->pictures || !f->classes) return kf__no_memory(folder, err);
    for (size_t i = 0; i < n; i++) {
        char sub[4096];
        struct stat is;
        size_t before = d->n;
        snprintf(sub, sizeof sub, "%s/%s", folder, entries[i]->d_name);
        if (stat(sub, &is) != 0 || !S_ISDIR(is.st_mode)) continue;
        KF_TRY(add_class(d, folder, entries[i]->d_name, (int64_t)f->n, err));
        f->names[f->n] = entries[i]->d_name;
        f->pictures[f->n++] = d->n - before;
    }
    return KF_OK;
}

/* Without a model, class folders in sorted order are classes 0, 1, ... */
static kf_status name_folders(kf_dataset *d, const char *folder, const folders *f, const kf_dataset_options *o,
                              kf_error *err) {
    const kf__classes c = {.data = folder,
                           .names = f->names,
                           .pictures = f->pictures,
                           .n = f->n,
                           .model = o->model,
                           .optional = o->optional,
                           .notice = o->notice,
                           .user = o->user};
    d->folders = f->n;
    if (!o->model || !d->n) return KF_OK;
    KF_TRY(kf__classes_find(&c, f->classes, &d->fit, err));
    for (size_t i = 0; d->fit && i < d->n; i++) d->items[i].truth = f->classes[d->items[i].truth];
    return KF_OK;
}

static kf_status from_folders(kf_dataset *d, const char *folder, const kf_dataset_options *o, kf_error *err) {
    struct dirent **entries;
    folders f = {0};
    int n;
    KF_TRY(list_folder(folder, &entries, &n, err));
    kf_status st = find_folders(d, folder, entries, n > 0 ? (size_t)n : 0, &f, err);
    if (st == KF_OK) st = name_folders(d, folder, &f, o, err);
    for (int i = 0; i < n; i++) free(entries[i]);
    free(entries);
    free(f.names);
    free(f.pictures);
    free(f.classes);
    return st;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* Cut the first field off a CSV line in place; "" inside quotes is one quote. NULL when a quote is not closed. */
static char *first_field(char *line, char **rest) {
    char *out = line, *in = line + 1;
    *rest = NULL;
    if (line[0] != '"') {
        char *comma = strchr(line, ',');
        if (comma) *comma = '\0', *rest = comma + 1;
        return line;
    }
    for (; *in && (in[0] != '"' || in[1] == '"'); in++) {
        if (*in == '"') in++;
        *out++ = *in;
    }
    if (*in != '"' || (in[1] && in[1] != ',')) return NULL;
    if (in[1] == ',') *rest = in + 2;
    *out = '\0';
    return line;
}

typedef enum kind { ROW, NO_CLASS, SKIP, BAD } kind;

/* One line to a name and a class. A first line whose class is no number is the header. */
static kind read_line(char *line, size_t n, size_t number, char **name, int64_t *truth) {
    char *rest, *end;
    if (strlen(line) != n) return BAD; /* a zero byte */
    if (number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0) line += 3;
    line[strcspn(line, "\r\n")] = '\0';
    if (!line[strspn(line, " \t")]) return SKIP;
    if (!(*name = first_field(line, &rest)) || !**name) return BAD;
    if (!rest) return number == 1 && strcmp(*name, "file") == 0 ? SKIP : NO_CLASS;
    *truth = strtoll(rest, &end, 10);
    bool digits = end != rest;
    end += strspn(end, " \t");
    if (digits && (!*end || *end == ',')) return ROW;
    return number == 1 && !digits ? SKIP : BAD;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const kf__dataset_one *)a)->name, ((const kf__dataset_one *)b)->name);
}

static void report_line(const kf_dataset_options *o, const char *path, size_t number, const char *why) {
    char text[512];
    snprintf(text, sizeof text, "%.300s:%zu: %s", path, number, why);
    if (o->notice) o->notice(o->user, text);
}

/* Lines of labels.csv, or of a list, whose lines without a class are looked up in `all` (sorted by name). */
static kf_status from_lines(kf_dataset *d, const char *folder, const char *path, const kf_dataset *all,
                            const kf_dataset_options *o, kf_error *err) {
    static const char ROW_NEEDED[] = "not a picture's name, a comma and its class number";
    static const char UNKNOWN[] = "no such picture in the data set; names are as in its labels.csv, or FOLDER/FILE";
    char *text, *line, *name;
    size_t bytes, n, bad = 0;
    KF_TRY(kf__text_read(path, KF__MAX_LIST, &text, &bytes, err));
    char *at = text, *end = text + bytes;
    kf_status st = KF_OK;
    for (size_t number = 1; st == KF_OK && (line = kf__text_line(&at, end, &n)) != NULL; number++) {
        int64_t truth = 0;
        kind k = read_line(line, n, number, &name, &truth);
        const kf__dataset_one *known = NULL;
        if (k == NO_CLASS && all && all->n)
            known = bsearch(&(kf__dataset_one){.name = name}, all->items, all->n, sizeof *all->items, by_name);
        if (known) truth = known->truth;
        if (k == ROW || known) st = add(d, folder, name, truth, err);
        else if (k != SKIP && bad++ < SHOWN) report_line(o, path, number, k == BAD || !all ? ROW_NEEDED : UNKNOWN);
    }
    free(text);
    if (st != KF_OK || !bad) return st;
    KF_FAIL(err, KF_ERR_FORMAT, "%.600s: %zu line%s cannot be read; correct or remove %s", path, bad,
            bad == 1 ? "" : "s", bad == 1 ? "it" : "them");
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static kf_status from_data(kf_dataset *d, const char *folder, const kf_dataset_options *o, kf_error *err) {
    char csv[4096];
    struct stat there;
    snprintf(csv, sizeof csv, "%s/labels.csv", folder);
    d->csv = stat(csv, &there) == 0 || (errno != ENOENT && errno != ENOTDIR);
    return d->csv ? from_lines(d, folder, csv, NULL, o, err) : from_folders(d, folder, o, err);
}

/* Only the pictures of the list, in its order. */
static kf_status narrow(kf_dataset *d, const char *folder, const kf_dataset_options *o, kf_error *err) {
    kf_dataset listed = {.csv = d->csv, .fit = d->fit, .folders = d->folders};
    if (d->n) qsort(d->items, d->n, sizeof *d->items, by_name);
    kf_status st = from_lines(&listed, folder, o->list, d, o, err);
    clear(d);
    *d = listed;
    return st;
}

/* Keep `limit` > 0 of them, spread evenly. */
static void spread(kf_dataset *d, size_t limit) {
    size_t kept = limit && limit < d->n ? limit : d->n;
    for (size_t i = 0, next = 0; i < d->n; i++) {
        kf__dataset_one it = d->items[i];
        if (next < kept && i == next * d->n / kept) {
            d->items[next++] = it;
        } else {
            free(it.path);
            free(it.name);
        }
    }
    d->n = kept;
}

static int by_path(const void *a, const void *b, void *items) {
    const kf__dataset_one *of = items;
    return strcmp(of[*(const size_t *)a].path, of[*(const size_t *)b].path);
}

static kf_status index_paths(kf_dataset *d, const char *folder, kf_error *err) {
    d->by_path = malloc((d->n + 1) * sizeof *d->by_path);
    if (!d->by_path) return kf__no_memory(folder, err);
    for (size_t i = 0; i < d->n; i++) d->by_path[i] = i;
    qsort_r(d->by_path, d->n, sizeof *d->by_path, by_path, d->items);
    return KF_OK;
}

kf_status kf_dataset_open(const char *folder, const kf_dataset_options *options, kf_dataset **out, kf_error *err) {
    if (!folder || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_dataset_open: folder and out are needed");
    kf_dataset_options o;
    struct stat there;
    kf_dataset_options_init(&o);
    *out = NULL;
    KF_TRY(kf_options_read(&o, options, "kf_dataset_options", err));
    if (stat(folder, &there) != 0)
        KF_FAIL(err, KF_ERR_IO, "%.600s: cannot open; %s; check --data", folder, strerror(errno));
    kf_dataset *d = calloc(1, sizeof *d);
    if (!d) return kf__no_memory(folder, err);
    kf_status st = from_data(d, folder, &o, err);
    if (st == KF_OK && o.list) st = narrow(d, folder, &o, err);
    if (st == KF_OK) spread(d, o.limit);
    if (st == KF_OK) st = index_paths(d, folder, err);
    if (st == KF_OK) *out = d;
    else kf_dataset_destroy(&d);
    return st;
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

size_t kf_dataset_count(const kf_dataset *dataset) { return dataset ? dataset->n : 0; }

size_t kf_dataset_folders(const kf_dataset *dataset) { return dataset ? dataset->folders : 0; }

kf_status kf_dataset_get(const kf_dataset *dataset, size_t index, kf_dataset_item *out, kf_error *err) {
    if (!dataset || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_dataset_get: dataset and out are needed");
    if (index >= dataset->n)
        KF_FAIL(err, KF_ERR_ARGUMENT, "picture %zu is out of range; the data set has %zu", index, dataset->n);
    const kf__dataset_one *it = &dataset->items[index];
    *out = (kf_dataset_item){it->path, it->name, it->truth};
    return KF_OK;
}

int64_t kf_dataset_class_of(const kf_dataset *dataset, const char *path) {
    if (!dataset || !path) return -1;
    size_t lo = 0, hi = dataset->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const kf__dataset_one *it = &dataset->items[dataset->by_path[mid]];
        int order = strcmp(path, it->path);
        if (order == 0) return it->truth;
        if (order < 0) hi = mid;
        else lo = mid + 1;
    }
    return -1;
}

int32_t kf_dataset_fits(const kf_dataset *dataset) {
    return dataset && dataset->n > 0 && (dataset->csv || dataset->fit);
}
