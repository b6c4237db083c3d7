/* Labelled pictures: class folders, labels.csv, or a list of either.
 * A line that cannot be read is an error: leaving it out would change the accuracy in silence.
 * Owner rule: cli_labelled_free releases what cli_labelled_load made. */
#include "common/labelled.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cli.h"
#include "common/files.h"

static kf_status no_memory(kf_error *err, const char *path) {
    return cli_error_at(err, KF_ERR_MEMORY, path, "out of memory for the list of pictures; free some");
}

void cli_labelled_free(cli_labelled *p) {
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].path);
        free(p->items[i].name);
    }
    free(p->items);
    *p = (cli_labelled){0};
}

static bool add(cli_labelled *p, const char *folder, const char *name, long truth) {
    if ((p->n & (p->n - 1)) == 0) { /* room doubles at each power of two */
        cli_labelled_one *grown = realloc(p->items, (p->n ? 2 * p->n : 1) * sizeof *grown);
        if (!grown) return false;
        p->items = grown;
    }
    size_t size = strlen(folder) + strlen(name) + 2;
    cli_labelled_one *it = &p->items[p->n];
    *it = (cli_labelled_one){malloc(size), strdup(name), truth};
    p->n++;
    if (!it->path || !it->name) return false;
    if (name[0] == '/') snprintf(it->path, size, "%s", name);
    else snprintf(it->path, size, "%s/%s", folder, name);
    return true;
}

static int plain(const struct dirent *e) { return e->d_name[0] != '.'; }

static bool add_folder(cli_labelled *p, const char *folder, const char *class, long truth) {
    struct dirent **files;
    char sub[4096];
    bool ok = true;
    snprintf(sub, sizeof sub, "%s/%s", folder, class);
    int n = scandir(sub, &files, plain, alphasort);
    for (int k = 0; k < n; k++) {
        char rel[1024];
        snprintf(rel, sizeof rel, "%s/%s", class, files[k]->d_name);
        ok = ok && add(p, folder, rel, truth);
        free(files[k]);
    }
    if (n >= 0) free(files);
    return ok && n >= 0;
}

/* Class folders in sorted order are classes 0, 1, ...; a folder named like a label takes that label's index. */
static kf_status from_folders(cli_labelled *p, const char *folder, const kf_model *m, kf_error *err) {
    struct dirent **classes;
    int n = scandir(folder, &classes, plain, alphasort), index = 0;
    bool ok = n >= 0;
    for (int i = 0; i < n; i++) {
        char sub[4096];
        struct stat st;
        snprintf(sub, sizeof sub, "%s/%s", folder, classes[i]->d_name);
        if (ok && stat(sub, &st) == 0 && S_ISDIR(st.st_mode)) {
            long truth = index++;
            for (int k = 0; kf_model_label(m, k); k++)
                if (strcmp(kf_model_label(m, k), classes[i]->d_name) == 0) truth = k;
            ok = add_folder(p, folder, classes[i]->d_name, truth);
        }
        free(classes[i]);
    }
    if (n >= 0) free(classes);
    return ok ? KF_OK : cli_error_at(err, KF_ERR_IO, folder, "cannot list the pictures; check permissions");
}

size_t cli_labelled_folders(const char *data) {
    struct dirent **e;
    size_t folders = 0;
    int n = scandir(data, &e, plain, alphasort);
    for (int i = 0; i < n; i++) {
        char sub[4096];
        struct stat st;
        snprintf(sub, sizeof sub, "%s/%s", data, e[i]->d_name);
        folders += stat(sub, &st) == 0 && S_ISDIR(st.st_mode);
        free(e[i]);
    }
    if (n >= 0) free(e);
    return folders;
}

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
static kind read_line(char *line, size_t n, size_t number, char **name, long *truth) {
    char *rest, *end;
    if (strlen(line) != n) return BAD; /* a zero byte */
    if (number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0) line += 3;
    line[strcspn(line, "\r\n")] = '\0';
    if (!line[strspn(line, " \t")]) return SKIP;
    if (!(*name = first_field(line, &rest)) || !**name) return BAD;
    if (!rest) return number == 1 && strcmp(*name, "file") == 0 ? SKIP : NO_CLASS;
    *truth = strtol(rest, &end, 10);
    bool digits = end != rest;
    end += strspn(end, " \t");
    if (digits && (!*end || *end == ',')) return ROW;
    return number == 1 && !digits ? SKIP : BAD;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const cli_labelled_one *)a)->name, ((const cli_labelled_one *)b)->name);
}

/* Lines of labels.csv, or of a list, whose lines without a class are looked up in `all` (sorted by name). */
static kf_status from_lines(cli_labelled *p, const char *folder, const char *path, const cli_labelled *all,
                            kf_error *err) {
    char *text, *line, *name;
    size_t bytes, n, bad = 0;
    bool ok = true;
    kf_status st = cli_read(path, CLI_MAX_LIST, &text, &bytes, err);
    if (st != KF_OK) return st;
    char *at = text, *end = text + bytes;
    for (size_t number = 1; ok && (line = cli_line(&at, end, &n)) != NULL; number++) {
        long truth = 0;
        kind k = read_line(line, n, number, &name, &truth);
        const cli_labelled_one *known = NULL;
        if (k == NO_CLASS && all && all->n)
            known = bsearch(&(cli_labelled_one){.name = name}, all->items, all->n, sizeof *all->items, by_name);
        if (known) truth = known->truth;
        if (k == ROW || known) ok = add(p, folder, name, truth);
        else if (k != SKIP && bad++ < 10)
            cli_say("%s:%zu: %s", path, number,
                    k == BAD || !all ? "not a picture's name, a comma and its class number"
                                     : "no such picture in --data; names are as in its labels.csv, or FOLDER/FILE");
    }
    free(text);
    if (!ok) return no_memory(err, path);
    if (!bad) return KF_OK;
    char why[120];
    snprintf(why, sizeof why, "%zu line%s cannot be read; correct or remove %s", bad, bad == 1 ? "" : "s",
             bad == 1 ? "it" : "them");
    return cli_error_at(err, KF_ERR_FORMAT, path, why);
}

static kf_status from_data(cli_labelled *p, const char *data, const kf_model *m, kf_error *err) {
    char csv[4096];
    struct stat there;
    snprintf(csv, sizeof csv, "%s/labels.csv", data);
    bool none = stat(csv, &there) != 0 && (errno == ENOENT || errno == ENOTDIR);
    return none ? from_folders(p, data, m, err) : from_lines(p, data, csv, NULL, err);
}

kf_status cli_labelled_load(const char *data, const char *list, const kf_model *m, cli_labelled *out, kf_error *err) {
    cli_labelled all = {0};
    struct stat there;
    char why[256];
    *out = (cli_labelled){0};
    if (stat(data, &there) != 0) {
        snprintf(why, sizeof why, "cannot open; %s; check --data", strerror(errno));
        return cli_error_at(err, KF_ERR_IO, data, why);
    }
    kf_status st = from_data(&all, data, m, err);
    if (st == KF_OK && list) {
        if (all.n) qsort(all.items, all.n, sizeof *all.items, by_name);
        st = from_lines(out, data, list, &all, err);
    } else if (st == KF_OK) {
        *out = all;
        all = (cli_labelled){0};
    }
    if (st != KF_OK) cli_labelled_free(out);
    cli_labelled_free(&all);
    return st;
}
