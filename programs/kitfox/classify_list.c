/* Folders among the arguments of kitfox classify become their pictures.
 * Owner rule: see classify_list.h. */
#include "kitfox/classify_list.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cli.h"

bool classify_is_folder(const char *path) {
    struct stat st;
    return strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static kf_status add(kf_samples *list, const char *path, kf_error *err) {
    char **grown = realloc(list->paths, (list->n + 1) * sizeof *grown);
    if (grown) list->paths = grown;
    char *copy = grown ? strdup(path) : NULL;
    if (!copy) return cli_error(err, KF_ERR_MEMORY, "out of memory for the list of pictures; close other programs");
    list->paths[list->n++] = copy;
    return KF_OK;
}

/* kf_samples_find also lists .npy files, which are no pictures. */
static kf_status add_folder(kf_samples *list, const char *folder, kf_error *err) {
    kf_samples found = {0};
    size_t before = list->n;
    kf_status st = kf_samples_find(folder, NULL, 0, &found, err);
    for (size_t i = 0; st == KF_OK && i < found.n; i++)
        if (kf_image_has_suffix(found.paths[i])) st = add(list, found.paths[i], err);
    if (st == KF_ERR_IO || (st == KF_OK && list->n == before))
        st = cli_error_at(err, KF_ERR_IO, folder, "a folder without pictures, or one that cannot be listed");
    kf_samples_free(&found);
    return st;
}

kf_status classify_list(const char *const *args, int n, kf_samples *out, kf_error *err) {
    *out = (kf_samples){0};
    for (int i = 0; i < n; i++) {
        kf_status st = classify_is_folder(args[i]) ? add_folder(out, args[i], err) : add(out, args[i], err);
        if (st != KF_OK) return st;
    }
    return KF_OK;
}
