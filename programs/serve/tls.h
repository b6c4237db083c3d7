/* The certificate and its key, which may be replaced while the server runs. Each handshake takes those of its moment.
 * Owner rule: one pair a process: GnuTLS asks without a pointer of ours. It is kept here until sv_tls_end. */
#ifndef KITFOX_SERVE_TLS_H
#define KITFOX_SERVE_TLS_H

#include "kitfox/status.h"

/** Read both PEM files; handshakes from now on take them. They belong together and can be used, or nothing changes:
 *  IO, LIMIT, ARGUMENT, UNSUPPORTED (no GnuTLS), MEMORY. The paths are borrowed for the call. Thread safe. */
kf_status sv_tls_load(const char *certificate, const char *key, kf_error *err);
/** The PEM texts at the start, before another load; NULL where none are loaded. */
const char *sv_tls_certificate(void);
const char *sv_tls_key(void);
/** The function of MHD_OPTION_HTTPS_CERT_CALLBACK2. */
void *sv_tls_callback(void);
/** Release both. No handshake may be under way. */
void sv_tls_end(void);

#endif
