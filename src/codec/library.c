/* dlopen and dlsym for the decoders of TIFF, AVIF and HEIC.
 * Owner rule: see library.h. */
#include "codec/library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"

#if defined(KF_STATIC)
/* glibc's loader would have to be the one that the program was built with. */
static kf_status load(kf__library *l, kf_error *err) {
    return kf__codec_fail(err, KF_ERR_UNSUPPORTED,
                          "%s pictures need %s, which a static program does not load; convert the picture, or use a "
                          "kitfox that is not static",
                          l->format, l->file[0]);
}
#else
static kf_status load(kf__library *l, kf_error *err) {
    void *handle = dlopen(l->file[0], RTLD_NOW | RTLD_LOCAL);
    int which = handle ? 1 : 2;
    if (!handle && l->file[1]) handle = dlopen(l->file[1], RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return kf__codec_fail(err, KF_ERR_UNSUPPORTED,
                              "%s pictures need %s, which is not installed; on Debian: apt-get install %s", l->format,
                              l->file[0], l->package);
    for (size_t i = 0; i < l->n; i++) {
        void *f = dlsym(handle, l->names[i]);
        if (!f)
            return kf__codec_fail(err, KF_ERR_UNSUPPORTED,
                                  "%s pictures need a later %s: this one lacks %s; convert the picture, or update %s",
                                  l->format, l->file[which - 1], l->names[i], l->package);
        memcpy(l->to[i], &f, sizeof f);
    }
    l->loaded = which;
    return KF_OK;
}
#endif

kf_status kf__library_load(kf__library *l, kf_error *err) {
    pthread_mutex_lock(&l->one);
    kf_status st = l->loaded ? KF_OK : load(l, err);
    pthread_mutex_unlock(&l->one);
    return st;
}

kf_status kf__library_room(const kf__library *l, size_t bytes, kf_error *err) {
    void *volatile room = malloc(bytes);
    free(room);
    if (room) return KF_OK;
    return kf__codec_fail(err, KF_ERR_MEMORY, "%s: out of memory; %zu bytes are needed; close other programs",
                          l->format, bytes);
}
