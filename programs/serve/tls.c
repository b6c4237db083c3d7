/* Certificates through GnuTLS, which libmicrohttpd uses, too; found at run time, as that is. A static program has none.
 * Owner rule: see tls.h. What a handshake gets is made for it, and GnuTLS releases it. */
#include "serve/tls.h"

#include <stddef.h>

#if defined(KF_STATIC)
kf_status sv_tls_load(const char *certificate, const char *key, kf_error *err) {
    (void)certificate, (void)key;
    KF_FAIL(err, KF_ERR_UNSUPPORTED,
            "serve: --tls-cert: this program is static and loads no GnuTLS; let a proxy in front of it speak TLS");
}

const char *sv_tls_certificate(void) { return NULL; }
const char *sv_tls_key(void) { return NULL; }
void *sv_tls_callback(void) { return NULL; }
void sv_tls_end(void) {}
#else
#include <dlfcn.h>
#include <gnutls/abstract.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/kitfox.h"

enum { MAX_PEM = 1 << 20, MAX_CHAIN = 16 };

static struct {
    __typeof__(gnutls_certificate_allocate_credentials) *credentials;
    __typeof__(gnutls_certificate_set_x509_key_mem) *set_pair;
    __typeof__(gnutls_certificate_free_credentials) *free_credentials;
    __typeof__(gnutls_pcert_list_import_x509_raw) *read_chain;
    __typeof__(gnutls_pcert_deinit) *free_certificate;
    __typeof__(gnutls_privkey_init) *new_key;
    __typeof__(gnutls_privkey_import_x509_raw) *read_key;
    __typeof__(gnutls_privkey_deinit) *free_key;
    __typeof__(gnutls_malloc) *allocate;
    __typeof__(gnutls_free) *release;
} tls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the two texts */
static char *pem[2];                                     /* certificate chain, key */

static kf_status find_gnutls(kf_error *err) {
    if (tls.release) return KF_OK;
    void *library = dlopen("libgnutls.so.30", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        KF_FAIL(err, KF_ERR_UNSUPPORTED, "serve: GnuTLS is not installed; on Debian: apt-get install libgnutls30");
    const struct {
        void *to;
        const char *name;
    } NAMES[] = {{&tls.credentials, "gnutls_certificate_allocate_credentials"},
                 {&tls.set_pair, "gnutls_certificate_set_x509_key_mem"},
                 {&tls.free_credentials, "gnutls_certificate_free_credentials"},
                 {&tls.read_chain, "gnutls_pcert_list_import_x509_raw"},
                 {&tls.free_certificate, "gnutls_pcert_deinit"},
                 {&tls.new_key, "gnutls_privkey_init"},
                 {&tls.read_key, "gnutls_privkey_import_x509_raw"},
                 {&tls.free_key, "gnutls_privkey_deinit"},
                 {&tls.allocate, "gnutls_malloc"},
                 {&tls.release, "gnutls_free"}};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        void *symbol = dlsym(library, NAMES[i].name);
        if (!symbol) KF_FAIL(err, KF_ERR_UNSUPPORTED, "serve: this GnuTLS lacks %s", NAMES[i].name);
        memcpy(NAMES[i].to, &symbol, sizeof symbol);
    }
    return KF_OK;
}

static gnutls_datum_t datum(char *text) { return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)}; }

static kf_status read_pem(const char *option, const char *path, char **out, kf_error *err) {
    void *data = NULL;
    size_t bytes;
    kf_status st = kf_file_read(path, MAX_PEM, &data, &bytes, err);
    if (st != KF_OK) return kf_error_prefix(err, st, "%s", option);
    *out = data;
    return KF_OK;
}

/* What was a key does not stay in memory that others get. */
static void forget(char *text) {
    if (text) explicit_bzero(text, strlen(text));
    free(text);
}

static void release_pair(gnutls_pcert_st *chain, unsigned n, gnutls_privkey_t key) {
    for (unsigned i = 0; i < n; i++) tls.free_certificate(&chain[i]);
    if (key) tls.free_key(key);
}

