/* libmicrohttpd, found at run time.
 * Owner rule: see mhd.h. */
#include "serve/mhd.h"

#include <dlfcn.h>
#include <string.h>

kf_status sv_mhd_load(sv_mhd *m, kf_error *err) {
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "serve: libmicrohttpd is not installed; on Debian: apt-get install libmicrohttpd12");
    const struct {
        void *to;
        const char *name;
    } FUNCTIONS[] = {{&m->start_daemon, "MHD_start_daemon"},
                     {&m->stop_daemon, "MHD_stop_daemon"},
                     {&m->quiesce_daemon, "MHD_quiesce_daemon"},
                     {&m->get_daemon_info, "MHD_get_daemon_info"},
                     {&m->get_connection_info, "MHD_get_connection_info"},
                     {&m->get_connection_values, "MHD_get_connection_values"},
                     {&m->lookup_connection_value, "MHD_lookup_connection_value"},
                     {&m->suspend_connection, "MHD_suspend_connection"},
                     {&m->resume_connection, "MHD_resume_connection"},
                     {&m->create_response, "MHD_create_response_from_buffer"},
                     {&m->add_header, "MHD_add_response_header"},
                     {&m->queue_response, "MHD_queue_response"},
                     {&m->destroy_response, "MHD_destroy_response"},
                     {&m->is_feature_supported, "MHD_is_feature_supported"}};
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        void *f = dlsym(library, FUNCTIONS[i].name);
        if (!f) KF_FAIL(err, KF_ERR_UNSUPPORTED, "serve: this libmicrohttpd lacks %s", FUNCTIONS[i].name);
        memcpy(FUNCTIONS[i].to, &f, sizeof f);
    }
    return KF_OK;
}
