/* Certificates for tests, made as they are needed: ECDSA P-256, in a directory of the process's own. */
#ifndef SLUICE_TESTS_HTTP_CERTS_H
#define SLUICE_TESTS_HTTP_CERTS_H

#include "rig.h"

#include <openssl/x509.h>

struct cert {
	EVP_PKEY *key;
	X509 *x509;
	char path[160]; /* of a PEM file with certificate and key */
};

/* What the next ones are like: valid from and to, in seconds from now; RSA of 2048 bits instead. */
struct cert_kind {
	long from_s, to_s;
	bool rsa;
};
#define CERT_USUAL ((struct cert_kind){.from_s = -3600, .to_s = 90 * 86400})

/* `names`: "a.test,*.b.test", the subject's alternative names. Signed by `issuer`, NULL: by itself. Lives until the process ends. */
const struct cert *cert_make(const char *file, const char *names, const struct cert *issuer);
const struct cert *cert_make_kind(
	const char *file, const char *names, const struct cert *issuer, struct cert_kind kind);
/* Writes it over another file, as it is renewed: certificate, key or both; NULL: not. */
void cert_write(const char *path, X509 *x509, EVP_PKEY *key);
const char *cert_directory(void);
/* A path in it, in a static buffer. */
const char *cert_path(const char *file);

#endif
