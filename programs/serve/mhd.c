/* libmicrohttpd, found at run time. A static program has it linked in.
 * Owner rule: see mhd.h. */
#include "serve/mhd.h"

#include <dlfcn.h>
#include <string.h>

/* Member of sv_mhd, and the function behind it. */
/* clang-format off */
#define MHD_FUNCTIONS(X)                                                                                               \
    X(start_daemon, MHD_start_daemon) X(stop_daemon, MHD_stop_daemon) X(quiesce_daemon, MHD_quiesce_daemon)            \
    X(get_daemon_info, MHD_get_daemon_info) X(get_connection_info, MHD_get_connection_info)                            \
    X(get_connection_values, MHD_get_connection_values) X(lookup_connection_value, MHD_lookup_connection_value)        \
    X(suspend_connection, MHD_suspend_connection) X(resume_connection, MHD_resume_connection)                          \
    X(create_response, MHD_create_response_from_buffer) X(add_header, MHD_add_response_header)                         \
    X(queue_response, MHD_queue_response) X(destroy_response, MHD_destroy_response)                                    \
    X(is_feature_supported, MHD_is_feature_supported) X(get_version, MHD_get_version)
/* clang-format on */

#if defined(KF_STATIC)
kf_status sv_mhd_load(sv_mhd *m, kf_error *err) {
    (void)err;
#define X(member, function) m->member = function;
    MHD_FUNCTIONS(X)
#undef X
    return KF_OK;
}
#else
kf_status sv_mhd_load(sv_mhd *m, kf_error *err) {
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "serve: libmicrohttpd is not installed; on Debian: apt-get install libmicrohttpd12");
    const struct {
        void *to;
        const char *name;
    } FUNCTIONS[] = {
#define X(member, function) {&m->member, #function},
        MHD_FUNCTIONS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        void *f = dlsym(library, FUNCTIONS[i].name);
        if (!f) KF_FAIL(err, KF_ERR_UNSUPPORTED, "serve: this libmicrohttpd lacks %s", FUNCTIONS[i].name);
        memcpy(FUNCTIONS[i].to, &f, sizeof f);
    }
    return KF_OK;
}
#endif