/* The chain, leaf first, and the key; both are the caller's if the status is 0. */
static int read_pair(char *certificate, char *key, gnutls_pcert_st chain[static MAX_CHAIN], unsigned *n,
                     gnutls_privkey_t *out) {
    const gnutls_datum_t c = datum(certificate), k = datum(key);
    *n = MAX_CHAIN, *out = NULL;
    int status = tls.read_chain(chain, n, &c, GNUTLS_X509_FMT_PEM, 0);
    if (status != 0) *n = 0;
    if (status == 0) status = tls.new_key(out);
    if (status == 0) status = tls.read_key(*out, &k, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (status != 0) release_pair(chain, *n, *out);
    return status;
}

/* Are they PEM, is the key the certificate's, and can a handshake use them? */
static kf_status check_pair(char *certificate, char *key, kf_error *err) {
    gnutls_certificate_credentials_t both = NULL;
    const gnutls_datum_t c = datum(certificate), k = datum(key);
    if (tls.credentials(&both) != 0) KF_FAIL(err, KF_ERR_MEMORY, "serve: no memory for a certificate");
    int status = tls.set_pair(both, &c, &k, GNUTLS_X509_FMT_PEM);
    tls.free_credentials(both);
    if (status < 0)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "--tls-cert and --tls-key cannot be used: no PEM, or the key is not the certificate's");
    gnutls_pcert_st chain[MAX_CHAIN];
    gnutls_privkey_t own;
    unsigned n;
    if (read_pair(certificate, key, chain, &n, &own) != 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "--tls-cert and --tls-key cannot be used: no handshake could read them");
    release_pair(chain, n, own);
    return KF_OK;
}

kf_status sv_tls_load(const char *certificate, const char *key, kf_error *err) {
    char *read[2] = {NULL, NULL};
    KF_TRY(find_gnutls(err));
    kf_status st = read_pem("--tls-cert", certificate, &read[0], err);
    if (st == KF_OK) st = read_pem("--tls-key", key, &read[1], err);
    if (st == KF_OK) st = check_pair(read[0], read[1], err);
    if (st == KF_OK) {
        pthread_mutex_lock(&lock);
        for (int i = 0; i < 2; i++) {
            char *old = pem[i];
            pem[i] = read[i], read[i] = old;
        }
        pthread_mutex_unlock(&lock);
    }
    forget(read[0]);
    forget(read[1]);
    return st;
}

const char *sv_tls_certificate(void) { return pem[0]; }
const char *sv_tls_key(void) { return pem[1]; }

void sv_tls_end(void) {
    for (int i = 0; i < 2; i++) forget(pem[i]), pem[i] = NULL;
}

/* The pair of this moment, for one handshake. */
static int offer(gnutls_session_t session, const struct gnutls_cert_retr_st *wanted, gnutls_pcert_st **chain,
                 unsigned *n_chain, gnutls_ocsp_data_st **answers, unsigned *n_answers, gnutls_privkey_t *key,
                 unsigned *flags) {
    gnutls_pcert_st *list = (*tls.allocate)(MAX_CHAIN * sizeof *list);
    unsigned n;
    gnutls_privkey_t own;
    (void)session, (void)wanted;
    if (!list) return -1;
    pthread_mutex_lock(&lock);
    int status = read_pair(pem[0], pem[1], list, &n, &own);
    pthread_mutex_unlock(&lock);
    if (status != 0) {
        (*tls.release)(list);
        return -1;
    }
    *chain = list, *n_chain = n, *answers = NULL, *n_answers = 0, *key = own;
    *flags |= GNUTLS_CERT_RETR_DEINIT_ALL;
    return 0;
}

void *sv_tls_callback(void) {
    gnutls_certificate_retrieve_function3 *function = offer;
    void *pointer;
    memcpy(&pointer, &function, sizeof pointer);
    return pointer;
}
#endif
