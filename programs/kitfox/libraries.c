/* The libraries that kitfox has and kitfox-run has not, for --version --verbose.
 * Owner rule: static text. */
#include <curl/curl.h>
#include <microhttpd.h>
#include <protobuf-c/protobuf-c.h>
#include <yaml.h>
#include <zlib.h>

#include "common/cli.h"

const cli_library cli_libraries[] = {
    {"protobuf-c", protobuf_c_version, {NULL}, NULL, false},
    {"libyaml", yaml_get_version_string, {NULL}, NULL, false},
    {"zlib", zlibVersion, {NULL}, NULL, false},
#if defined(KF_STATIC)
    {"libmicrohttpd", MHD_get_version, {NULL}, NULL, false},
    {"libcurl", curl_version, {NULL}, NULL, false},
#else
    {"libmicrohttpd", NULL, {"libmicrohttpd.so.12"}, "MHD_get_version", false},
    {"libcurl", NULL, {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4"}, "curl_version", false},
#endif
    {"GnuTLS", NULL, {"libgnutls.so.30"}, "gnutls_check_version", true},
    {NULL, NULL, {NULL}, NULL, false},
};
