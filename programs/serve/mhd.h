/* libmicrohttpd, found at run time: the other verbs start without it and without GnuTLS.
 * Owner rule: the library stays open until the process ends. */
#ifndef KITFOX_SERVE_MHD_H
#define KITFOX_SERVE_MHD_H

#include <microhttpd.h>

#include "kitfox/status.h"

typedef struct sv_mhd {
    __typeof__(MHD_start_daemon) *start_daemon;
    __typeof__(MHD_stop_daemon) *stop_daemon;
    __typeof__(MHD_quiesce_daemon) *quiesce_daemon;
    __typeof__(MHD_get_daemon_info) *get_daemon_info;
    __typeof__(MHD_get_connection_info) *get_connection_info;
    __typeof__(MHD_get_connection_values) *get_connection_values;
    __typeof__(MHD_lookup_connection_value) *lookup_connection_value;
    __typeof__(MHD_suspend_connection) *suspend_connection;
    __typeof__(MHD_resume_connection) *resume_connection;
    __typeof__(MHD_create_response_from_buffer) *create_response;
    __typeof__(MHD_add_response_header) *add_header;
    __typeof__(MHD_queue_response) *queue_response;
    __typeof__(MHD_destroy_response) *destroy_response;
    __typeof__(MHD_is_feature_supported) *is_feature_supported;
    __typeof__(MHD_get_version) *get_version;
} sv_mhd;

/** UNSUPPORTED, with the package: it is not installed, or too old. */
kf_status sv_mhd_load(sv_mhd *out, kf_error *err);

#endif
